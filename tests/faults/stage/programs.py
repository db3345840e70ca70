"""The product's own processes: started as `up` starts them, kept running as `up` keeps them, killed
as it happens.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from django.conf import settings

from project.management.commands import up
from project.up.guardian import FIRST, Guardian, signal_group
from tests.faults.run.waiting import CannotStart
from tests.faults.stage import machine

CORES = 2  # the API's, as many workers as it starts, however many this machine has
RESTART_SECONDS = 1.0


class Program:
    """One program and all that it forks: a process group. While `is_wanted` a dead one is started
    again.
    """

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], folder: Path
    ) -> None:
        self.name, self.command, self.environment = name, command, environment
        self.log = folder / f"{name}.log"
        self.popen: subprocess.Popen[bytes] | None = None
        self.is_wanted = False
        self.starts = 0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        return self.popen.pid if self.popen else 0

    @property
    def pids(self) -> list[int]:
        return machine.group_of(self.pid) if self.popen else []

    @property
    def children(self) -> list[int]:
        return machine.children_of(self.pid) if self.popen else []

    def start(self, guardian: Guardian) -> None:
        with self._lock, self.log.open("ab") as log:
            self.is_wanted = True
            self.popen = subprocess.Popen(
                self.command, env=self.environment, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self.starts += 1
            guardian.note(self.popen.pid, FIRST)
            if self.name.startswith("api"):
                os.sched_setaffinity(self.popen.pid, sorted(os.sched_getaffinity(0))[:CORES])

    def revive(self, guardian: Guardian) -> None:
        """Start it again if it has died and should run; what it has left behind is killed first."""
        if self.is_wanted and self.popen and self.popen.poll() is not None:
            signal_group(self.popen.pid, signal.SIGKILL)
            time.sleep(RESTART_SECONDS)
            if self.is_wanted:
                self.start(guardian)

    def signal(self, number: int) -> None:
        if self.popen:
            signal_group(self.popen.pid, number)

    def kill(self) -> None:
        """kill -9 of the whole group, at once."""
        self.signal(signal.SIGKILL)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.signal(signal.SIGCONT)

    def drop(self) -> None:
        """Kill it, and leave it dead."""
        self.is_wanted = False
        self.wake()
        self.kill()
        if self.popen:
            self.popen.wait()

    def memory(self) -> int:
        return machine.memory_of(self.pids)


class Keeper(threading.Thread):
    """Starts again what has died, as `up` does."""

    def __init__(self, guardian: Guardian) -> None:
        super().__init__(daemon=True)
        self.guardian = guardian
        self.programs: list[Program] = []
        self._over = threading.Event()

    def add(self, program: Program) -> Program:
        program.start(self.guardian)
        self.programs.append(program)
        return program

    def run(self) -> None:
        while not self._over.wait(0.1):
            for program in list(self.programs):
                program.revive(self.guardian)

    def close(self) -> None:
        """Kill them all: how they end well is what the tests of `up` show."""
        self._over.set()
        self.join()
        for program in self.programs:
            program.drop()


def made_as_up_does(
    redis_url: str, environment: dict[str, str], folder: Path
) -> dict[str, Program]:
    """api, worker and beat, by name."""
    made = up.programs(redis_url, flower_auth="")
    return {
        one.name: Program(one.name, one.command, environment | one.environment, folder)
        for one in made
    }


def manage(*arguments: str, environment: dict[str, str]) -> str:
    """What a command of manage.py says. Raises CannotStart with its last words if it fails."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    done = subprocess.run(
        command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True
    )
    if done.returncode:
        last = [*done.stdout.splitlines(), *done.stderr.splitlines()][-1:]
        raise CannotStart(f"manage.py {arguments[0]} failed: {' '.join(last)}")
    return done.stdout
