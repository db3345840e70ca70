"""What `/metrics` answers: counters of all processes and workers, and what is asked right now.

Nothing here is waited for: Redis stands behind its breaker, and a database that does not answer in
DATABASE_SECONDS is left out and shown as down. What is asked of Redis and the database is the same
on every machine: a query takes the maximum over them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread
from typing import TypeVar

from django.db import Error, connection
from django.db.models import Exists, OuterRef
from prometheus_client import REGISTRY, Gauge, generate_latest, multiprocess, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.infra import outbox
from cinema.infra.monitoring import health, heartbeats, worker_counts
from cinema.infra.monitoring.health import Part
from cinema.infra.monitoring.heartbeats import Seen
from cinema.infra.outbox import OwedQuerySet
from cinema.programme.models import Show
from cinema.sales.models import Booking, BookingSeat

Answer = TypeVar("Answer")
Labelled = Mapping[str, float]
DATABASE_SECONDS = 2.0
IN_PROGRESS = Gauge(
    "marquee_requests_in_progress",
    "Requests being answered: how much of the pool of request threads is in use",
    multiprocess_mode="livesum",
)
THREADS = Gauge(
    "marquee_request_threads",
    "Requests that can be answered at once: the pool of request threads",
    multiprocess_mode="livesum",
)
PROCESSES = """SELECT (SELECT sum(numbackends) FROM pg_stat_database),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"""
_asking = Lock()


def exposition() -> bytes:
    return generate_latest(_Everything())


class _Everything:
    def collect(self) -> Iterator[Metric]:
        seen = heartbeats.look()
        tallies = worker_counts.read()
        families = {family.name: family for family in _collect_processes()}
        for family in tallies.families if tallies else []:
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            families[family.name].samples += family.samples
        yield from families.values()
        figures = _ask_within(DATABASE_SECONDS, _collect_database)
        yield _house_gauge(health.parts_by_redis(seen), figures)
        if seen:
            yield from _collect_redis(seen)
        if tallies:
            yield _gauge(
                "marquee_task_age_seconds",
                "Seconds since a worker last ended this task",
                "task",
                tallies.last_runs,
            )
        yield from figures[1] if figures else []


def _collect_processes() -> Iterable[Metric]:
    """Collect from all processes where PROMETHEUS_MULTIPROC_DIR is set, as `serve` does."""
    if values.ValueClass is values.MutexValue:
        return REGISTRY.collect()
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        if not _lives(pid):  # killed: it cannot take back what it said of itself
            with suppress(FileNotFoundError):  # another scrape was faster
                multiprocess.mark_process_dead(pid)
    together: Iterable[Metric] = multiprocess.MultiProcessCollector(None).collect()
    return together


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _house_gauge(parts: list[Part], figures: tuple[Part, list[Metric]] | None) -> Metric:
    """One sample a part: 1 while it is as it should be. Of the mails only the database knows."""
    states = {part.name: float(part.ok) for part in parts} | {
        "database": float(figures is not None)
    }
    if figures:
        states["mail"] = float(figures[0].ok)
    return _gauge("marquee_up", "Whether this part of the house is as it should be", "part", states)


def _collect_redis(seen: Seen) -> Iterator[Metric]:
    workers = {"alive": float(seen.alive), "silent": float(seen.silent)}
    yield _gauge("marquee_workers", "Workers by whether they are heard of", "state", workers)
    killed = CounterMetricFamily(
        "marquee_workers_killed", "Workers, or processes of one, that were killed and came back"
    )
    killed.add_metric([], seen.killed)
    yield killed
    if seen.beat is not None:
        yield GaugeMetricFamily(
            "marquee_beat_age_seconds", "Seconds since the last tick of the beat", value=seen.beat
        )
    yield _gauge(
        "marquee_queue_messages", "Tasks that wait in a Celery queue", "queue", seen.queues
    )
    yield GaugeMetricFamily(
        "marquee_tasks_unacknowledged", "Tasks that workers have taken", value=seen.taken
    )


def _collect_database() -> tuple[Part, list[Metric]]:
    """Each figure is SQL's, without a cap: all that is counted here has an index of its own."""
    stale = Booking.objects.stale().count()
    left = BookingSeat.objects.live().filter(show=OuterRef("pk"))
    cancelling = Show.objects.filter(Exists(left), cancelled_at__isnull=False).count()
    owed = health.owed_mails()
    return health.mail_part(owed), [
        _gauge("marquee_mails_owed", "Mails that are owed", "kind", _count(OwedQuerySet.owed)),
        GaugeMetricFamily(
            "marquee_mails_oldest_seconds", "Age of the oldest owed mail", value=owed.oldest_seconds
        ),
        GaugeMetricFamily(
            "marquee_mails_put_off",
            "Owed mails that were put off and tried again",
            value=owed.put_off,
        ),
        _gauge(
            "marquee_mails_failed", "Mails refused for good", "kind", _count(OwedQuerySet.failed)
        ),
        GaugeMetricFamily(
            "marquee_holds_stale", "Holds past their time that are not swept yet", value=stale
        ),
        GaugeMetricFamily(
            "marquee_shows_being_cancelled", "Cancelled shows with bookings left", value=cancelling
        ),
        *_connections(),
    ]


def _count(those: Callable[[OwedQuerySet], OwedQuerySet]) -> Labelled:
    return {name: those(rows.objects.all()).count() for name, rows in outbox.kinds().items()}


def _connections() -> Iterator[Metric]:
    """SQLite has none to run out of."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(PROCESSES)
            used, allowed = cursor.fetchone()
        elif connection.vendor == "mysql":
            cursor.execute("SHOW STATUS LIKE 'Threads_connected'")
            used = cursor.fetchone()[1]
            cursor.execute("SELECT @@max_connections")
            (allowed,) = cursor.fetchone()
        else:
            return
    connections = {"used": float(used), "allowed": float(allowed)}
    yield _gauge(
        "marquee_database_connections",
        "The database's pool of connections, of everybody",
        "state",
        connections,
    )


def _gauge(name: str, about: str, label: str, figures: Labelled) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for value, figure in figures.items():
        family.add_metric([value], figure)
    return family


def _ask_within(seconds: float, ask: Callable[[], Answer]) -> Answer | None:
    """Return the answer, from a thread with a connection of its own.

    None for a database that is down or takes longer.

    One that hangs is not asked again before it lets go: else every scrape would leave a thread
    behind.
    """
    if not _asking.acquire(timeout=seconds):
        return None
    answers: Queue[Answer | None] = Queue(1)

    def run() -> None:
        answer = None
        try:
            answer = ask()
        except Error:
            pass
        finally:
            connection.close()
            _asking.release()
            answers.put(answer)

    Thread(target=run, name="metrics", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return None
