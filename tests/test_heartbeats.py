"""Real workers and beats are heard of, and a killed one is missed."""

import os
import signal

from cinema import health
from tests.real_programs import wait_until


def test_real_workers_and_beats_are_heard_of_and_a_killed_one_is_missed(start, monkeypatch):
    """A kill leaves the worker's name behind; a TERM takes it away."""
    started = [start("worker", "-n", f"{name}@x", REMAP_SIGTERM="SIGQUIT") for name in ("killed", "ended")]
    start("beat", "--pidfile=")
    wait_until(lambda: set(health.look().workers) == {"killed@x", "ended@x"} and health.look().beat is not None)
    assert all(part.ok for part in health.parts())

    os.killpg(started[0].pid, signal.SIGKILL)
    started[1].terminate()

    wait_until(lambda: set(health.look().workers) == {"killed@x"})
    monkeypatch.setattr(health, "SILENT_SECONDS", 5)
    wait_until(lambda: "killed@x is silent" in health.parts()[1].told)
