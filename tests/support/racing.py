"""Real threads on real connections, let go at one barrier."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import OperationalError, connection, connections

from tests.support.suite.patience import PATIENCE_SECONDS


def race(*acts: Callable[[], Any]) -> list[Any]:
    """What each act returned or raised, in order, all started at once."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            connect()
            barrier.wait(PATIENCE_SECONDS)
            return act()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def connect() -> None:
    """The server may still be closing the connections of the crowd before this one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return connection.ensure_connection()
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def kinds(results: Sequence[Any]) -> dict[str, int]:
    """How many ended how: `{"SeatTaken": 47, "Outcome": 1}`."""
    names = [type(result).__name__ for result in results]
    return {name: names.count(name) for name in sorted(set(names))}
