"""What `/metrics` tells: every way that a booking can end, the workers' sums, and what is asked at
that moment.
"""

import re
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django_redis import get_redis_connection
from prometheus_client.parser import text_string_to_metric_families

from cinema.errors import Refusal
from cinema.infra import metrics, redis
from cinema.infra.monitoring import heartbeats, worker_counts
from cinema.people.caller import Caller
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import BookingEvent
from project.serving import metrics as project_metrics
from project.serving.metrics import exposition
from tests.support.factories import a_booking, a_caller, a_customer, a_hold, a_show, make_stale
from tests.support.racing import race
from tests.support.suite.patience import PATIENCE_SECONDS, own_time
from workers import tasks, telemetry  # noqa: F401 - `runs` hears of every task

pytestmark = pytest.mark.django_db(transaction=True)
Samples = dict[tuple[str, ...], float]


def samples() -> Samples:
    """Every sample by its name and the values of its labels, in the order of their names."""
    families = text_string_to_metric_families(exposition().decode())
    return {
        (one.name, *one.labels.values()): one.value for family in families for one in family.samples
    }


def up() -> dict[str, float]:
    return {part[0]: value for (name, *part), value in samples().items() if name == "marquee_up"}


@pytest.fixture
def counted():
    """What was counted in the test so far, of one metric: `{("book", "done"): 2}`."""
    before = samples()

    def since(name: str) -> dict[tuple[str, ...], float]:
        news = {
            key: value - before.get(key, 0) for key, value in samples().items() if key[0] == name
        }
        return {key[1:]: value for key, value in news.items() if value}

    return since


def refused(act, *args) -> None:
    with pytest.raises(Refusal):
        act(*args)


def test_every_way_that_a_call_ends_is_counted(counted, each_way):
    show, caller, other = a_show(), a_caller(), a_caller()
    clerk = Caller(a_customer(is_staff=True).pk, staff=True)

    bookings.book(caller, show.pk, [1])
    refused(bookings.book, other, show.pk, [1])
    refused(bookings.book, other, show.pk, [101])
    held = bookings.hold(other, show.pk, [2]).booking.id
    bookings.hold(other, show.pk, [2])
    refused(bookings.hold, other, show.pk, [3])
    bookings.confirm(other, held)
    bookings.confirm(other, held)
    bookings.cancel(clerk, held)
    bookings.cancel(clerk, held)
    refused(bookings.confirm, other, held)

    assert counted("marquee_bookings_total") == {
        ("book", "done"): 1,
        ("book", "seat_taken"): 1,
        ("book", "seat_out_of_range"): 1,
        ("hold", "done"): 1,
        ("hold", "same"): 1,
        ("hold", "hold_limit"): 1,
        ("confirm", "done"): 1,
        ("confirm", "same"): 1,
        ("confirm", "booking_closed"): 1,
        ("cancel", "done"): 1,
        ("cancel", "same"): 1,
    }


def test_a_repeat_and_an_outage_are_counted_as_what_they_are(api, counted, monkeypatch):
    show = a_show()
    for _ in range(2):
        assert (
            api.post(
                f"/api/shows/{show.pk}/book/", {"seat_number": 1}, Idempotency_Key="k"
            ).status_code
            == 201
        )

    def away(*_, **__):
        raise OperationalError

    monkeypatch.setattr(bookings, "_sell", away)
    assert api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 2}).status_code == 503

    assert counted("marquee_bookings_total") == {
        ("book", "done"): 1,
        ("book", "kept"): 1,
        ("book", "unavailable"): 1,
    }


def test_seat_locks_are_timed_and_the_contended_counted(counted):
    show, callers = a_show(), [a_caller() for _ in range(6)]

    results = race(
        *(lambda caller=caller: bookings.book(caller, show.pk, [1]) for caller in callers)
    )

    contended = sum(type(result).__name__ == "SeatContended" for result in results)
    assert counted("marquee_seat_lock_seconds_count") == {(): 6}
    assert counted("marquee_seat_lock_contended_total").get((), 0) == contended


def test_the_breaker_tells_that_it_is_open_and_closed(counted):
    assert samples()["marquee_breaker_open",] == 0

    for _ in range(redis.FAILURES):
        redis.breaker.run(fail, None)
    assert samples()["marquee_breaker_open",] == 1
    assert counted("marquee_redis_failures_total") == {(): 3}

    redis.breaker._asks_again_at = 0
    redis.breaker.run(lambda: True, None)
    assert samples()["marquee_breaker_open",] == 0


def fail() -> None:
    raise ConnectionError


def test_what_a_worker_counts_is_told_by_the_api_and_added_once():
    show = a_show()
    for seat in (1, 2):
        make_stale(a_hold(show=show, seats=(seat,)))
    worker_counts.begin()  # as a worker's process does

    tasks.expire_holds.apply()
    tasks.expire_holds.apply()
    tasks.sweep_mail.apply()

    told = samples()
    assert told["marquee_bookings_total", "expire", "workers", "done"] == 2
    assert told["marquee_task_seconds_count", "workers", "expire_holds"] >= 2
    # so that the first is an increase
    assert told["marquee_task_failures_total", "workers", "sweep_mail"] == 0
    assert told["marquee_task_age_seconds", "expire_holds"] < 5


def test_a_task_that_fails_is_counted(monkeypatch, counted):
    monkeypatch.setattr(bookings, "expire_stale", fail)
    worker_counts.begin()

    tasks.expire_holds.apply()

    assert counted("marquee_task_failures_total")["workers", "expire_holds"] == 1


def test_what_redis_does_not_take_is_added_behind_the_next_task(settings):
    worker_counts.begin()
    there, settings.REDIS_URL = settings.REDIS_URL, ""
    metrics.booking("expire", "done", 3)
    worker_counts.add("expire_holds")

    settings.REDIS_URL = there
    worker_counts.add("expire_holds")
    assert samples()["marquee_bookings_total", "expire", "workers", "done"] == 3
    metrics.booking("expire", "done", 4)
    worker_counts.add("expire_holds")

    assert samples()["marquee_bookings_total", "expire", "workers", "done"] == 7


def test_an_emptied_redis_is_told_zeros_again():
    """Else the first failure behind it is no increase, and nobody is called."""
    worker_counts.begin()
    tasks.expire_holds.apply()
    get_redis_connection("default").flushdb()
    assert ("marquee_task_failures_total", "workers", "expire_holds") not in samples()

    tasks.expire_holds.apply()

    assert samples()["marquee_task_failures_total", "workers", "expire_holds"] == 0
    assert samples()["marquee_bookings_total", "expire", "workers", "done"] == 0


def test_a_task_of_another_name_is_forgotten_after_a_week():
    tasks.expire_holds.apply()
    server = get_redis_connection("default")
    for name, days in (("old", 8), ("daily", 6)):
        server.hset(worker_counts.LAST_RUNS, name, int(server.time()[0]) - days * 24 * 3600)

    ages = {
        task for name, *rest in samples() if name == "marquee_task_age_seconds" for task in rest
    }

    assert ages == {"expire_holds", "daily"}


def test_what_is_owed_refused_and_left_over_is_told():
    show = a_show()
    a_booking(show=show, seats=(1,))
    a_booking(show=show, seats=(2,))
    make_stale(a_hold(show=show, seats=(3,)))
    BookingEvent.objects.filter(pk=BookingEvent.objects.first().pk).update(
        mail_due_at=None, mail_failed_at=Now()
    )
    BookingEvent.objects.update(at=Now() - timedelta(seconds=90))
    Show.objects.filter(pk=show.pk).update(cancelled_at=Now())

    told = samples()

    assert told["marquee_mails_owed", "event"] == 1
    assert told["marquee_mails_failed", "event"] == 1
    assert (told["marquee_mails_owed", "reset"], told["marquee_mails_failed", "reset"]) == (0, 0)
    assert 90 <= told["marquee_mails_oldest_seconds",] < 100
    assert told["marquee_holds_stale",] == 1
    assert told["marquee_shows_being_cancelled",] == 1
    if connection.vendor != "sqlite":
        assert (
            1
            <= told["marquee_database_connections", "used"]
            < told["marquee_database_connections", "allowed"]
        )


def test_the_mails_that_were_put_off_twice_are_told():
    show = a_show()
    for seat, attempts in ((1, 1), (2, 2), (3, 3)):
        a_booking(show=show, seats=(seat,)).events.update(
            mail_attempts=attempts, mail_error="SMTPDataError 451"
        )
    a_booking(show=show, seats=(4,)).events.update(mail_attempts=2)  # its workers died

    told = samples()

    assert (told["marquee_mails_put_off",], told["marquee_mails_owed", "event"]) == (2, 4)
    assert up()["mail"] == 0


def test_queues_and_workers_are_told(all_well):
    get_redis_connection("default").rpush("mail", "one", "two")
    heartbeats.worker_lives("celery@there", starts=True)
    get_redis_connection("default").zincrby(heartbeats.WORKERS, -60, "celery@there")

    told = samples()

    assert (told["marquee_queue_messages", "mail"], told["marquee_queue_messages", "celery"]) == (
        2,
        0,
    )
    assert (told["marquee_workers", "alive"], told["marquee_workers", "silent"]) == (1, 1)
    assert told["marquee_beat_age_seconds",] < 5
    assert up() == {"redis": 1, "workers": 0, "beat": 1, "mail": 1, "database": 1}


def test_the_queues_are_those_of_the_workers():
    assert tuple(queue.name for queue in tasks.app.conf.task_queues) == heartbeats.QUEUES


def test_without_redis_its_figures_are_left_out(settings):
    settings.REDIS_URL = ""

    names = {name for name, *_ in samples()}

    assert up() == {"redis": 0, "workers": 0, "beat": 0, "mail": 1, "database": 1}
    assert not names & {"marquee_workers", "marquee_queue_messages", "marquee_task_age_seconds"}


@pytest.mark.parametrize("database", ["down", "silent"])
def test_without_the_database_its_figures_are_left_out_and_nobody_waits(
    anonymous, monkeypatch, database
):
    silent, let_go = threading.Event(), threading.Event()

    def ask():
        if database == "down":
            raise OperationalError
        silent.set()
        let_go.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(project_metrics, "_collect_database", ask)
    monkeypatch.setattr(project_metrics, "DATABASE_SECONDS", 0.2)
    started = own_time()

    for _ in range(2):
        response = anonymous.client.get("/metrics", REMOTE_ADDR="127.0.0.1")
        assert response.status_code == 200
        assert b'marquee_up{part="database"} 0.0' in response.content
        assert not re.search(rb"marquee_mails_owed|part=\"mail\"", response.content)

    assert own_time() - started < 2
    assert sum(thread.name == "metrics" for thread in threading.enumerate()) <= 1
    let_go.set()
