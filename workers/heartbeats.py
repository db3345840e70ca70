"""Workers and beat tell that they live; `cinema.health` says who is missing."""

import atexit
from typing import Any

from celery import signals

from cinema import health

_heard_of = False


@signals.heartbeat_sent.connect  # type: ignore[untyped-decorator]
def worker_lives(sender: Any, **_: Any) -> None:
    """At each of Celery's own heartbeats, so from the loop that takes the messages: one that hangs is silent too."""
    global _heard_of
    name = sender.eventer.hostname
    if not _heard_of and health.worker_lives(name, starts=True):
        _heard_of = True
        atexit.register(health.worker_ends, name)  # Celery's own signal is not sent at every orderly end
    else:
        health.worker_lives(name)


@signals.beat_init.connect  # type: ignore[untyped-decorator]
def beat_starts(**_: Any) -> None:
    signals.after_task_publish.connect(beat_ticks)


def beat_ticks(**_: Any) -> None:
    health.beat_ticks()
