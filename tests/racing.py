"""Real threads on real connections, let go at one barrier."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, connections

PATIENCE_SECONDS = 30


def race(*acts: Callable[[], Any]) -> list[Any]:
    """What each act returned or raised, in order, all started at once."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(PATIENCE_SECONDS)
            return act()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def kinds(results: Sequence[Any]) -> dict[str, int]:
    """How many ended how: `{"SeatTaken": 47, "Outcome": 1}`."""
    names = [type(result).__name__ for result in results]
    return {name: names.count(name) for name in sorted(set(names))}
