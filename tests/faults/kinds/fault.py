"""What a fault is, and what is seen of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.run.journal import Call
from tests.faults.stage.stage import Stage

DATABASE, REDIS = "database", "redis"


class DidNotHappen(Exception):
    """The injection had no effect, so the promises were not tried: the run fails."""


@dataclass
class Window:
    """The time of one fault. Moments are time.time(); `lag` is what the machine itself adds to a
    latency.
    """

    start: float
    healed: float = 0.0
    lag: float = 0.0
    normal: float = 0.0  # the slowest call of the calm before, in seconds
    calls: list[Call] = field(default_factory=list)
    evidence: Any = None  # what `during` yielded
    probes: list[Call] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max((call.seconds for call in self.calls), default=0.0)


@dataclass(frozen=True)
class Fault:
    """`during` enters: the fault is there; leaves: it is healed. `expect` says what else must be
    true of that time.

    Both raise DidNotHappen where the injection had no effect. Limits are in seconds behind the
    heal: `recovery_limit` until a booking is answered in normal time, `mail_limit` until a mail
    arrives (0: mails are not affected).
    """

    name: str
    about: str
    during: Callable[[Stage], AbstractContextManager[Any]]
    seconds: float = 5
    recovery_limit: float = 10
    mail_limit: float = 0
    expect: Callable[[Stage, Window], list[str]] | None = None
    second_mail_allowed: bool = False
    failed_mail_allowed: bool = False
    needs_own: frozenset[str] = frozenset()  # a given DATABASE or REDIS is not killed or restarted
    sqlite: bool = False  # runs on the stage with a SQLite file, and only there
    in_soak: bool = True
