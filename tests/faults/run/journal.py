"""What the customers asked and were told: every call, written down before it is sent."""

import json
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SENT, OK, REFUSED, UNKNOWN = "sent", "ok", "refused", "unknown"


@dataclass
class Call:
    """One HTTP request. `outcome` is "sent" until it is answered; times are time.time()."""

    number: int
    customer: int
    act: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    key: str | None = None
    sent_at: float = 0.0
    ended_at: float | None = None
    outcome: str = SENT
    status: int | None = None
    code: str | None = None
    answer: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def seconds(self) -> float:
        """How long it took, up to now while it is under way."""
        return (self.ended_at or time.time()) - self.sent_at

    def answered(self, status: int, headers: dict[str, str], answer: dict[str, Any] | None) -> None:
        """`headers` have small letters. A whole answer of JSON, or none where the status has none."""
        self.ended_at = time.time()
        self.status, self.headers, self.answer = status, headers, answer
        self.code = answer.get("code") if answer else None
        self.outcome = OK if status < 400 else REFUSED

    def broken(self) -> None:
        """No answer, or half of one: nobody knows what became of it."""
        self.ended_at = time.time()
        self.outcome = UNKNOWN


class Journal:
    """Append-only and safe between threads: a call is in it from the moment before it is sent."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.fault = ""  # the name of the one under way, put on every call
        self._lock = threading.Lock()

    def send(
        self, customer: int, act: str, method: str, path: str, body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> Call:  # fmt: skip
        with self._lock:
            number = len(self.calls) + 1
            call = Call(
                number,
                customer,
                act,
                method,
                path,
                body,
                key,
                sent_at=time.time(),
                fault=self.fault,
            )
            self.calls.append(call)
        return call

    def by(self, act: str) -> list[Call]:
        return [call for call in list(self.calls) if call.act == act]

    def between(self, start: float, end: float) -> list[Call]:
        """The calls that were under way at some moment of this time."""
        return [
            call
            for call in list(self.calls)
            if call.sent_at <= end and (call.ended_at or end) >= start
        ]

    def save(self, path: Path) -> None:
        """As JSON lines, one a call."""
        path.write_text("".join(json.dumps(asdict(call)) + "\n" for call in list(self.calls)))
