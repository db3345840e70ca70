"""What the drill reads of the machine: process groups, memory, whose a connection is, and how late
its own timer is.

From /proc: the drill runs on Linux.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICK_SECONDS = 0.02


def group_of(leader: int) -> list[int]:
    """The living processes of this group, the leader among them."""
    return [pid for pid, group, state in _processes() if group == leader and state not in "ZX"]


def children_of(leader: int) -> list[int]:
    return [pid for pid in group_of(leader) if pid != leader]


def memory_of(pids: list[int]) -> int:
    """Resident bytes of all together."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def owner_of(port: int, among: list[int]) -> int | None:
    """Which of these processes has the TCP connection whose own end is this port."""
    inode = _inode_of(port)
    for pid in among:
        with suppress(OSError):
            for descriptor in (PROC / str(pid) / "fd").iterdir():
                if str(descriptor.readlink()) == f"socket:[{inode}]":
                    return pid
    return None


def _inode_of(port: int) -> str:
    for line in (PROC / "net" / "tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port and words[9] != "0":
            return words[9]
    return ""


def _processes() -> list[tuple[int, int, str]]:
    """(pid, process group, state) of every process."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                found.append((int(entry.name), int(group), state))
    return found


class LagMonitor(threading.Thread):
    """How much later than asked for a sleep of 20 ms ends: what the machine itself adds to every
    latency.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._late: list[tuple[float, float]] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            time.sleep(TICK_SECONDS)
            late = time.monotonic() - started - TICK_SECONDS
            if late > TICK_SECONDS / 2:
                self._late.append((time.time(), late))

    def worst(self, start: float, end: float) -> float:
        """In seconds, between two moments of time.time()."""
        return max((late for at, late in self._late if start <= at <= end), default=0.0)

    def close(self) -> None:
        self._over.set()
