"""As much of PostgreSQL's protocol as it takes to know which statement a client runs, and when its
reply is whole.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct

STARTUP = 196608  # protocol 3.0; what comes before it (a request for TLS) has no type byte either


class Frames:
    """Cuts one direction of a connection into messages; the rest of an incomplete one is waited
    for.
    """

    def __init__(self, from_client: bool) -> None:
        self._buffer = b""
        self._typed = not from_client

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        messages = []
        while message := self._next():
            messages.append(message)
        return messages

    def _next(self) -> bytes:
        start = 1 if self._typed else 0
        if len(self._buffer) < start + 4:
            return b""
        (length,) = struct.unpack_from("!I", self._buffer, start)
        if len(self._buffer) < start + length:
            return b""
        message, self._buffer = self._buffer[: start + length], self._buffer[start + length :]
        if not self._typed:
            self._typed = struct.unpack_from("!I", message, 4) == (STARTUP,)
        return message


class Statements:
    """The SQL behind a client's messages: psycopg prepares, so most of them name a statement and do
    not say it.
    """

    def __init__(self) -> None:
        self._prepared: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}

    def run_by(self, message: bytes) -> bytes:
        """The SQL that this message runs; b"" for one that runs none."""
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return body[:-1]
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._prepared[name] = sql
        elif kind == b"B":
            portal, name, _ = body.split(b"\0", 2)
            self._portals[portal] = self._prepared.get(name, b"")
        elif kind == b"E":
            return self._portals.get(body.split(b"\0", 1)[0], b"")
        return b""


def ends_reply(message: bytes) -> bool:
    """Whether it is ReadyForQuery: then the server has done, and committed, all that it was sent."""
    return message[:1] == b"Z"
