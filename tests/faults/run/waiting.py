"""Waiting for what comes, with an end to it; and doing something again and again beside a fault."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Answer = TypeVar("Answer")


class CannotStart(Exception):
    """What a drill needs is not there; a sentence says why."""


class Late(Exception):
    """What was waited for has not come."""


def wait_until(answer: Callable[[], Answer], seconds: float, what: str) -> Answer:
    """The first answer that is true. Raises Late, which names what was waited for."""
    deadline = time.monotonic() + seconds
    while not (found := answer()):
        if time.monotonic() > deadline:
            raise Late(f"{what} has not come within {seconds:g} s")
        time.sleep(0.05)
    return found


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[list[Exception]]:
    """Do it at once and then in this rhythm, on a thread, until the block ends. Yields what it
    raised.
    """
    over, raised = threading.Event(), []

    def run() -> None:
        while True:
            try:
                act()
            except Exception as error:  # told by whoever looks at the list
                raised.append(error)
            if over.wait(seconds):
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield raised
    finally:
        over.set()
        thread.join()
