"""One customer's REST client on a kept-alive connection; every call is in the journal before it is
sent.
"""

import json
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from tests.faults.run.journal import Call, Journal
from tests.faults.run.waiting import CannotStart
from tests.faults.stage.proxy import HOST

PATIENCE_SECONDS = 12.0
# a connection that was idle longer is not trusted: the server closes it at its own time
IDLE_SECONDS = 5.0
PASSWORD = "a long enough passphrase"


class Client:
    """`user` is the customer's id once `sign_up` was answered. One thread at a time."""

    def __init__(
        self, journal: Journal, port: int, name: str, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.journal, self.port, self.name, self.patience = journal, port, name, patience
        self.user = 0
        self.token = ""
        self._connection: HTTPConnection | None = None
        self._used_at = 0.0

    def twin(self, patience: float = PATIENCE_SECONDS) -> "Client":
        """The same customer with the same login on another connection."""
        other = Client(self.journal, self.port, self.name, patience)
        other.user, other.token = self.user, self.token
        return other

    def sign_up(self) -> None:
        email = f"{self.name}@drill.example"
        body = {
            "username": self.name,
            "email": email,
            "password": PASSWORD,
            "password_confirm": PASSWORD,
        }
        call = self.call("signup", "POST", "/api/signup/", body)
        if call.status != 201 or not call.answer:
            raise CannotStart(f"A customer could not sign up: {call.status} {call.answer}")
        self.user = call.answer["id"]
        self.log_in()
        if not self.token:
            raise CannotStart("A customer could not log in.")

    def log_in(self) -> None:
        """A new token, if the API gives one."""
        call = self.call(
            "login", "POST", "/api/login/", {"username": self.name, "password": PASSWORD}
        )
        if call.status == 200 and call.answer:
            self.token = call.answer.pop("access")
            call.answer.clear()  # no token is kept in the journal

    def move_to(self, port: int) -> None:
        """Another server of the same API."""
        self.port = port
        self.close()

    def call(
        self, act: str, method: str, path: str, body: dict[str, Any] | None = None,
        key: str | None = None, etag: str | None = None,
    ) -> Call:  # fmt: skip
        told = {name: value for name, value in (body or {}).items() if "password" not in name}
        call = self.journal.send(
            self.user, act, method, path, told if body is not None else None, key
        )
        data = json.dumps(body).encode() if body is not None else None
        try:
            response = self._send(method, path, data, self._headers(key, etag, data))
            headers, raw = (
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        except (OSError, HTTPException):
            self.close()
            call.broken()
        else:
            call.answered(response.status, headers, _parsed(raw, headers))
        return call

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> HTTPResponse:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        self._used_at = time.monotonic()
        if self._connection is None:
            self._connection = HTTPConnection(HOST, self.port, timeout=self.patience)
        self._connection.request(method, path, data, headers)
        return self._connection.getresponse()

    def _headers(self, key: str | None, etag: str | None, data: bytes | None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self.token}" if self.token else "",
            "Idempotency-Key": key or "",
        }
        headers |= {"If-None-Match": etag or "", "Content-Type": "application/json" if data else ""}
        return {name: value for name, value in headers.items() if value}


def _parsed(raw: bytes, headers: Mapping[str, str]) -> Any:
    if "json" not in headers.get("content-type", ""):
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return None
