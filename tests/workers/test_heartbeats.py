"""Real workers and beats are heard of, and a killed one is missed; so is a killed process of one
that lives on.
"""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from cinema.infra.monitoring import health, heartbeats, worker_counts
from tests.support.factories import a_booking
from tests.support.suite.patience import wait_until
from tests.support.up import processes
from tests.workers.test_workers import drip
from workers import tasks


def test_real_workers_and_beats_are_heard_of_and_a_killed_one_is_missed(start, monkeypatch):
    """A kill leaves the worker's name behind; a TERM takes it away."""
    started = [
        start("worker", "-n", f"{name}@x", REMAP_SIGTERM="SIGQUIT") for name in ("killed", "ended")
    ]
    start("beat", "--pidfile=")
    wait_until(
        lambda: (
            set(heartbeats.look().workers) == {"killed@x", "ended@x"}
            and heartbeats.look().beat is not None
        )
    )
    assert all(part.ok for part in health.parts())

    os.killpg(started[0].pid, signal.SIGKILL)
    started[1].terminate()

    wait_until(lambda: set(heartbeats.look().workers) == {"killed@x"})
    monkeypatch.setattr(health, "SILENT_SECONDS", 5)
    wait_until(lambda: "killed@x is silent" in health.parts()[1].sentence)


def children(worker: subprocess.Popen[bytes]) -> set[int]:
    return {pid for pid, (parent, _, _) in processes().items() if parent == worker.pid}


def is_heard_of(name: str) -> bool:
    return name in heartbeats.look().workers


@pytest.mark.parametrize(
    ("option", "killed"), [("--concurrency=2", 1), ("--max-tasks-per-child=100", 0)]
)
def test_a_killed_process_of_a_worker_is_told(start, option, killed):
    """Not of one that ends its own processes: there a new one tells of nothing."""
    worker = start("worker", "-n", "lives@x", "--concurrency=2", option)
    tasks.expire_holds.apply_async()
    # killed at the start, all ends
    wait_until(lambda: is_heard_of("lives@x") and worker_counts.read().last_runs)
    before = children(worker)
    assert (len(before), heartbeats.look().killed) == (2, 0)

    os.kill(min(before), signal.SIGKILL)

    wait_until(lambda: len(children(worker) - before) == 1)
    time.sleep(0.5)  # in which it tells, or would
    wait_until(lambda: heartbeats.look().killed == killed)
    (new,) = children(worker) - before
    assert (
        f"a process of lives@x (now {new}) was killed and came back" in health.parts()[1].sentence
    ) == bool(killed)


def failures(task: str) -> float:
    families = worker_counts.read().families
    told = [
        one
        for family in families
        for one in family.samples
        if one.name == "marquee_task_failures_total"
    ]
    return sum(one.value for one in told if one.labels["task"] == task)


def test_a_task_over_its_hard_time_limit_is_counted(start, tmp_path):
    """Frozen, its process cannot heed the soft one."""
    event = a_booking().events.get()
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        threading.Thread(target=drip, args=(dripping,), daemon=True).start()
        url = f"smtp://127.0.0.1:{dripping.getsockname()[1]}"
        variables = {"EMAIL_URL": url, "MAIL_LEASE_SECONDS": "5"}
        worker = start("worker", "-n", "lives@x", "--concurrency=1", **variables)
        wait_until(lambda: is_heard_of("lives@x"))
        # in the worker: a message carries the time limits of who sends it
        tasks.sweep_mail.apply_async()
        wait_until(lambda: type(event).objects.get().mail_attempts == 1)
        assert (failures("send_mail"), heartbeats.look().killed) == (0, 0)

        os.kill(*children(worker), signal.SIGSTOP)

        wait_until(lambda: (failures("send_mail"), heartbeats.look().killed) == (1, 1))
    about = f"args={{'kind': 'event', 'pk': {event.pk}, 'attempt': 0}}"
    told = [line for line in (tmp_path / "worker.log").read_text().splitlines() if about in line]
    assert len([line for line in told if "TimeLimitExceeded" in line]) == 1
