"""Around every task: its lines carry its name and id, and what it counted is added up where the API can tell it."""

import time
from typing import Any

import structlog
from celery import signals

from cinema import logs, metrics, tallies
from workers.celery import AWAY

log = structlog.get_logger("marquee.task")
_began: dict[str, float] = {}


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def process_begins(**_: Any) -> None:
    tallies.begin()


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def begins(task_id: str, task: Any, **_: Any) -> None:
    _began[task_id] = time.perf_counter()
    name = _short(task.name)
    metrics.TASK_FAILURES.labels(name)  # a zero to begin with, so that the first failure is an increase
    logs.carry(task=name, task_id=task_id)


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def ends(task_id: str, task: Any, **_: Any) -> None:
    name = _short(task.name)
    metrics.TASK_SECONDS.labels(name).observe(time.perf_counter() - _began.pop(task_id))
    tallies.add(name)
    logs.carry()


@signals.task_failure.connect  # type: ignore[untyped-decorator]
def fails(sender: Any, exception: BaseException, **_: Any) -> None:
    """Celery's own line would quote the exception, which may quote a customer."""
    name = _short(sender.name)
    if isinstance(exception, AWAY):
        log.error("failed: the next tick tries again", task=name, error=type(exception).__name__)
    else:
        metrics.TASK_FAILURES.labels(name).inc()
        log.error("failed", task=name, exc_info=exception)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
