"""Owed mail: every row of BookingEvent and PasswordReset that owes a mail gets it, at least once.

    queue_due   put a due row QUEUED_SECONDS ahead and queue (kind, pk, attempt), which may be lost
    deliver     claim: attempt + 1, leased → greet the server → still my lease? → send → stamp

Every step is a compare-and-set on `mail_attempts`, so of two workers with one message one sends. A
second copy, with the same Message-ID, comes only from a worker that died or was suspended past its
lease between last question and stamp.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from logging import ERROR, INFO, WARNING
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce, Now

from cinema.infra import logs, metrics, outbox
from cinema.infra.outbox import OwedQuerySet
from cinema.notifications import letters, smtp_answers
from cinema.notifications.letters import Undeliverable
from cinema.people.models import is_walk_in
from cinema.sales.models import BookingEvent

log = structlog.get_logger("marquee.mail")

# A queued row is left alone this long; a message that was lost is made again after it.
QUEUED_SECONDS = 30
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 5, 900
STAMP_RETRY_SECONDS = (0.2, 0.5, 1, 2, 4)


class Due(NamedTuple):
    kind: str
    pk: int
    attempt: int


def queue_due(limit: int = 500) -> list[Due]:
    """Return what to queue now, up to `limit` mails of each kind.

    No other sweep gets them for QUEUED_SECONDS.
    """
    return [due for kind in outbox.kinds() for due in _queue_due(kind, limit)]


def deliver(kind: str, pk: int, attempt: int) -> None:
    """Send this mail if `attempt` is still its number.

    A message that comes twice finds another number and does nothing.
    """
    lease = Now() + timedelta(seconds=settings.MAIL_LEASE_SECONDS)
    unclaimed = _sendable(kind).filter(pk=pk, mail_attempts=attempt)
    if not unclaimed.update(mail_attempts=attempt + 1, mail_due_at=lease):
        return  # another worker was first
    if owed_by := outbox.kinds()[kind].objects.values_list("request_id", flat=True).get(pk=pk):
        logs.add(request_id=owed_by)
    try:
        sent = _send(letters.write(kind, pk), _claimed(kind, pk, attempt + 1))
        _log_outcome("sent" if sent else "left to another worker", kind, pk, attempt + 1)
    except Undeliverable as error:
        _give_up(kind, pk, attempt + 1, str(error))
    # SMTPException is an OSError; ValueError: our own address may be mistyped
    except (OSError, ValueError) as error:
        settle = _give_up if smtp_answers.is_permanent(error) else put_off
        settle(kind, pk, attempt + 1, smtp_answers.describe(error))


def put_off(kind: str, pk: int, attempt: int, reason: str) -> None:
    """Make it due again in 5, 15, 45 … 900 s, after a temporary failure of this attempt."""
    seconds = min(FIRST_RETRY_SECONDS * 3 ** min(attempt - 1, 9), LAST_RETRY_SECONDS)
    due = Now() + timedelta(seconds=seconds)
    if _claimed(kind, pk, attempt).update(mail_due_at=due, mail_error=reason):
        _log_outcome("put off", kind, pk, attempt, reason=reason, again_in=seconds)


def send_again(rows: OwedQuerySet) -> int:
    """Owe those of these mails that failed once more, and say how many.

    A confirmation stays failed once the booking's cancellation is sent or owed: it would arrive
    after it.
    """
    failed = rows.model.objects.failed().filter(pk__in=list(rows.values_list("pk", flat=True)))
    if rows.model is BookingEvent:
        later = BookingEvent.objects.filter(booking=OuterRef("booking"), pk__gt=OuterRef("pk"))
        was_sent = Q(mail_sent_at__isnull=False) | Q(mail_due_at__isnull=False)
        was_sent |= Q(mailed_with__mail_sent_at__isnull=False)
        was_sent |= Q(mailed_with__mail_due_at__isnull=False)
        failed = failed.filter(~Exists(later.filter(was_sent)))
        failed = failed.exclude(is_walk_in("booking__user"))  # owed nothing
    owed_anew: int = failed.update(mail_due_at=Now(), mail_failed_at=None, mail_error="")
    return owed_anew


def _queue_due(kind: str, limit: int) -> list[Due]:
    with transaction.atomic(durable=True):
        # locked and skipped, so that of two sweeps at once each finds rows of its own
        rows = _sendable(kind).due().select_for_update(skip_locked=True)
        attempts = dict(
            rows.order_by("mail_due_at", "pk").values_list("pk", "mail_attempts")[:limit]
        )
        ahead = Now() + timedelta(seconds=QUEUED_SECONDS)
        queued = outbox.kinds()[kind].objects.filter(pk__in=list(attempts))
        queued.update(mail_due_at=ahead)
    return [Due(kind, pk, attempt) for pk, attempt in attempts.items()]


def _sendable(kind: str) -> OwedQuerySet:
    """Return what is owed and whose turn it is.

    Not before an earlier mail of its booking, nor that of a whole show before any of its
    customer's.
    """
    rows = outbox.kinds()[kind].objects.owed()
    if kind == "event":
        # owed, so written that no plan begins with all that is owed, once for each mail of a full
        # hall
        before = BookingEvent.objects.annotate(due=Coalesce("mail_due_at", "mail_due_at"))
        before = before.filter(due__isnull=False, pk__lt=OuterRef("pk"))
        earlier = before.filter(booking=OuterRef("booking"))
        of_the_show = before.filter(
            booking__user__bookings__events=OuterRef("pk"),
            booking__show=F("booking__user__bookings__show"),
        )
        rows = rows.filter(~Exists(earlier), Q(mailed_with=None) | ~Exists(of_the_show))
    return rows


def _claimed(kind: str, pk: int, attempt: int) -> OwedQuerySet:
    """Return the row, as long as no other worker has claimed it after this attempt."""
    return outbox.kinds()[kind].objects.owed().filter(pk=pk, mail_attempts=attempt)


def _send(letter: EmailMultiAlternatives, mine: OwedQuerySet) -> bool:
    with _open_conversation() as server:
        if not mine.filter(mail_due_at__gt=Now()).exists():
            return False
        server.send_messages([letter])
        try:
            _stamp(mine)  # before the QUIT, whose answer may take its time
        # the task's time limit, at its worst moment: put off, this mail would surely come twice
        except Exception:
            _stamp_once(mine)
            raise
    return True


@contextmanager
def _open_conversation() -> Iterator[BaseEmailBackend]:
    """Hold a conversation that ends with QUIT, but not when the task's time limit ends it.

    QUIT waits for an answer too.
    """
    server = get_connection()
    try:
        server.open()
        yield server
    except OSError:
        _quit(server)
        raise
    _quit(server)


def _quit(server: BaseEmailBackend) -> None:
    with suppress(OSError):  # the mail is sent or put off by now, whatever the server answers
        server.close()


def _stamp(mine: OwedQuerySet) -> None:
    """Stamp the mail as sent, after the server's yes.

    A database that is away for a moment must not cost the customer a second copy.
    """
    for seconds in STAMP_RETRY_SECONDS:
        try:
            return _stamp_once(mine)
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(seconds)
    return _stamp_once(mine)


def _stamp_once(mine: OwedQuerySet) -> None:
    mine.update(mail_sent_at=Now(), mail_due_at=None, mail_error="")


def _give_up(kind: str, pk: int, attempt: int, reason: str) -> None:
    """Note a permanent refusal: staff see it and can send it again."""
    if _claimed(kind, pk, attempt).update(
        mail_failed_at=Now(), mail_due_at=None, mail_error=reason
    ):
        _log_outcome("refused for good", kind, pk, attempt, reason=reason)


def _log_outcome(outcome: str, kind: str, pk: int, attempt: int, **more: str | int) -> None:
    metrics.MAILS.labels(kind, outcome).inc()
    level = {"put off": WARNING, "refused for good": ERROR}.get(outcome, INFO)
    log.log(level, f"mail {outcome}", kind=kind, id=pk, attempt=attempt, **more)
