"""Lines of several processes on one terminal, each with the name of the one that wrote it."""

import os
import sys
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from typing import IO

WAITING_LINES = 10_000
LONGEST_LINE = 16_384  # bytes; a longer one is shown in pieces
NAME_WIDTH = 7
COLORS = {"api": 32, "worker": 36, "beat": 33, "flower": 35, "redis": 34, "marquee": 1}


class Output:
    """The terminal. Nobody who writes here waits for it.

    A paused one costs lines, never a booking or the end of `up`.
    """

    def __init__(self) -> None:
        self._lines: Queue[tuple[str, str]] = Queue(WAITING_LINES)
        self._left_out = 0
        self._closed = False
        self._colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._writer = Thread(target=self._write, daemon=True)
        self._writer.start()

    def say(self, text: str, name: str = "marquee") -> None:
        try:
            self._lines.put_nowait((name, text))
        except Full:
            self._left_out += 1

    def follow(self, name: str, pipe: IO[bytes], unsaid: tuple[bytes, ...] = ()) -> None:
        """Show all that comes out of the pipe but lines with `unsaid`, until nobody writes more."""
        Thread(target=self._read, args=(name, pipe, unsaid), daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._writer.join(timeout=2)  # a paused terminal may never take the rest

    def _read(self, name: str, pipe: IO[bytes], unsaid: tuple[bytes, ...]) -> None:
        with pipe:
            while line := pipe.readline(LONGEST_LINE):
                if not any(word in line for word in unsaid):
                    self.say(line.decode(errors="replace").rstrip(), name)

    def _write(self) -> None:
        sys.stdout.flush()
        while True:
            try:
                name, text = self._lines.get(timeout=0.1)
            except Empty:
                if self._closed:
                    return
                continue
            self._put(self._prefixed(name, text))
            if self._left_out and self._lines.empty():
                self._put(
                    self._prefixed(
                        "marquee", f"{self._left_out} lines left out: the terminal was too slow"
                    )
                )
                self._left_out = 0

    def _prefixed(self, name: str, text: str) -> bytes:
        head = f"{name:<{NAME_WIDTH}} |"
        if self._colored:
            head = f"\033[{COLORS.get(name, 0)}m{head}\033[0m"
        return f"{head} {text}\n".encode(errors="replace")

    def _put(self, data: bytes) -> None:
        # Past sys.stdout: the end of the interpreter would wait for, or die of, a lock that this
        # thread holds.
        # the terminal has been closed, and the children are still to be ended
        with suppress(OSError):
            while data:
                data = data[os.write(1, data) :]
