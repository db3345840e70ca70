"""Around every task: its lines carry its name, id and arguments, and its counts are added up.

Arguments are ids alone.
"""

import time
from typing import Any

import structlog
from celery import signals

from cinema.infra import logs, metrics
from cinema.infra.monitoring import worker_counts
from workers.celery import AWAY

log = structlog.get_logger("marquee.task")
_began: dict[str, float] = {}
_failed = ""  # the last one: of a task at its hard time limit Celery reports twice


@signals.worker_process_init.connect
def process_begins(**_: object) -> None:
    worker_counts.begin()


@signals.task_prerun.connect
def begins(task_id: str, task: Any, kwargs: dict[str, Any], **_: object) -> None:
    _began[task_id] = time.perf_counter()
    name = _short_name(task.name)
    # a zero to begin with, so that the first failure is an increase
    metrics.TASK_FAILURES.labels(name)
    logs.carry(**_describe(name, task_id, kwargs))


@signals.task_postrun.connect
def ends(task_id: str, task: Any, **_: object) -> None:
    name = _short_name(task.name)
    metrics.TASK_SECONDS.labels(name).observe(time.perf_counter() - _began.pop(task_id))
    worker_counts.add(name)
    logs.carry()


@signals.task_failure.connect
def fails(
    sender: Any, task_id: str, exception: BaseException, kwargs: dict[str, Any], **_: object
) -> None:
    """Celery's own line would quote the exception, which may quote a customer.

    Of a task that was killed at its time limit the worker's main process reports, where no task ends
    and nothing is carried: so the line says all by itself, and the count is shared at once.
    """
    global _failed
    if task_id == _failed:
        return
    _failed, name = task_id, _short_name(sender.name)
    about = _describe(name, task_id, kwargs)
    if isinstance(exception, AWAY):
        log.error("failed: the next tick tries again", error=type(exception).__name__, **about)
    else:
        metrics.TASK_FAILURES.labels(name).inc()
        log.error("failed", exc_info=exception, **about)
        worker_counts.share()


def _describe(name: str, task_id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"task": name, "task_id": task_id} | ({"args": kwargs} if kwargs else {})


def _short_name(name: str) -> str:
    return name.rpartition(".")[2]
