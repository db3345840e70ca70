"""Lock-outs: too many wrong passwords for one username from one address."""

import pytest
from axes.models import AccessAttempt
from django.test import Client, RequestFactory

from cinema.infra.client_address import client_network
from cinema.people import logins
from cinema.people.models import AuthSession
from tests.support.factories import PASSWORD, a_customer
from tests.support.guessing import HERE, LIMIT, LOCKED, THERE, WRONG, log_in, pass_time, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lockouts_on")]


def test_too_many_wrong_passwords_lock_the_pair(anonymous, known):
    assert [told(log_in(anonymous)) for _ in range(LIMIT + 2)] == [WRONG] * LIMIT + [LOCKED] * 2

    response = log_in(anonymous, password=PASSWORD)

    assert told(response) == LOCKED
    assert 880 < int(response.headers["Retry-After"]) <= 900
    assert (
        response.json()["detail"]
        == "Too many wrong passwords for this username. Wait 15 minutes, then try again."
    )
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

    counts = {
        (each.username, each.ip_address): each.failures_since_start
        for each in AccessAttempt.objects.all()
    }
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
        return told(
            log_in(anonymous, address="10.0.0.9", X_Forwarded_For=f"198.51.100.{n}, {client}")
        )

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
    assert client_network(RequestFactory().get("/", REMOTE_ADDR=written)) == place

    assert told(log_in(anonymous, address=written)) == WRONG
    assert AccessAttempt.objects.get().ip_address == place


@pytest.mark.parametrize("name", ["no/name at all", "ﷺ" * 150, "😀" * 150, "x" * 150, "", " ", "é"])
def test_a_name_that_nobody_can_have_is_counted_like_any_other(anonymous, name):
    answers = [told(log_in(anonymous, name)) for _ in range(LIMIT + 1)]

    assert answers == [WRONG] * LIMIT + [LOCKED]


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
