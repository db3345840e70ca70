"""The processes of `up`: started, kept running, and all gone at the end.

Each is the leader of a session of its own. So the terminal's Ctrl-C reaches `up` alone, which ends
them in order, and whatever a process has forked is in its group and goes with it. Where `up` is
killed, its guardian does the same.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from django.core.management import CommandError

from project.up.guardian import FIRST, GONE, GRACE_SECONDS, LAST, Guardian, signal_group
from project.up.output import Output

TICK_SECONDS = 0.1
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STEADY_SECONDS = 60.0  # a process that lived this long has earned a quick restart
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def on_stop_signals(handler: Callable[[int, FrameType | None], Any]) -> None:
    for number in STOP_SIGNALS:
        # nohup stays nohup
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


@dataclass
class Process:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    vital: bool = False  # its death ends `up`; the others are restarted
    outlives: bool = False  # ended after the others, which may need it to end well
    unsaid: tuple[bytes, ...] = ()  # its lines with one of these are not shown
    popen: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    due: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS

    def start(self, output: Output, guardian: Guardian) -> None:
        self.popen = subprocess.Popen(  # noqa: S603 - the commands are ours
            self.command,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        guardian.note(self.popen.pid, LAST if self.outlives else FIRST)
        self.born = time.monotonic()
        if self.popen.stdout:
            output.follow(self.name, self.popen.stdout, self.unsaid)
            output.say("started", self.name)

    def terminate(self) -> None:
        """Ask the leader alone: it knows how to end what it has forked."""
        if self.popen:
            self.popen.terminate()

    def kill(self) -> None:
        if self.popen:
            signal_group(self.popen.pid, signal.SIGKILL)

    def reap(self, guardian: Guardian) -> int | None:
        """Return the exit code, once, after the process has ended.

        What it has left in its group is killed.
        """
        if self.popen is None or (code := self.popen.poll()) is None:
            return None
        # now: once the group is empty, the number may become another's
        signal_group(self.popen.pid, signal.SIGKILL)
        guardian.note(self.popen.pid, GONE)
        self.popen = None
        return code

    def plan_restart(self) -> float:
        """Set when it is due again, and return the pause until then: 1 s, 2, 4 … 30."""
        now = time.monotonic()
        if now - self.born >= STEADY_SECONDS:
            self.pause = FIRST_PAUSE_SECONDS
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE_SECONDS)
        self.due = now + pause
        return pause


class Supervisor:
    """Keep processes running inside its `with`, and leave none when it ends, however that comes."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.guardian = Guardian()
        self.processes: list[Process] = []
        self.asked: list[int] = []  # the stop signals so far

    def __enter__(self) -> Self:
        on_stop_signals(self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self.output.say("stopping; Ctrl-C again hurries it")
        hurried_by = self.asked.count(signal.SIGINT) + 1
        self._end([process for process in self.processes if not process.outlives], hurried_by)
        self._end([process for process in self.processes if process.outlives], hurried_by)
        self.guardian.close()

    def start(self, processes: Iterable[Process]) -> None:
        for process in processes:
            if not self.asked:
                self.processes.append(process)
                process.start(self.output, self.guardian)

    def run(self, until: Callable[[], bool], seconds: float = float("inf")) -> bool:
        """Keep them running until the condition holds, and return True.

        False at a stop signal or the end of the seconds.
        """
        deadline = time.monotonic() + seconds
        while not self.asked and time.monotonic() < deadline:
            self._look_after_all()
            if until():
                return True
            time.sleep(TICK_SECONDS)
        return False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # and no more: anything else could meet itself in the interrupted code
        self.asked.append(number)

    def _look_after_all(self) -> None:
        for process in self.processes:
            code = process.reap(self.guardian)
            if code is not None:
                self._mourn(process, code)
            elif process.popen is None and time.monotonic() >= process.due:
                process.start(self.output, self.guardian)

    def _mourn(self, process: Process, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if process.vital:
            raise CommandError(
                f"{process.name} {how}, so all the rest is stopped: its last lines above say why."
            )
        self.output.say(f"{process.name} {how}: started again in {process.plan_restart():g} s")

    def _end(self, processes: list[Process], hurried_by: int) -> None:
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.popen for process in processes):
            if time.monotonic() > deadline or self.asked.count(signal.SIGINT) >= hurried_by:
                for process in processes:
                    process.kill()
            for process in processes:
                process.reap(self.guardian)
            time.sleep(TICK_SECONDS / 2)
