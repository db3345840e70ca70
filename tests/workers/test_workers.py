"""The workers: tasks that may run twice, late or never, and one run of the real processes."""

import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from celery.schedules import crontab
from django.conf import settings as project_settings
from django.db.models.functions import Now
from django.utils import timezone
from django_redis import get_redis_connection
from kombu.transport import redis, virtual

from cinema.notifications import deliveries
from cinema.people.models import AuthSession
from cinema.sales.models import Booking, BookingEvent, IdempotencyKey
from tests.support.factories import a_booking, a_caller, a_customer, a_hold, a_show, make_stale
from tests.support.real_programs import celery, environment, run
from tests.support.services import free_port
from tests.support.smtp_server import SMTP, smtp_server
from tests.support.suite.patience import wait_until
from workers import tasks
from workers.broker import QoS
from workers.celery import DAY_SECONDS, MAIL_HARD_SECONDS, MAIL_SOFT_SECONDS, app

transactional = pytest.mark.django_db(transaction=True)


def queued(queue: str) -> list[dict]:
    return [json.loads(message) for message in get_redis_connection("default").lrange(queue, 0, -1)]


def fail() -> None:
    raise ConnectionError


@transactional
def test_a_sweep_queues_ids_alone_and_once():
    event = a_booking().events.get()

    tasks.sweep_mail()
    tasks.sweep_mail()

    (message,) = queued("mail")
    assert queued("celery") == []
    told = (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"])
    assert told == ("()", f"{{'kind': 'event', 'pk': {event.pk}, 'attempt': 0}}")
    assert message["content-type"] == "application/json"
    assert message["headers"]["eta"] is None


@transactional
def test_a_sweep_that_does_not_reach_the_broker_loses_no_mail(tmp_path):
    event = a_booking().events.get()
    dead = environment(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    sweep = "import django; django.setup(); from workers.tasks import sweep_mail; sweep_mail()"

    ran = run([sys.executable, "-c", sweep], dead)

    assert "kombu.exceptions.OperationalError" in ran.stderr
    event.refresh_from_db()
    assert (event.mail_state, event.mail_attempts) == ("owed", 0)
    BookingEvent.objects.owed().update(mail_due_at=Now() - timedelta(seconds=1))
    assert deliveries.queue_due() == [("event", event.pk, 0)]


@transactional
def test_a_mail_is_sent_by_its_message(settings, tmp_path):
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = (
        "cinema.notifications.eml_files.EmailBackend",
        tmp_path,
    )
    event = a_booking().events.get()

    tasks.send_mail("event", event.pk, 0)
    tasks.send_mail("event", event.pk, 0)

    event.refresh_from_db()
    assert (event.mail_state, event.mail_attempts) == ("sent", 1)
    assert [path.name for path in tmp_path.iterdir()] == [
        f"event-{event.pk}-{event.booking.reference}@localhost.eml"
    ]


@transactional
def test_every_stale_hold_expires_in_one_tick_and_no_other(monkeypatch):
    monkeypatch.setattr(tasks, "HOLDS_PER_BATCH", 2)
    show = a_show()
    stale = [make_stale(a_hold(show=show, seats=(seat,))).pk for seat in range(1, 6)]
    live = a_hold(show=show, seats=(6,)).pk

    tasks.expire_holds()

    assert set(Booking.objects.filter(status="expired").values_list("pk", flat=True)) == set(stale)
    assert Booking.objects.get(pk=live).status == "pending"
    assert BookingEvent.objects.filter(kind="expired").count() == 5


@transactional
@pytest.mark.parametrize(
    ("stale", "asked"), [(1, []), (2, [{"helps": True}]), (5, [{"helps": True}])]
)
def test_a_second_worker_is_asked_to_help_a_full_first_batch_once(monkeypatch, stale, asked):
    monkeypatch.setattr(tasks, "HOLDS_PER_BATCH", 2)
    told = []
    monkeypatch.setattr(tasks.expire_holds, "apply_async", lambda kwargs, **_: told.append(kwargs))
    show = a_show()
    for seat in range(1, stale + 1):
        make_stale(a_hold(show=show, seats=(seat,)))

    tasks.expire_holds()

    assert told == asked
    tasks.expire_holds(helps=True)
    assert told == asked


@transactional
def test_a_time_limit_behind_the_yes_costs_no_second_copy(settings, monkeypatch):
    booked, stamp = BookingEvent.objects.get(booking=a_booking()), deliveries._stamp_once

    def cut_short(mine):
        monkeypatch.setattr(deliveries, "_stamp_once", stamp)
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(deliveries, "_stamp_once", cut_short)
    with smtp_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            SMTP,
            "127.0.0.1",
            server.port,
        )
        for _ in range(2):
            (due,) = deliveries.queue_due() or [("event", booked.pk, 1)]
            tasks.send_mail(*due)

    booked.refresh_from_db()
    assert (len(server.mails), booked.mail_state) == (1, "sent")


def test_an_acknowledgement_that_fails_leaves_room_for_the_next_message(monkeypatch):
    with app.connection_for_read() as broker:
        qos = broker.default_channel.qos
        assert type(qos) is QoS
        monkeypatch.setattr(redis.QoS, "ack", lambda *_: fail())
        qos.prefetch_count = 2
        for tag in ("1", "2"):
            virtual.QoS.append(qos, None, tag)
        assert not qos.can_consume()

        for tag in ("1", "2"):
            with pytest.raises(ConnectionError):
                qos.ack(tag)

        assert qos.can_consume()


@transactional
def test_one_tick_is_bounded(monkeypatch):
    monkeypatch.setattr(tasks, "HOLDS_PER_BATCH", 1)
    monkeypatch.setattr(tasks, "BATCHES_PER_TICK", 2)
    show = a_show()
    for seat in (1, 2, 3):
        make_stale(a_hold(show=show, seats=(seat,)))

    tasks.expire_holds()

    assert Booking.objects.stale().count() == 1


@transactional
def test_purge_deletes_what_has_ended_and_nothing_else():
    live, revoked, over = a_caller(), a_caller(), a_caller()
    AuthSession.objects.filter(pk=revoked.session_id).update(revoked_at=Now())
    AuthSession.objects.filter(pk=over.session_id).update(expires_at=Now() - timedelta(seconds=1))
    customer = a_customer()
    for hours, name in ((25, "old"), (23, "young")):
        created_at = timezone.now() - timedelta(hours=hours)
        IdempotencyKey.objects.create(
            user=customer, key_sha256=name, fingerprint="", created_at=created_at
        )

    tasks.purge_logins_and_keys()
    tasks.purge_logins_and_keys()

    assert [login.pk for login in AuthSession.objects.all()] == [live.session_id]
    assert [key.key_sha256 for key in IdempotencyKey.objects.all()] == ["young"]


def test_beat_sweeps_every_3_s_cancels_every_5_s_expires_every_15_s_and_purges_daily():
    schedule = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}

    assert schedule == {
        "workers.tasks.sweep_mail": 3,
        "workers.tasks.cancel_bookings_of_cancelled_shows": 5,
        "workers.tasks.expire_holds": 15,
        "workers.tasks.purge_logins_and_keys": crontab(hour=4, minute=30),
    }
    assert set(schedule) <= set(app.tasks)


def test_a_beat_message_dies_before_the_next():
    for entry in app.conf.beat_schedule.values():
        period = entry["schedule"] if isinstance(entry["schedule"], int) else DAY_SECONDS
        assert 0.5 * period < entry["options"]["expires"] < period


def test_a_mail_is_stopped_before_its_lease_ends():
    assert 0 < MAIL_SOFT_SECONDS < MAIL_HARD_SECONDS < project_settings.MAIL_LEASE_SECONDS
    assert (tasks.send_mail.soft_time_limit, tasks.send_mail.time_limit) == (
        MAIL_SOFT_SECONDS,
        MAIL_HARD_SECONDS,
    )


def test_no_task_that_runs_is_delivered_a_second_time():
    longest = max(task.time_limit or app.conf.task_time_limit for task in app.tasks.values())

    assert app.conf.broker_transport_options["visibility_timeout"] > longest


def test_what_a_lost_worker_had_is_given_to_another():
    ours = [task for name, task in app.tasks.items() if name.startswith("workers.tasks.")]

    assert len(ours) == 5
    for task in ours:
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (
            True,
            True,
            True,
        )


@transactional
@pytest.mark.parametrize("program", ["worker", "beat"])
def test_without_redis_the_start_ends_with_a_sentence(tmp_path, program):
    ran = run(celery(program), environment(tmp_path, REDIS_URL=""))

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("marquee: REDIS_URL is not set: ")
    assert "Traceback" not in ran.stderr


def test_worker_and_beat_mail_a_booking_and_expire_a_hold(start, tmp_path):
    show = a_show()
    booked, hold = a_booking(show=show, seats=(1,)), make_stale(a_hold(show=show, seats=(2,)))
    with smtp_server() as server:
        start(
            "worker",
            "--without-gossip",
            "--without-mingle",
            EMAIL_URL=f"smtp://127.0.0.1:{server.port}",
        )
        start("beat", "--pidfile=")
        tasks.expire_holds.apply_async()

        wait_until(
            lambda: server.mails and not Booking.objects.filter(pk=hold.pk, status="pending")
        )
        wait_until(lambda: not BookingEvent.objects.owed())

    (message,) = server.mails
    event = booked.events.get()
    assert message["To"] == booked.user.email
    assert event.mail_state == "sent"
    assert re.search(
        rf"mail sent .*id={event.pk}\b.*task=send_mail", (tmp_path / "worker.log").read_text()
    )


def test_a_server_that_drips_bytes_is_left_before_the_lease_ends(start):
    event = a_booking().events.get()
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        threading.Thread(target=drip, args=(dripping,), daemon=True).start()
        url = f"smtp://127.0.0.1:{dripping.getsockname()[1]}"
        start(
            "worker", "--without-gossip", "--without-mingle", EMAIL_URL=url, MAIL_LEASE_SECONDS="5"
        )
        # in the worker: a message carries the time limits of who sends it
        tasks.sweep_mail.apply_async()

        wait_until(lambda: BookingEvent.objects.get(pk=event.pk).mail_error)

    event.refresh_from_db()
    assert (event.mail_error, event.mail_state, event.mail_attempts) == (
        "not done in 3 s",
        "owed",
        1,
    )


def drip(server: socket.socket) -> None:
    """Never silent for as long as a time-out, and never done."""
    client, _ = server.accept()
    with suppress(OSError), client:
        while True:
            client.sendall(b"2")
            time.sleep(0.1)
