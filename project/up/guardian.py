"""End what a killed `up` has left, in the order in which it would have done it.

A process of its own that reads from `up` who runs; the end of that file is the end of `up`. The
kernel's own means (PR_SET_PDEATHSIG) is not enough: it ends Redis at the same moment as the worker,
and a Celery worker that has lost its broker does not obey TERM (seen: it stayed for ever).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GONE, FIRST, LAST = range(3)  # when a group is to end: what others need to end well goes last
GRACE_SECONDS = 10.0  # for the worker to end the mail it is sending


class Guardian:
    def __init__(self) -> None:
        self.popen = subprocess.Popen(  # noqa: S603 - this file
            [sys.executable, "-I", "-S", __file__],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def note(self, leader: int, turn: int) -> None:
        if self.popen.stdin:
            with suppress(BrokenPipeError):  # it has been killed: `up` goes on without
                self.popen.stdin.write(f"{leader} {turn}\n".encode())

    def close(self) -> None:
        if self.popen.stdin:
            self.popen.stdin.close()
        self.popen.wait()


def signal_group(leader: int, number: int) -> bool:
    """Return whether there was anybody in the group.

    macOS refuses where only the dead are left.
    """
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def read_until_the_end(lines: Iterable[str]) -> dict[int, int]:
    turns = {}
    for line in lines:
        leader, turn = line.split()
        turns[int(leader)] = int(turn)
    return turns


def end(leaders: list[int]) -> None:
    for leader in leaders:
        with suppress(ProcessLookupError):
            # the leader alone: it knows how to end what it has forked
            os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while leaders and time.monotonic() < deadline:
        time.sleep(0.1)
        # a free number may become another's
        leaders = [leader for leader in leaders if signal_group(leader, 0)]
    for leader in leaders:
        signal_group(leader, signal.SIGKILL)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    turns = read_until_the_end(sys.stdin)
    for now in (FIRST, LAST):
        end([leader for leader, turn in turns.items() if turn == now])


if __name__ == "__main__":
    main()
