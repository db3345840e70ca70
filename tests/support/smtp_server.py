"""A real mail server on a loopback port, that can be told to refuse."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from tests.support.services import free_port

logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: a line for each connection

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class SmtpServer:
    """What it took is in `mails`; the answers in `to_recipient` and `to_data` are given first, then
    yes.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.to_recipient: list[str] = []
        self.to_data: list[str] = []

    # aiosmtpd's name
    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.to_recipient:
            return self.to_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.to_data:
            return self.to_data.pop(0)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [mail["Subject"].partition(":")[0] for mail in self.mails]


@contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    server = SmtpServer()
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
