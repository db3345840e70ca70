"""Lock-outs under many guesses at once."""

import pytest
from axes.models import AccessAttempt

from cinema.people import lockouts
from cinema.people.models import AuthSession
from project.config.hashers import Argon2
from tests.support.factories import PASSWORD
from tests.support.guessing import HERE, LIMIT, LOCKED, WRONG, log_in, told
from tests.support.racing import race

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lockouts_on")]


@pytest.mark.parametrize("many", [12, 30])
def test_of_many_wrong_passwords_at_once_no_more_are_answered_than_the_limit_allows(
    anonymous, known, many
):
    answers = race(*[lambda: told(log_in(anonymous))] * many)

    assert answers.count(WRONG) == LIMIT, answers
    assert answers.count(LOCKED) == many - LIMIT
    assert AccessAttempt.objects.get().failures_since_start == LIMIT


@pytest.mark.parametrize(
    ("backends", "answer"),
    [
        (["cinema.lockouts.Backend"], LOCKED),
        (
            ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"],
            (200, ""),
        ),
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
            AccessAttempt.objects.create(
                username="known", ip_address=HERE, user_agent="", failures_since_start=LIMIT
            )
        return real(hasher, password, encoded)

    monkeypatch.setattr(Argon2, "verify", slow)

    assert told(log_in(anonymous, password=PASSWORD)) == answer
    assert AuthSession.objects.exists() is (answer[0] == 200)


def test_many_right_logins_at_once_all_pass(anonymous, known):
    assert race(*[lambda: log_in(anonymous, password=PASSWORD).status_code] * 8) == [200] * 8


def test_without_the_limit_in_its_statement_they_would_be(anonymous, known, monkeypatch):
    monkeypatch.setattr(lockouts, "_count_failure", lambda *_: True)

    answers = race(*[lambda: told(log_in(anonymous))] * 12)

    assert answers.count(WRONG) == 12
