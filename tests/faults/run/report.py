"""What a drill tells: a bar on a terminal, lines elsewhere, a table at the end, and JSON for
programs.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

BAR = 24
CLEAR = "\r\033[K"
HEAD = ("fault", "calls", "slowest", "bookings", "mails", "lag", "verdict")


class Report:
    """Progress goes to `progress`, so that the table alone is on standard output."""

    def __init__(self, total: int, progress: TextIO | None = None) -> None:
        self.total, self.progress = total, progress or sys.stderr
        self.done = 0
        self.verdicts: list[Any] = []
        self.started = time.monotonic()
        self._now = "starting"
        self._lock = threading.Lock()
        if self.progress.isatty():
            threading.Thread(target=self._tick, daemon=True).start()

    def says(self, sentence: str) -> None:
        self._write(f"{sentence}\n")

    def begins(self, name: str) -> None:
        self._now = name

    def ends(self, verdict: Any) -> None:
        self.done += 1
        self.verdicts.append(verdict)
        self._write(
            f"{time.monotonic() - self.started:5.0f} s  {verdict.fault}: {verdict.verdict}\n"
        )
        for sentence in verdict.told:
            self._write(f"          {sentence}\n")

    def table(self) -> str:
        self._now = ""
        self._write("")
        rows = [HEAD, *map(_row, self.verdicts)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in [lines[0], "-" * len(lines[0]), *lines[1:]])

    def save(self, path: Path, **more: Any) -> None:
        path.write_text(
            json.dumps(
                more | {"verdicts": [asdict(verdict) for verdict in self.verdicts]}, indent=2
            )
        )

    def _write(self, text: str) -> None:
        with self._lock:
            self.progress.write(f"{CLEAR}{text}" if self.progress.isatty() else text)
            self.progress.flush()

    def _tick(self) -> None:
        """The bar, on a terminal, until the table is drawn."""
        while self._now:
            filled = min(BAR, BAR * self.done // max(1, self.total))
            bar = "█" * filled + "·" * (BAR - filled)
            self._write(
                f"{bar} {self.done}/{self.total} {time.monotonic() - self.started:4.0f} s  {self._now}"
            )
            time.sleep(1)


def all_kept(verdicts: Sequence[Any]) -> bool:
    return bool(verdicts) and all(verdict.verdict == "kept" for verdict in verdicts)


def _row(verdict: Any) -> tuple[str, ...]:
    seconds = [
        _seconds(value)
        for value in (verdict.slowest, verdict.recovery, verdict.mail_recovery, verdict.lag)
    ]
    return (verdict.fault, str(verdict.calls), *seconds, verdict.verdict)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
