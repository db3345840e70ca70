"""Health: the database decides, every other part is told, and the process answers for itself alone."""

import os
import re
import socket
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from cinema.infra import redis
from cinema.infra.monitoring import health, heartbeats
from cinema.notifications import deliveries
from cinema.sales.models import BookingEvent
from tests.conftest import refusal
from tests.infra.test_throttles_without_redis import in_a_fresh_thread, redis_at
from tests.support.factories import a_booking, a_show
from tests.support.mailing import let_pass, work_off
from tests.support.services import free_port
from tests.support.suite.patience import own_time

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database_down(monkeypatch):
    def cursor(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", cursor)
    return monkeypatch


def told() -> dict[str, str]:
    """What is said of the parts that are not as they should be."""
    return {part.name: part.sentence for part in health.parts() if not part.ok}


def says(part: str, pattern: str) -> bool:
    """Of this part alone. Ages in whole seconds: one more may have begun since."""
    return list(told()) == [part] and bool(re.fullmatch(pattern, told()[part]))


def as_if_passed(seconds: float, key: str, name: str = "celery@here") -> None:
    server = get_redis_connection("default")
    server.zadd(key, {name: server.zscore(key, name) - seconds})


def test_without_its_database_it_lives_and_is_not_ready(anonymous, database_down):
    assert anonymous.get("/livez").json() == {"status": "ok"}

    for path in ("/readyz", "/api/movies/"):
        response = anonymous.get(path)
        assert refusal(response) == (503, "unavailable"), path
        assert int(response.headers["Retry-After"]) >= 1
        assert b"server closed" not in response.content

    database_down.undo()
    assert anonymous.get("/readyz").status_code == 200


def test_livez_asks_nobody(anonymous):
    with CaptureQueriesContext(connection) as asked:
        anonymous.get("/livez")

    assert len(asked) == 0


def test_readyz_asks_the_database_for_little(anonymous):
    with CaptureQueriesContext(connection) as asked:
        anonymous.get("/readyz")

    assert 1 <= len(asked) <= 4


def timed(api) -> tuple[int, dict, float]:
    started = own_time()
    response = api.get("/readyz")
    return response.status_code, response.json(), own_time() - started


def test_without_redis_it_is_ready_degraded_and_quick(anonymous, settings):
    degraded = {"status": "degraded", "degraded": ["redis", "workers", "beat"]}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            with redis_at(settings, port):
                status, told, seconds = in_a_fresh_thread(lambda: timed(anonymous))
            assert (status, told) == (200, degraded), port
            assert seconds < 0.5


def test_without_redis_nobody_knows_of_the_workers(settings, all_well):
    assert told() == {}

    settings.REDIS_URL = ""

    assert set(told()) == {"redis", "workers", "beat"}
    assert told()["redis"].startswith("REDIS_URL is not set")
    assert told()["workers"].startswith("Unknown")


def test_workers_and_beat_that_were_never_heard_of_are_told(anonymous):
    assert anonymous.get("/readyz").json() == {
        "status": "degraded",
        "degraded": ["workers", "beat"],
    }
    assert told()["workers"] == "0 workers."


def test_a_silent_worker_is_told_and_forgotten_after_an_hour(all_well):
    heartbeats.worker_lives("celery@there", starts=True)
    as_if_passed(12, heartbeats.WORKERS)
    assert told() == {}

    as_if_passed(4, heartbeats.WORKERS)
    assert says(
        "workers", r"1 worker, the last heard of [01] s ago; celery@here is silent for 1[67] s\."
    )

    as_if_passed(3600, heartbeats.WORKERS)
    heartbeats.worker_lives("celery@there")
    assert told() == {}


def test_a_worker_that_was_killed_and_came_back_is_told_for_a_minute(all_well):
    heartbeats.worker_lives("celery@here", starts=True)

    assert says(
        "workers",
        r"1 worker, the last heard of [01] s ago; celery@here was killed and came back [01] s ago\.",
    )
    assert heartbeats.look().killed == 1
    as_if_passed(60, heartbeats.BACK)
    assert told() == {}


def test_a_process_that_was_killed_is_told_for_a_minute_and_counted_once(all_well):
    for _ in range(2):
        heartbeats.worker_lost_a_process("celery@here", 7)
    lost = r"a process of celery@here \(now 7\) was killed and came back [01] s ago"
    assert says("workers", rf"1 worker, the last heard of [01] s ago; {lost}\.")
    assert heartbeats.look().killed == 1

    heartbeats.worker_lost_a_process("celery@here", 8)
    assert heartbeats.look().killed == 2
    for successor in (7, 8):
        as_if_passed(60, heartbeats.BACK, f"a process of celery@here (now {successor})")
    assert told() == {}


def test_a_worker_that_ended_in_order_is_not_looked_for(all_well):
    heartbeats.worker_lives("celery@there", starts=True)
    heartbeats.worker_ends("celery@there")
    heartbeats.worker_lives("celery@there", starts=True)

    assert told() == {}


def test_a_beat_that_no_longer_ticks_is_told(all_well):
    server = get_redis_connection("default")
    server.set(heartbeats.BEAT, int(server.get(heartbeats.BEAT)) - 16)

    assert says("beat", r"The last tick was 1[67] s ago\.")


def test_a_refused_mail_is_told_for_a_day_or_until_it_is_sent_again(all_well):
    a_booking()
    assert told() == {}
    BookingEvent.objects.update(mail_due_at=None, mail_failed_at=Now())

    assert told() == {"mail": "1 mail was refused for good: see Mails, Failed."}

    BookingEvent.objects.update(mail_failed_at=Now() - timedelta(hours=25))
    assert told() == {}
    BookingEvent.objects.update(mail_failed_at=Now())
    deliveries.send_again(BookingEvent.objects.all())
    assert told() == {}


def test_a_mail_that_is_owed_for_long_is_told(all_well):
    a_booking()
    BookingEvent.objects.update(at=Now() - timedelta(minutes=4))
    assert told() == {}

    BookingEvent.objects.update(at=Now() - timedelta(minutes=7))

    assert told() == {"mail": "The oldest owed mail has waited for 7 minutes."}


@pytest.fixture(params=["closed port", "451"])
def no_server(request, server, settings):
    """A mail server that is away, or takes nothing for now."""
    if request.param == "closed port":
        settings.EMAIL_PORT = free_port()
    else:
        server.to_recipient = ["451 try later"] * 3


def test_a_mail_server_that_takes_nothing_is_told_at_the_second_try(all_well, no_server, anonymous):
    a_booking()
    work_off()
    assert told() == {}  # once may be chance

    let_pass(BookingEvent)
    work_off()

    says_so = "1 mail was put off and tried again: see Mails, Owed, for what the mail server says."
    assert told() == {"mail": says_so}
    assert anonymous.get("/readyz").json() == {"status": "degraded", "degraded": ["mail"]}


def test_a_mail_that_is_sent_at_last_is_told_no_more(all_well, server):
    server.to_recipient = ["451 try later"] * 2
    a_booking()
    for _ in range(2):
        work_off()
        let_pass(BookingEvent)
    assert list(told()) == ["mail"]

    work_off()

    assert len(server.mails) == 1
    assert told() == {}


def test_the_oldest_mail_is_told_although_it_is_due_last(all_well):
    show = a_show()
    oldest, *_ = [a_booking(show=show, seats=(seat,)) for seat in (1, 2, 3)]
    oldest.events.update(
        at=Now() - timedelta(minutes=20), mail_due_at=Now() + timedelta(minutes=15)
    )

    assert told() == {"mail": "The oldest owed mail has waited for 20 minutes."}


def test_a_forked_child_does_not_read_its_parents_answers():
    """A worker's pool forks, and may do so after its parent has told of its life: on one connection
    they would.
    """
    ours = redis.call("CLIENT", "ID")
    reads, writes = os.pipe()
    if not (child := os.fork()):
        os.write(writes, str(redis.call("CLIENT", "ID")).encode())
        os._exit(0)

    os.waitpid(child, 0)
    assert int(os.read(reads, 20)) != ours
    assert redis.call("CLIENT", "ID") == ours
