"""Time in tests, also on a busy machine.

What must come is waited for as long as that takes: only a test that fails waits to the end. What
must be quick is measured by a clock that stands still while this thread is kept from a core.
"""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 300.0


def wait_until(condition: Callable[[], object], what: str = "what must come") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} has not come in {PATIENCE_SECONDS:g} s"
        time.sleep(0.1)


def own_time() -> float:
    """Return seconds on a clock that counts what this thread does and waits for, but not the time
    for which it was ready to run and others had the cores.
    """
    try:
        _, kept_waiting, _ = Path("/proc/thread-self/schedstat").read_text().split()
    except OSError:  # Linux alone tells
        kept_waiting = "0"
    return time.monotonic() - int(kept_waiting) / 1e9
