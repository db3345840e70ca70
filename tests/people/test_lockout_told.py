"""Lock-outs tell nobody who is known: not by an answer, not by its time, not by the log."""

import re
import time

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import get_hasher

from cinema.people.models import User
from project.config.hashers import Argon2
from tests.support.factories import PASSWORD, a_customer
from tests.support.guessing import HERE, LIMIT, LOCKED, enter, log_in, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lockouts_on")]


def hashes(monkeypatch) -> list[str]:
    """Every password that is hashed from now on, to be kept or to be compared."""
    seen: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(Argon2, name)
        monkeypatch.setattr(
            Argon2, name, lambda *args, real=real, name=name: seen.append(name) or real(*args)
        )
    assert isinstance(get_hasher(), Argon2)
    return seen


def test_locked_or_not_nothing_is_told_of_who_is_known(anonymous, known):
    a_customer("inactive", is_active=False)
    tries = [("known", "wrong"), ("unknown", "wrong"), ("inactive", PASSWORD)]

    answers = {
        name: [log_in(anonymous, name, password) for _ in range(LIMIT + 1)]
        for name, password in tries
    }

    told_ = {
        name: [
            (one.status_code, one.json() | {"request_id": ""}, one.headers.get("WWW-Authenticate"))
            for one in each
        ]
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


def test_unknown_and_wrong_take_the_same_time(anonymous, known, settings, full_hashes):
    settings.AXES_FAILURE_LIMIT = 1000
    known.set_password(PASSWORD)
    known.save()

    def seconds(name) -> list[float]:
        found = []
        for _ in range(9):
            started = time.process_time()  # a busy machine takes the other one's time as well
            log_in(anonymous, name)
            found.append(time.process_time() - started)
        return sorted(found)

    seconds("known"), seconds("unknown")
    known_, unknown = seconds("known"), seconds("unknown")

    assert known_[4] < 2 * unknown[4]
    assert unknown[4] < 2 * known_[4]


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
    settings.AXES_HANDLER, settings.AXES_SENSITIVE_PARAMETERS = (
        "axes.handlers.database.AxesDatabaseHandler",
        [],
    )

    lock_everything(anonymous)

    assert SECRETS.findall(str(written))
