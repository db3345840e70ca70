"""Workers and beat report that they live; `cinema.infra.monitoring.health` says who is missing."""

import atexit
import os

from celery import signals
from celery.apps.worker import Worker
from celery.worker.heartbeat import Heart

from cinema.infra.monitoring import heartbeats

TRIES = 3
_heard_of = False  # in a child, whether its parent was at the fork
_replaces = False


@signals.celeryd_after_setup.connect
def worker_begins(instance: Worker, **_: object) -> None:
    """Note whether the worker ends its own processes, by --max-tasks-per-child and the like.

    Then a new process is no sign of a loss.
    """
    global _replaces
    _replaces = bool(
        instance.max_tasks_per_child or instance.max_memory_per_child or instance.autoscale
    )


@signals.heartbeat_sent.connect
def worker_lives(sender: Heart, **_: object) -> None:
    """Report at each of Celery's own heartbeats.

    They come from the loop that takes the messages: a worker that hangs is silent too.
    """
    global _heard_of
    name = sender.eventer.hostname
    if not _heard_of and heartbeats.worker_lives(name, starts=True):
        _heard_of = True
        # Celery's own signal is not sent at every orderly end
        atexit.register(heartbeats.worker_ends, name)
    else:
        heartbeats.worker_lives(name)


@signals.worker_process_init.connect
def process_begins(sender: str, **_: object) -> None:
    """Report a process that stands in for one that was lost.

    The first ones are forked before the first heartbeat, so a later one is such.

    A machine that is so full that it kills may be slow to answer, too: it is reported again, but
    only for a second or so.
    """
    if _heard_of and not _replaces:
        for _try in range(TRIES):
            if heartbeats.worker_lost_a_process(sender, os.getpid()):
                return


@signals.beat_init.connect
def beat_starts(**_: object) -> None:
    signals.after_task_publish.connect(beat_ticks)


def beat_ticks(**_: object) -> None:
    heartbeats.beat_ticks()
