"""Around every task: its lines carry its name, id and arguments, and its counts are added up.

Arguments are ids alone.
"""

import time
from typing import NotRequired, TypedDict

import structlog
from celery import Task, signals

from cinema.infra import logs, metrics
from cinema.infra.monitoring import worker_counts
from workers.celery import AWAY

log = structlog.get_logger("marquee.task")

Arguments = dict[str, str | int]  # ids and numbers, by name


class TaskFields(TypedDict):
    """What each line of a task says of it."""

    task: str
    task_id: str
    args: NotRequired[Arguments]


_began: dict[str, float] = {}
_failed = ""  # the last one: of a task at its hard time limit Celery reports twice


@signals.worker_process_init.connect
def process_begins(**_: object) -> None:
    worker_counts.begin()


@signals.task_prerun.connect
def begins(task_id: str, task: Task, kwargs: Arguments, **_: object) -> None:
    _began[task_id] = time.perf_counter()
    name = _short_name(task.name)
    # a zero to begin with, so that the first failure is an increase
    metrics.TASK_FAILURES.labels(name)
    logs.carry(**_describe(name, task_id, kwargs))


@signals.task_postrun.connect
def ends(task_id: str, task: Task, **_: object) -> None:
    name = _short_name(task.name)
    metrics.TASK_SECONDS.labels(name).observe(time.perf_counter() - _began.pop(task_id))
    worker_counts.add(name)
    logs.carry()


@signals.task_failure.connect
def fails(
    sender: Task, task_id: str, exception: BaseException, kwargs: Arguments, **_: object
) -> None:
    """Log without the exception's words, as Celery would not: they may quote a customer.

    Of a task that was killed at its time limit the worker's main process reports, where no task
    ends and nothing is carried: so the line says all by itself, and the count is shared at once.
    """
    global _failed
    if task_id == _failed:
        return
    _failed = task_id
    name = _short_name(sender.name)
    about = _describe(name, task_id, kwargs)
    if isinstance(exception, AWAY):
        log.error("failed: the next tick tries again", error=type(exception).__name__, **about)
    else:
        metrics.TASK_FAILURES.labels(name).inc()
        log.error("failed", exc_info=exception, **about)
        worker_counts.share()


def _describe(name: str, task_id: str, kwargs: Arguments) -> TaskFields:
    fields: TaskFields = {"task": name, "task_id": task_id}
    if kwargs:
        fields["args"] = kwargs
    return fields


def _short_name(name: str) -> str:
    return name.rpartition(".")[2]
