"""On whose behalf a line is written: what every line of this thread carries besides its own words.

Ids and words of ours alone. No name, address, password, token, raw path or query value stands in
any line, so nothing that a caller typed is ever handed to a logger.
"""

from contextvars import ContextVar
from typing import Any

_NOTHING: dict[str, Any] = {}
_carried: ContextVar[dict[str, Any]] = ContextVar("carried", default=_NOTHING)


def carry(**fields: Any) -> None:
    """Give every line of this thread these fields and no others, from here on.

    Without any, a new piece of work can begin.
    """
    _carried.set(fields)


def add(**fields: Any) -> None:
    _carried.set(_carried.get() | fields)


def carried() -> dict[str, Any]:
    return _carried.get()


def request_id() -> str:
    """Return the id of the request under way; empty in a worker, a command or a test."""
    return str(_carried.get().get("request_id", ""))
