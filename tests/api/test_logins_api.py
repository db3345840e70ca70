"""Logging in and out, renewing tokens, and the way back in for who forgot the password."""

from datetime import timedelta

import pytest
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.utils import timezone

from cinema.people import logins, passwords
from cinema.people.models import AuthSession, PasswordReset, User
from tests.conftest import refusal
from tests.support.factories import PASSWORD, a_customer, a_show
from tests.support.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


def log_in(api, user, password=PASSWORD):
    return api.post("/api/login/", {"username": user.username, "password": password})


def refresh(api, tokens):
    return api.post("/api/token/refresh/", {"refresh": tokens["refresh"]})


def me(api, tokens):
    return api.get("/api/me/", Authorization=f"Bearer {tokens['access']}")


def confirm_reset(api, token, new_password="another long one"):
    return api.post("/api/password-reset/confirm/", {"token": token, "new_password": new_password})


def test_logging_in_gives_tokens_that_work(anonymous):
    user = a_customer()

    response = log_in(anonymous, user)

    assert response.status_code == 200
    assert sorted(response.json()) == ["access", "refresh"]
    assert me(anonymous, response.json()).json()["id"] == user.pk
    login = AuthSession.objects.get()
    assert (login.user, login.revoked_at) == (user, None)
    week = login.expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < week <= timedelta(days=7, seconds=1)


def test_every_login_is_one_of_its_own(anonymous):
    user = a_customer()
    first, second = log_in(anonymous, user).json(), log_in(anonymous, user).json()

    anonymous.post("/api/logout/", {"refresh": first["refresh"]})

    assert refusal(me(anonymous, first)) == (401, "token_invalid")
    assert me(anonymous, second).status_code == 200


@pytest.mark.parametrize("spelling", ["TESTUSER", "ｔｅｓｔuser", "TestUser"])
def test_any_spelling_of_the_username_logs_in(anonymous, spelling):
    a_customer("testuser")

    response = anonymous.post("/api/login/", {"username": spelling, "password": PASSWORD})

    assert response.status_code == 200


def test_who_cannot_log_in_learns_nothing_of_why(anonymous):
    a_customer("known")
    a_customer("inactive", is_active=False)
    tries = [
        ("known", "wrong"),
        ("unknown", PASSWORD),
        ("inactive", PASSWORD),
        ("no/name at all", PASSWORD),
        ("", ""),
    ]

    answers = [
        anonymous.post("/api/login/", {"username": name, "password": password})
        for name, password in tries
    ]

    assert {refusal(answer) for answer in answers} == {(401, "bad_credentials")}
    bodies = [answer.json() | {"request_id": ""} for answer in answers]
    assert bodies == [bodies[0]] * len(tries)
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert not AuthSession.objects.exists()


@pytest.mark.parametrize(
    "body",
    [{}, {"username": "known"}, {"username": 5, "password": PASSWORD}, {"username": "a\x00", "password": PASSWORD},
     {"username": "known", "password": None}, {"username": "known", "password": PASSWORD, "otp": "1"}],
)  # fmt: skip
def test_an_odd_login_is_refused(anonymous, body):
    a_customer("known")

    assert refusal(anonymous.post("/api/login/", body)) == (422, "invalid")
    assert not AuthSession.objects.exists()


def test_refreshing_rotates_both_tokens(anonymous):
    old = log_in(anonymous, a_customer()).json()

    response = refresh(anonymous, old)

    new = response.json()
    assert response.status_code == 200
    assert sorted(new) == ["access", "refresh"]
    assert new["refresh"] != old["refresh"]
    assert me(anonymous, new).status_code == 200
    assert refresh(anonymous, new).status_code == 200
    assert AuthSession.objects.count() == 1


def test_a_spent_refresh_token_ends_the_whole_login(anonymous):
    old = log_in(anonymous, a_customer()).json()
    new = refresh(anonymous, old).json()

    assert refusal(refresh(anonymous, old)) == (401, "token_invalid")

    assert refusal(me(anonymous, old)) == (401, "token_invalid")
    assert refusal(me(anonymous, new)) == (401, "token_invalid")
    assert refusal(refresh(anonymous, new)) == (401, "token_invalid")
    assert AuthSession.objects.get().revoked_at is not None


def test_of_twins_that_refresh_one_wins(anonymous):
    old = log_in(anonymous, a_customer()).json()

    answers = race(*[lambda: refresh(anonymous, old).status_code] * 4)

    assert sorted(answers) == [200, 401, 401, 401]
    assert not AuthSession.objects.live().exists()


def test_an_inactive_customer_cannot_refresh(anonymous):
    tokens = log_in(anonymous, a_customer()).json()
    User.objects.update(is_active=False)

    assert refusal(refresh(anonymous, tokens)) == (401, "token_invalid")
    assert refusal(me(anonymous, tokens)) == (401, "token_invalid")


def test_logging_out_ends_this_logins_tokens(anonymous):
    tokens = log_in(anonymous, a_customer()).json()

    response = anonymous.post("/api/logout/", {"refresh": tokens["refresh"]})

    assert (response.status_code, response.content) == (204, b"")
    assert refusal(me(anonymous, tokens)) == (401, "token_invalid")
    assert refusal(refresh(anonymous, tokens)) == (401, "token_invalid")


@pytest.mark.parametrize("call", ["/api/token/refresh/", "/api/logout/"])
def test_only_a_refresh_token_of_ours_renews_or_ends_a_login(anonymous, call):
    tokens = log_in(anonymous, a_customer()).json()

    for odd in ("nonsense", "a.b.c", tokens["access"], tokens["refresh"] + "x", "é"):
        assert refusal(anonymous.post(call, {"refresh": odd})) == (401, "token_invalid")
    for odd in ("", None, 5, ["x"], "a\x00"):
        assert refusal(anonymous.post(call, {"refresh": odd})) == (422, "invalid")

    assert me(anonymous, tokens).status_code == 200
    assert AuthSession.objects.live().count() == 1


def test_a_reset_is_answered_alike_for_known_and_unknown_addresses(anonymous):
    user = a_customer("known")
    a_customer("inactive", is_active=False)
    addresses = ["known@example.com", "unknown@example.com", "inactive@example.com"]

    answers = [anonymous.post("/api/password-reset/", {"email": email}) for email in addresses]

    assert [(answer.status_code, answer.content) for answer in answers] == [
        (202, answers[0].content)
    ] * 3
    owed = PasswordReset.objects.owed().get()
    assert (owed.user, owed.mail_attempts, owed.mail_sent_at) == (user, 0, None)


def test_any_spelling_of_the_address_is_known(anonymous):
    user = a_customer("known")

    anonymous.post("/api/password-reset/", {"email": "KNOWN@Example.com"})

    assert PasswordReset.objects.get().user == user


def test_a_reset_sets_the_password_and_ends_every_login(anonymous):
    user = a_customer()
    logged_in = [log_in(anonymous, user).json() for _ in range(2)]
    user.refresh_from_db()

    response = confirm_reset(anonymous, passwords.reset_token(user))

    assert (response.status_code, response.content) == (204, b"")
    assert [refusal(me(anonymous, tokens)) for tokens in logged_in] == [(401, "token_invalid")] * 2
    assert [refusal(refresh(anonymous, tokens)) for tokens in logged_in] == [
        (401, "token_invalid")
    ] * 2
    assert refusal(log_in(anonymous, user)) == (401, "bad_credentials")
    assert log_in(anonymous, user, "another long one").status_code == 200


def test_a_reset_token_is_good_for_one_change(anonymous):
    user = a_customer()
    first, second = passwords.reset_token(user), passwords.reset_token(user)
    confirm_reset(anonymous, first)

    for spent in (first, second):
        assert refusal(confirm_reset(anonymous, spent, "yet another one")) == (401, "token_invalid")

    assert log_in(anonymous, user, "another long one").status_code == 200


@pytest.mark.parametrize(("seconds", "answer"), [(3590, 204), (3605, 401)])
def test_a_reset_token_is_good_for_an_hour(anonymous, monkeypatch, seconds, answer):
    user = a_customer()
    token = passwords.reset_token(user)
    later = timezone.make_naive(timezone.now()) + timedelta(seconds=seconds)
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda _: later)

    assert confirm_reset(anonymous, token).status_code == answer

    user.refresh_from_db()
    assert user.check_password("another long one") is (answer == 204)


@pytest.mark.parametrize(
    "token", ["x", ".", "1.", "-1.abc", "zzzzzzzzzzzzzzzz.a-b", "1.a-b", "٣.a-b", "9" * 2048]
)
def test_an_odd_reset_token_is_refused(anonymous, token):
    a_customer()

    assert refusal(confirm_reset(anonymous, token)) == (401, "token_invalid")


def test_a_reset_token_is_its_customers_alone(anonymous):
    thief, victim = a_customer(), a_customer()
    stolen = (
        passwords.reset_token(victim).partition(".")[0]
        + "."
        + passwords.reset_token(thief).partition(".")[2]
    )

    assert refusal(confirm_reset(anonymous, stolen)) == (401, "token_invalid")
    victim.refresh_from_db()
    assert victim.check_password(PASSWORD)


def test_a_weak_new_password_is_refused_and_spends_nothing(anonymous):
    user = a_customer()
    tokens = log_in(anonymous, user).json()
    user.refresh_from_db()
    token = passwords.reset_token(user)

    response = confirm_reset(anonymous, token, "short")

    assert refusal(response) == (422, "invalid")
    assert {error["field"] for error in response.json()["errors"]} == {"new_password"}
    assert me(anonymous, tokens).status_code == 200
    assert confirm_reset(anonymous, token).status_code == 204


def test_resets_of_yesterday_are_purged():
    user = a_customer()
    old, new = (PasswordReset.objects.create(user=user) for _ in range(2))
    PasswordReset.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(hours=25))
    PasswordReset.objects.filter(pk=new.pk).update(at=timezone.now() - timedelta(hours=23))

    logins.purge_ended()

    assert list(PasswordReset.objects.all()) == [new]


@pytest.mark.parametrize("end", ["password", "reset", "deactivation", "logout", "staff", "age"])
def test_access_ends_at_once_whatever_ends_it(anonymous, end):
    user = a_customer()
    tokens = log_in(anonymous, user).json()
    assert me(anonymous, tokens).status_code == 200
    user.refresh_from_db()
    show = a_show()

    if end == "password":
        passwords.change_password(user, PASSWORD, "another long one")
    elif end == "reset":
        passwords.reset_password(passwords.reset_token(user), "another long one")
    elif end == "deactivation":
        user.is_active = False
        user.save()
    elif end == "logout":
        logins.log_out(tokens["refresh"])
    elif end == "age":
        AuthSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        AuthSession.objects.filter(user=user).revoke()

    for method, path, body in (
        ("GET", "/api/me/", None),
        ("GET", "/api/my-bookings/", None),
        ("POST", f"/api/shows/{show.pk}/book/", {"seat_number": 5}),
        ("POST", f"/api/shows/{show.pk}/hold/", {"seat_number": 5}),
    ):
        response = anonymous(method, path, body, Authorization=f"Bearer {tokens['access']}")
        assert refusal(response) == (401, "token_invalid"), path
    assert refusal(refresh(anonymous, tokens)) == (401, "token_invalid")
    assert not show.bookings.exists()
