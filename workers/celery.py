"""The Celery app and its beat.

A message is a hint: what must happen stands in the database, so a queue may lose it.

No promise waits for these processes: a stale hold is free without them, and a mail is late, not
lost.
"""

import logging
import os
import sys
import warnings
from typing import TypedDict

import click
import tornado.options
from billiard.util import get_logger
from celery import Celery, signals
from celery.apps import worker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.schedules import crontab
from django.conf import settings
from django.db import InterfaceError, OperationalError
from kombu.entity import Queue
from kombu.exceptions import OperationalError as BrokerError

from workers.broker import forgive_lost_acknowledgements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

AWAY = (OperationalError, InterfaceError, BrokerError)  # the next tick tries again
TASK_SECONDS = 120
# Both below the lease, so that a conversation has ended before another worker may send the mail:
# the soft limit stops a server that drips bytes and would outlast every time-out of a single
# answer, the hard one what the soft one cannot.
MAIL_SOFT_SECONDS = settings.MAIL_LEASE_SECONDS * 3 // 5
MAIL_HARD_SECONDS = settings.MAIL_LEASE_SECONDS * 4 // 5
DAY_SECONDS = 24 * 3600
# Celery warns root of code in messages; ours are JSON, which holds none.
warnings.filterwarnings("ignore", category=SecurityWarning)


class BeatEntry(TypedDict):
    task: str
    schedule: int | crontab
    options: dict[str, float]


def every(seconds: int, task: str, schedule: crontab | None = None) -> BeatEntry:
    """Return a beat entry whose message dies before the next one: none pile up without a worker."""
    return {
        "task": f"workers.tasks.{task}",
        "schedule": schedule or seconds,
        "options": {"expires": seconds * 0.8},
    }


forgive_lost_acknowledgements()
app = Celery("marquee", include=["workers.tasks", "workers.heartbeats", "workers.telemetry"])
app.conf.update(
    broker_url=settings.REDIS_URL or "memory://",
    # A silent broker must not hold a publisher: without time-outs of its own the client waits for
    # more than 25 s.
    broker_transport_options={
        "socket_timeout": 3,
        "socket_connect_timeout": 2,
        # a task that runs is not delivered again
        "visibility_timeout": 2 * max(TASK_SECONDS, MAIL_HARD_SECONDS),
    },
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=TASK_SECONDS - 10,
    task_time_limit=TASK_SECONDS,
    task_annotations={"*": {"throws": AWAY}},  # expected: one line of ours, no traceback
    # Mails have a queue of their own and both are read in turn: a slow server delays the rest by
    # one mail, not by all. Each queue with a key of its own: under one key every message would go
    # into both.
    task_queues=[Queue(name, routing_key=name) for name in ("celery", "mail")],
    task_routes={"workers.tasks.send_mail": {"queue": "mail"}},
    worker_concurrency=2,
    worker_prefetch_multiplier=1,
    # with REMAP_SIGTERM=SIGQUIT in the environment: a TERM lets a mail be finished
    worker_soft_shutdown_timeout=5,
    # it would kill a mail between the yes and its stamp
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_send_task_events=True,  # what Flower shows
    worker_redirect_stdouts=False,
    beat_scheduler="celery.beat:PersistentScheduler",
    beat_schedule_filename=str(settings.VAR / "celerybeat"),
    beat_schedule={
        "sweep owed mail": every(3, "sweep_mail"),
        "expire stale holds": every(15, "expire_holds"),
        "cancel bookings of cancelled shows": every(5, "cancel_bookings_of_cancelled_shows"),
        "purge ended logins and old keys": every(
            DAY_SECONDS, "purge_logins_and_keys", crontab(hour=4, minute=30)
        ),
    },
)


def stop_without_broker(**_: object) -> None:
    if not settings.REDIS_URL:
        sys.exit(
            "marquee: REDIS_URL is not set: the worker and the beat need Redis, for example "
            "redis://127.0.0.1:6379/0."
        )


def stop_open_flower(**_: object) -> None:
    """Stop a Flower without a login: whoever reaches it can see and stop tasks.

    It comes through here after its options are read and before its port is open.
    """
    context = click.get_current_context(silent=True)
    if settings.DEBUG or context is None or context.info_name != "flower":
        return
    logins: list[str] = tornado.options.options.basic_auth or []
    if not logins or not all(map(names_both, logins)):
        sys.exit(
            "marquee: with DEBUG off Flower needs a login: set FLOWER_BASIC_AUTH (or --basic-auth) "
            "to user:password."
        )


def names_both(login: str) -> bool:
    """Return whether neither the user nor the password is empty."""
    user, _, password = login.partition(":")
    return bool(user and password)


def keep_djangos_logging(**_: object) -> None:
    """Keep Celery from setting up logging of its own, and from a line for each message and tick."""
    for chatty in ("celery.worker.strategy", "celery.beat"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("celery.beat").addFilter(without_stacks)
    # What the pool says of a killed process went past every handler, in words alone.
    pools = get_logger()
    pools.propagate = True
    pools.setLevel(logging.WARNING)
    # Decided above.
    warnings.filterwarnings(
        "ignore", "(?s).*worker_cancel_long_running", CPendingDeprecationWarning
    )


def say_in_lines(**_: object) -> None:
    """Log what a worker says of the signal that ends it; it goes to standard output otherwise."""
    worker.safe_say = lambda words, *_: logging.getLogger("marquee.worker").info(words.strip())


def without_stacks(record: logging.LogRecord) -> bool:
    """Cut what would be 200 lines at every tick of the beat that does not reach the broker."""
    if str(record.msg).startswith("Message Error"):
        record.msg = record.getMessage().partition("\n")[0]
        record.args = None
        record.exc_info = None
    return True


signals.celeryd_init.connect(stop_without_broker)
signals.celeryd_init.connect(say_in_lines)
signals.import_modules.connect(stop_without_broker)  # what beat and Flower come through
signals.import_modules.connect(stop_open_flower)
signals.setup_logging.connect(keep_djangos_logging)
