"""Faults of the mail server: bookings do not notice, and every mail goes in the end or is shown to
staff.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.faults.kinds.fault import DidNotHappen, Fault
from tests.faults.stage.programs import manage
from tests.faults.stage.smtp_sink import PERMANENT, TEMPORARY
from tests.faults.stage.stage import Stage

MAIL_SECONDS = 60
SEND_AGAIN = """
from cinema.notifications import deliveries
from cinema.sales.models import BookingEvent
deliveries.send_again(BookingEvent.objects.all())
"""
FAILED = "SELECT count(*) FROM cinema_bookingevent WHERE mail_failed_at IS NOT NULL"
PUT_OFF = (
    "SELECT count(*) FROM cinema_bookingevent WHERE mail_due_at IS NOT NULL AND mail_error <> ''"
)


@contextmanager
def refusing(stage: Stage) -> Iterator[None]:
    """Nobody listens on its port."""
    stage.smtp.refuse()
    try:
        yield
        if not stage.query(PUT_OFF)[0][0]:
            raise DidNotHappen("No mail was tried.")
    finally:
        stage.smtp.heal()


@contextmanager
def hanging(stage: Stage) -> Iterator[None]:
    with _bad(stage):
        stage.smtp.hangs = True
        yield


def answering(words: str) -> Callable[[Stage], AbstractContextManager[None]]:
    @contextmanager
    def during(stage: Stage) -> Iterator[None]:
        with _bad(stage):
            stage.smtp.answer_to_recipient = words
            yield

    return during


@contextmanager
def refusing_for_good(stage: Stage) -> Iterator[None]:
    """Staff see the mails that failed, and send them again when the server is in order."""
    with _bad(stage):
        stage.smtp.answer_to_recipient = PERMANENT
        yield
    if not stage.query(FAILED)[0][0]:
        raise DidNotHappen("No mail failed for good.")
    manage("shell", "--command", SEND_AGAIN, environment=stage.api.environment)


@contextmanager
def _bad(stage: Stage) -> Iterator[None]:
    before = stage.smtp.refused
    try:
        yield
    finally:
        stage.smtp.heal()
    if stage.smtp.refused == before:
        raise DidNotHappen("No mail met it.")


FAULTS = [
    Fault(
        "smtp-refusing", "The mail server is away.", refusing, seconds=8, mail_limit=MAIL_SECONDS
    ),
    Fault(
        "smtp-hanging",
        "The mail server accepts and says nothing.",
        hanging,
        seconds=8,
        mail_limit=MAIL_SECONDS,
    ),
    Fault(
        "smtp-4xx",
        "The mail server puts every recipient off.",
        answering(TEMPORARY),
        seconds=8,
        mail_limit=MAIL_SECONDS,
    ),
    Fault(
        "smtp-5xx",
        "The mail server refuses every recipient for good; staff send the mails again.",
        refusing_for_good,
        seconds=8,
        mail_limit=MAIL_SECONDS,
        failed_mail_allowed=True,
    ),
]
