"""Lock-outs: too many wrong passwords for one username from one address, over the API and at the admin's login."""

import re
import time
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import get_hasher
from django.test import Client, RequestFactory

from cinema import lockouts, logins
from cinema.api.auth import place_of
from cinema.models import AuthSession, User
from project.hashers import Argon2
from tests.conftest import refusal
from tests.factories import PASSWORD, a_customer
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)

HERE, THERE = "203.0.113.1", "203.0.113.2"
WRONG, LOCKED = (401, "bad_credentials"), (429, "throttled")
LIMIT = 3


@pytest.fixture(autouse=True)
def lockouts_on(settings):
    settings.AXES_ENABLED, settings.AXES_FAILURE_LIMIT = True, LIMIT
    settings.AXES_COOLOFF_TIME = timedelta(minutes=15)


@pytest.fixture
def known():
    return a_customer("known")


def log_in(api, name="known", password="wrong", address=HERE, **headers):
    return api.client.post(
        "/api/login/",
        {"username": name, "password": password},
        content_type="application/json",
        REMOTE_ADDR=address,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def told(response) -> tuple[int, str]:
    return (200, "") if response.status_code == 200 else refusal(response)


def enter(name="clerk", password="wrong", address=HERE, **headers):
    """The admin's login, as a browser sends it."""
    form = {"username": name, "password": password}
    return Client().post("/admin/login/", form, REMOTE_ADDR=address, headers=headers)


def pass_time(seconds: float) -> None:
    """As if so many seconds had passed since the last failure."""
    for attempt in AccessAttempt.objects.all():
        earlier = attempt.attempt_time - timedelta(seconds=seconds)
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=earlier)


def hashes(monkeypatch) -> list[str]:
    """Every password that is hashed from now on, to be kept or to be compared."""
    seen: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(Argon2, name)
        monkeypatch.setattr(Argon2, name, lambda *args, real=real, name=name: seen.append(name) or real(*args))
    assert isinstance(get_hasher(), Argon2)
    return seen


def test_too_many_wrong_passwords_lock_the_pair(anonymous, known):
    assert [told(log_in(anonymous)) for _ in range(LIMIT + 2)] == [WRONG] * LIMIT + [LOCKED] * 2

    response = log_in(anonymous, password=PASSWORD)

    assert told(response) == LOCKED
    assert 880 < int(response.headers["Retry-After"]) <= 900
    assert response.json()["detail"] == "Too many wrong passwords for this username. Wait 15 minutes, then try again."
    assert not AuthSession.objects.exists()


def test_the_limit_is_the_settings(anonymous, known, settings):
    settings.AXES_FAILURE_LIMIT = 1

    assert [told(log_in(anonymous)) for _ in range(2)] == [WRONG, LOCKED]


def test_zero_failures_turn_it_off(anonymous, known, settings):
    settings.AXES_ENABLED = False

    assert {told(log_in(anonymous)) for _ in range(LIMIT + 2)} == {WRONG}
    assert not AccessAttempt.objects.exists()
    assert log_in(anonymous, password=PASSWORD).status_code == 200


def test_another_address_and_another_name_are_not_locked(anonymous, known):
    a_customer("another")
    for _ in range(LIMIT):
        log_in(anonymous)

    assert told(log_in(anonymous, password=PASSWORD)) == LOCKED
    assert told(log_in(anonymous, password=PASSWORD, address=THERE))[0] == 200
    assert told(log_in(anonymous, "another", PASSWORD))[0] == 200


def test_it_is_over_after_its_time(anonymous, known):
    for _ in range(LIMIT):
        log_in(anonymous)
    pass_time(890)
    assert told(log_in(anonymous, password=PASSWORD)) == LOCKED

    pass_time(11)

    assert told(log_in(anonymous, password=PASSWORD))[0] == 200


def test_a_refused_try_does_not_make_it_longer(anonymous, known):
    for _ in range(LIMIT):
        log_in(anonymous)
    pass_time(600)

    response = log_in(anonymous)

    assert told(response) == LOCKED
    assert int(response.headers["Retry-After"]) <= 300


def test_afterwards_it_counts_from_the_start(anonymous, known):
    for _ in range(LIMIT):
        log_in(anonymous)
    pass_time(901)

    assert [told(log_in(anonymous)) for _ in range(LIMIT + 1)] == [WRONG] * LIMIT + [LOCKED]


def test_a_success_forgets_its_own_pair_alone(anonymous, known):
    a_customer("another")
    for _ in range(LIMIT - 1):
        log_in(anonymous)
        log_in(anonymous, address=THERE)
        log_in(anonymous, "another")

    assert told(log_in(anonymous, password=PASSWORD))[0] == 200

    counts = {(each.username, each.ip_address): each.failures_since_start for each in AccessAttempt.objects.all()}
    assert counts == {("known", THERE): LIMIT - 1, ("another", HERE): LIMIT - 1}
    assert [told(log_in(anonymous)) for _ in range(LIMIT)] == [WRONG] * LIMIT


def test_ones_own_success_does_not_open_another_name(anonymous, known):
    """Who has an account cannot reset the count of the one that he guesses at."""
    a_customer("mine")

    for _ in range(LIMIT):
        log_in(anonymous)
        assert log_in(anonymous, "mine", PASSWORD).status_code == 200

    assert told(log_in(anonymous)) == LOCKED


def test_every_spelling_is_one_name_and_every_program_one_client(anonymous, known):
    for name, program in (("known", "curl"), ("KNOWN", "wget"), ("ｋｎｏｗｎ", "")):
        assert told(log_in(anonymous, name, User_Agent=program, Accept=program)) == WRONG

    assert told(log_in(anonymous, "Known", PASSWORD)) == LOCKED
    assert AccessAttempt.objects.count() == 1


def test_a_forwarded_address_opens_nothing(anonymous, known):
    answers = [told(log_in(anonymous, X_Forwarded_For=f"198.51.100.{n}")) for n in range(LIMIT + 1)]

    assert answers == [WRONG] * LIMIT + [LOCKED]


def test_behind_a_proxy_the_address_that_it_wrote_counts(anonymous, known, settings):
    settings.NUM_PROXIES = 1

    def answer(n, client):
        return told(log_in(anonymous, address="10.0.0.9", X_Forwarded_For=f"198.51.100.{n}, {client}"))

    assert [answer(n, THERE) for n in range(LIMIT + 1)] == [WRONG] * LIMIT + [LOCKED]
    assert answer(9, "203.0.113.3") == WRONG


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("203.0.113.7", "203.0.113.7"), ("203.0.113.7:4711", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::"), ("fe80::1%eth0", "fe80::"), ("::1", "::"),
        ("unknown", "::"), ("", "::"), ("nonsense", "::"), ("1.2.3", "::"), ("203.0.113.7:", "203.0.113.7"),
        ("\x00", "::"), ("é", "::"), ("1" * 5000, "::"), ("[", "::"), ("unix:", "::"), ("a.b:c:d", "::"),
    ],
)  # fmt: skip
def test_a_place_is_an_address_that_the_database_takes(anonymous, written, place):
    assert place_of(RequestFactory().get("/", REMOTE_ADDR=written)) == place

    assert told(log_in(anonymous, address=written)) == WRONG
    assert AccessAttempt.objects.get().ip_address == place


@pytest.mark.parametrize("name", ["no/name at all", "ﷺ" * 150, "😀" * 150, "x" * 150, "", " ", "é"])
def test_a_name_that_nobody_can_have_is_counted_like_any_other(anonymous, name):
    answers = [told(log_in(anonymous, name)) for _ in range(LIMIT + 1)]

    assert answers == [WRONG] * LIMIT + [LOCKED]


def test_locked_or_not_nothing_is_told_of_who_is_known(anonymous, known):
    a_customer("inactive", is_active=False)
    tries = [("known", "wrong"), ("unknown", "wrong"), ("inactive", PASSWORD)]

    answers = {name: [log_in(anonymous, name, password) for _ in range(LIMIT + 1)] for name, password in tries}

    told_ = {
        name: [(one.status_code, one.json() | {"request_id": ""}, one.headers.get("WWW-Authenticate")) for one in each]
        for name, each in answers.items()
    }
    assert told_["known"] == told_["unknown"] == told_["inactive"]
    assert [status for status, _, _ in told_["known"]] == [401] * LIMIT + [429]


def test_each_wrong_login_costs_one_hash_and_a_locked_one_none(anonymous, known, monkeypatch):
    a_customer("inactive", is_active=False)
    User.objects.filter(pk=a_customer("nopassword").pk).update(password="!unusable")
    seen = hashes(monkeypatch)

    for name in ("known", "unknown", "inactive", "nopassword", "no/name"):
        seen.clear()
        for tries in range(1, LIMIT + 1):
            log_in(anonymous, name)
            assert len(seen) == tries, name
        assert told(log_in(anonymous, name, PASSWORD)) == LOCKED
        assert len(seen) == LIMIT, name


def test_unknown_and_wrong_take_the_same_time(anonymous, known, settings):
    settings.AXES_FAILURE_LIMIT = 1000

    def seconds(name) -> list[float]:
        found = []
        for _ in range(9):
            started = time.perf_counter()
            log_in(anonymous, name)
            found.append(time.perf_counter() - started)
        return sorted(found)

    seconds("known"), seconds("unknown")
    known_, unknown = seconds("known"), seconds("unknown")

    assert known_[4] < 2 * unknown[4]
    assert unknown[4] < 2 * known_[4]


@pytest.mark.parametrize("many", [12, 30])
def test_of_many_wrong_passwords_at_once_no_more_are_answered_than_the_limit_allows(anonymous, known, many):
    answers = race(*[lambda: told(log_in(anonymous))] * many)

    assert answers.count(WRONG) == LIMIT, answers
    assert answers.count(LOCKED) == many - LIMIT
    assert AccessAttempt.objects.get().failures_since_start == LIMIT


@pytest.mark.parametrize(
    ("backends", "answer"),
    [
        (["cinema.lockouts.Backend"], LOCKED),
        (["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"], (200, "")),
    ],
    ids=["ours", "stock, the control"],
)
def test_a_right_guess_is_refused_once_others_beside_it_have_locked_the_pair(
    anonymous, known, monkeypatch, settings, backends, answer
):
    """The lock falls while the right password is being hashed."""
    settings.AUTHENTICATION_BACKENDS = backends
    real = Argon2.verify

    def slow(hasher, password, encoded):
        if password == PASSWORD:
            AccessAttempt.objects.create(username="known", ip_address=HERE, user_agent="", failures_since_start=LIMIT)
        return real(hasher, password, encoded)

    monkeypatch.setattr(Argon2, "verify", slow)

    assert told(log_in(anonymous, password=PASSWORD)) == answer
    assert AuthSession.objects.exists() is (answer[0] == 200)


def test_many_right_logins_at_once_all_pass(anonymous, known):
    assert race(*[lambda: log_in(anonymous, password=PASSWORD).status_code] * 8) == [200] * 8


def test_without_the_limit_in_its_statement_they_would_be(anonymous, known, monkeypatch):
    monkeypatch.setattr(lockouts, "_counted", lambda *_: True)

    answers = race(*[lambda: told(log_in(anonymous))] * 12)

    assert answers.count(WRONG) == 12


def test_without_a_request_nothing_is_counted(known):
    for _ in range(LIMIT + 1):
        with pytest.raises(logins.BadCredentials):
            logins.log_in("known", "wrong")

    assert logins.log_in("known", PASSWORD)
    assert Client().login(username="known", password=PASSWORD)
    assert not AccessAttempt.objects.exists()


def test_what_no_longer_counts_is_purged(anonymous, known):
    log_in(anonymous, "old")
    pass_time(901)
    log_in(anonymous, "new")

    logins.purge_ended()

    assert [each.username for each in AccessAttempt.objects.all()] == ["new"]


def test_nothing_that_was_posted_is_kept(anonymous, known):
    enter("known", "hush-hush", **{"User-Agent": "curl", "Referer": "x"})
    log_in(anonymous, password="hush-hush", User_Agent="curl")

    attempt = AccessAttempt.objects.get()
    kept = {name: value for name, value in vars(attempt).items() if not name.startswith("_")}
    assert {name for name, value in kept.items() if value not in ("", None)} == {
        "id", "username", "ip_address", "attempt_time", "failures_since_start",
    }  # fmt: skip


def lock_everything(anonymous) -> None:
    for _ in range(LIMIT + 1):
        log_in(anonymous, "somebody", "hush-hush")
        enter("somebody", "hush-hush")
    log_in(anonymous, "known", PASSWORD)


SECRETS = re.compile(rf"somebody|known|hush-hush|{re.escape(PASSWORD)}|{re.escape(HERE)}")


def test_the_log_tells_no_name_no_address_and_no_password(anonymous, known, caplog, written):
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="axes")

    lock_everything(anonymous)

    assert ("api/login/", 429) in {(line.get("route"), line.get("status")) for line in written}
    assert not SECRETS.findall(str(written))


def test_stock_counting_would_tell_them(anonymous, known, caplog, settings, written):
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="axes")
    settings.AXES_HANDLER, settings.AXES_SENSITIVE_PARAMETERS = "axes.handlers.database.AxesDatabaseHandler", []

    lock_everything(anonymous)

    assert SECRETS.findall(str(written))


@pytest.fixture
def clerk():
    return User.objects.create_superuser("clerk", "clerk@example.com", PASSWORD)


def sentence(response) -> str:
    return re.search(r'<div class="errornote[^>]*>\s*(.*?)\s*</div>', response.content.decode(), re.DOTALL)[1]


def test_the_admins_login_is_locked_in_the_form(clerk):
    for _ in range(LIMIT):
        response = enter()
        assert (response.status_code, "Retry-After" in response.headers) == (200, False)
        assert "Please enter the correct username and password" in sentence(response)

    for password in ("wrong", PASSWORD):
        response = enter(password=password)
        assert response.status_code == 429
        assert sentence(response) == "Too many wrong passwords for this username. Wait 15 minutes, then try again."
        assert 880 < int(response.headers["Retry-After"]) <= 900
        assert "sessionid" not in response.cookies
    assert enter(password=PASSWORD, address=THERE).status_code == 302


def test_both_doors_count_together(anonymous, clerk):
    log_in(anonymous, "clerk")
    enter("CLERK")
    log_in(anonymous, "clerk")

    assert enter(password=PASSWORD).status_code == 429
    assert told(log_in(anonymous, "clerk", PASSWORD)) == LOCKED


def test_entering_the_admin_forgets_the_count(clerk):
    enter()

    assert enter(password=PASSWORD).status_code == 302
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{}, {"username": "clerk"}, {"password": "x"}, {"username": "a\x00b", "password": "x"},
     {"username": "x" * 500, "password": "x"}, {"username": "ﷺ" * 150, "password": "x"}],
    ids=[*"123456"],
)  # fmt: skip
def test_an_odd_form_is_no_server_error(clerk, fields):
    assert Client().post("/admin/login/", fields).status_code == 200


def test_the_admins_login_is_throttled(clerk, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, 86_400)}
    settings.AXES_ENABLED = False

    assert [enter(f"name{n}").status_code for n in range(3)] == [200, 200, 429]
    response = enter(password=PASSWORD)

    assert response.status_code == 429
    assert sentence(response) == "Too many calls in a short time. Wait, then try again."
    assert 1 <= int(response.headers["Retry-After"]) <= 86_400
    assert enter(password=PASSWORD, address=THERE).status_code == 302


def test_one_throttle_is_for_both_doors(anonymous, clerk, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, 86_400)}

    log_in(anonymous, "clerk", address=THERE)
    assert enter("CLERK").status_code == 200

    assert enter(password=PASSWORD).status_code == 429
    assert told(log_in(anonymous, "other", address=THERE)) == WRONG
    assert told(log_in(anonymous, "third", address=THERE)) == LOCKED


def test_staff_see_who_is_locked_and_let_them_in_again(anonymous, known, clerk):
    for _ in range(LIMIT):
        log_in(anonymous)
    log_in(anonymous, "another")
    staff = Client()
    staff.force_login(clerk)

    page = staff.get("/admin/axes/accessattempt/").content.decode()
    rows = re.findall(r'field-username.*?(known|another)<.*?field-locked_until">(.*?)</td>', page, re.DOTALL)
    assert {name: bool(until) and until != "-" for name, until in rows} == {"known": True, "another": False}
    locked = AccessAttempt.objects.get(username="known")
    staff.post("/admin/axes/accessattempt/", {"action": "clear", "_selected_action": [locked.pk]})

    assert [each.username for each in AccessAttempt.objects.all()] == ["another"]
    assert told(log_in(anonymous, password=PASSWORD))[0] == 200


def test_staff_without_the_permission_see_no_lock_outs(known):
    client = Client()
    client.force_login(a_customer("programme", is_staff=True))

    assert client.get("/admin/axes/accessattempt/").status_code == 403
