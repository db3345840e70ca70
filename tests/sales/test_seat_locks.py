"""Seat locks against a real Redis: they refuse others, let the same customer pass, and are never
needed.
"""

import signal
import time
from types import SimpleNamespace

import pytest
from django_redis import get_redis_connection

from cinema.errors import NotFound, SeatContended, SeatTaken
from cinema.infra import redis
from cinema.sales import bookings, seat_locks
from cinema.sales.idempotency import key_from
from cinema.sales.models import Booking
from cinema.sales.snapshots import Ended
from tests.support.factories import a_caller, a_show
from tests.support.racing import race
from tests.support.services import free_port, start_redis
from tests.support.suite.patience import own_time

pytestmark = pytest.mark.django_db(transaction=True)


def keys() -> dict[str, str]:
    redis.call("PING")  # behind a release, for which nobody waited
    server = get_redis_connection("default")
    return {key.decode(): server.get(key).decode() for key in server.keys("seat-lock:*")}


def test_a_lock_stands_while_the_block_runs_and_is_gone_behind_it():
    with seat_locks.locked(1, [5, 6], user_id=7):
        held = keys()
        lives = get_redis_connection("default").pttl(seat_locks.lock_key(1, 5))

    assert set(held) == {seat_locks.lock_key(1, 5), seat_locks.lock_key(1, 6)}
    assert all(value.startswith("7:") for value in held.values())
    assert 0 < lives <= seat_locks.LOCK_SECONDS * 1000
    assert keys() == {}


def test_another_customer_is_refused_at_once_and_takes_no_lock():
    with seat_locks.locked(1, [5], user_id=7):
        with pytest.raises(SeatContended) as refused, seat_locks.locked(1, [4, 5, 6], user_id=8):
            pytest.fail("the block must not run")

        assert refused.value.extra == {"seats": [5]}
        assert refused.value.retry_after == 1
        assert set(keys()) == {seat_locks.lock_key(1, 5)}


def test_seven_is_not_the_same_customer_as_seventy_seven():
    with (
        seat_locks.locked(1, [5], user_id=7),
        pytest.raises(SeatContended),
        seat_locks.locked(1, [5], user_id=77),
    ):
        pytest.fail("the block must not run")


def test_the_same_customers_retry_passes_and_its_lock_outlives_the_first_attempt():
    first, retry = seat_locks.locked(1, [5], user_id=7), seat_locks.locked(1, [5], user_id=7)
    first.__enter__()
    retry.__enter__()

    first.__exit__(None, None, None)

    assert set(keys()) == {seat_locks.lock_key(1, 5)}  # the release compared before it deleted
    retry.__exit__(None, None, None)
    assert keys() == {}


def test_the_same_seat_of_another_show_is_another_lock():
    with seat_locks.locked(1, [5], user_id=7), seat_locks.locked(2, [5], user_id=8):
        assert len(keys()) == 2


def test_a_refused_booking_releases_its_locks():
    with pytest.raises(NotFound):
        bookings.book(a_caller(), 999, [1])

    assert keys() == {}


def test_a_contended_booking_never_reaches_the_database():
    show = a_show()

    with seat_locks.locked(show.pk, [5], user_id=0), pytest.raises(SeatContended):
        bookings.book(a_caller(), show.pk, [5])

    assert not Booking.objects.exists()


def test_a_dead_owners_lock_dies(monkeypatch):
    monkeypatch.setattr(seat_locks, "LOCK_SECONDS", 1)
    seat_locks.locked(1, [5], user_id=7).__enter__()

    time.sleep(1.1)

    with seat_locks.locked(1, [5], user_id=8):
        assert keys()[seat_locks.lock_key(1, 5)].startswith("8:")


@pytest.fixture
def dying_redis(monkeypatch):
    """A server of its own, to be stopped or killed."""
    port = free_port()
    server = start_redis(port)
    pool = get_redis_connection("default").connection_pool
    own = pool.connection_class(
        **pool.connection_kwargs | {"port": port, "host": "127.0.0.1", "db": 0}
    )
    monkeypatch.setattr(redis, "_thread", SimpleNamespace(connection=own))
    yield server
    server.kill()
    server.wait()


def test_sales_go_on_when_redis_is_killed(dying_redis):
    show = a_show()
    assert bookings.book(a_caller(), show.pk, [1]).created
    dying_redis.kill()
    dying_redis.wait()

    outcomes = [bookings.book(a_caller(), show.pk, [seat]) for seat in range(2, 8)]

    assert all(outcome.created for outcome in outcomes)
    assert redis.breaker.is_open
    with pytest.raises(SeatTaken):
        bookings.book(a_caller(), show.pk, [1])


def test_a_silent_redis_costs_a_quarter_second_a_question_and_then_nothing(dying_redis):
    show, callers = a_show(), [a_caller() for _ in range(6)]
    with seat_locks.locked(show.pk, [99], user_id=1):
        pass
    dying_redis.send_signal(signal.SIGSTOP)
    took = []

    for seat, caller in enumerate(callers, 1):
        started = own_time()
        assert bookings.book(caller, show.pk, [seat]).created
        took.append(own_time() - started)

    dying_redis.send_signal(signal.SIGCONT)
    assert redis.breaker.is_open
    assert max(took) < 1
    assert max(took[3:]) < 0.25


def test_the_breaker_probes_once_and_closes_when_redis_is_back(dying_redis, monkeypatch):
    asked = []

    def failing():
        asked.append(1)
        raise ConnectionError

    for _ in range(10):
        assert redis.breaker.run(failing, "no answer") == "no answer"
    assert len(asked) == redis.FAILURES

    redis.breaker._asks_again_at = time.monotonic()
    assert redis.breaker.run(failing, None) is None
    assert redis.breaker.run(failing, None) is None
    assert len(asked) == redis.FAILURES + 1

    redis.breaker._asks_again_at = time.monotonic()
    assert redis.breaker.run(lambda: "answer", None) == "answer"
    assert not redis.breaker.is_open


def test_a_confused_redis_is_as_good_as_none(dying_redis):
    show = a_show()
    redis.call("CONFIG", "SET", "maxmemory", "1")

    assert bookings.book(a_caller(), show.pk, [1]).created


def test_a_flushed_redis_learns_the_scripts_again(dying_redis):
    show = a_show()
    bookings.book(a_caller(), show.pk, [1])
    redis.call("SCRIPT", "FLUSH")

    assert bookings.book(a_caller(), show.pk, [2]).created
    assert not redis.breaker.is_open


def test_without_redis_url_there_are_no_locks(settings):
    settings.REDIS_URL = ""

    with seat_locks.locked(1, [5], user_id=7):
        assert keys() == {}


def test_threads_that_come_and_go_do_not_use_redis_up():
    for _ in range(10):
        assert race(*[lambda: redis.call("PING")] * 16) == [b"PONG"] * 16


def test_locks_that_redis_took_too_late_are_released_all_the_same(monkeypatch):
    call = redis.call

    def late(*command):
        call(*command)
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(redis, "call", late)
        lock = seat_locks.locked(1, [5], user_id=7)
        lock.__enter__()
    assert set(keys()) == {seat_locks.lock_key(1, 5)}

    lock.__exit__(None, None, None)

    assert keys() == {}


def test_a_keyed_repeat_gets_its_answer_while_another_tries_for_the_seat():
    caller, show, key = a_caller(), a_show(), key_from("k", "POST", "/", {})
    first = bookings.book(caller, show.pk, [5], key)

    with seat_locks.locked(show.pk, [5], user_id=0):
        again = bookings.book(caller, show.pk, [5], key)

    assert again.booking.id == first.booking.id
    assert again.created
    assert again.ended is Ended.KEPT
