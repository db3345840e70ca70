"""The drill's mail server: takes every mail, or does what a bad one does, and can stop a worker
between two answers.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from project.up.embedded_redis import free_port
from tests.faults.stage.proxy import HOST

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's: ten lines a mail
TEMPORARY, PERMANENT = "451 4.3.0 Try again later", "550 5.1.1 No such mailbox"


@dataclass(frozen=True)
class Mail:
    """One that the sink said yes to. `at` is time.time()."""

    message_id: str
    to: str
    subject: str
    at: float


class SmtpSink:
    """`answer_to_recipient` is given in place of yes; `hangs` keeps a client waiting for its first
    answer.

    `on_greeting` is called with the client's port while our first word is not sent yet, `on_yes`
    with the mail while the yes to it is not.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[Mail] = []
        self.answer_to_recipient = ""
        self.hangs = False
        self.refused = 0  # conversations that were hung or answered 4xx or 5xx
        self.on_greeting: Callable[[int], None] | None = None
        self.on_yes: Callable[[Mail], None] | None = None
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = _Door(self, hostname=HOST, port=self.port)
        self._controller.start()

    def refuse(self) -> None:
        """Nobody listens any more, until `start`."""
        if self._controller:
            self._controller.stop()
            self._controller = None

    def heal(self) -> None:
        self.answer_to_recipient, self.hangs = "", False
        self.on_greeting = self.on_yes = None
        if self._controller is None:
            self.start()

    def first_after(self, moment: float) -> Mail | None:
        return next((mail for mail in list(self.mails) if mail.at >= moment), None)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        if self.hangs:
            self.refused += 1
        while self.hangs:
            await asyncio.sleep(0.1)
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.answer_to_recipient:
            self.refused += 1
            return self.answer_to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        letter = message_from_bytes(envelope.content, policy=policy.default)
        mail = Mail(
            str(letter["Message-ID"]), envelope.rcpt_tos[0], str(letter["Subject"]), time.time()
        )
        self.mails.append(mail)
        if self.on_yes:
            self.on_yes(mail)
        return "250 OK"


class _Door(Controller):
    def factory(self) -> SMTP:
        return _Conversation(self.handler, **self.SMTP_kwargs)


class _Conversation(SMTP):
    def connection_made(self, transport: Any) -> None:
        if self.event_handler.on_greeting:
            self.event_handler.on_greeting(transport.get_extra_info("peername")[1])
        super().connection_made(transport)
