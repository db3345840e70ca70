"""Mails in a test: a sweep and what it queues, the waits passed, and workers that die or hang at a
bad moment.
"""

from datetime import UTC, datetime, timedelta

from django.core.mail.backends.smtp import EmailBackend
from django.db import connection
from django.db.models.functions import Now

from cinema.notifications import deliveries
from cinema.people.caller import Caller
from cinema.people.models import PasswordReset
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent
from tests.support.factories import a_customer
from tests.support.racing import race


class Killed(BaseException):
    """What a worker feels that dies."""


class DiesAfterTheYes(EmailBackend):
    def send_messages(self, email_messages):
        super().send_messages(email_messages)
        raise Killed


class SuspendedBeforeSending(EmailBackend):
    def open(self):
        super().open()
        let_pass(BookingEvent)


class LosesTheDatabase(EmailBackend):
    def send_messages(self, email_messages):
        sent = super().send_messages(email_messages)
        with connection.cursor() as cursor:
            on_postgresql = connection.vendor == "postgresql"
            cursor.execute("SELECT pg_backend_pid()" if on_postgresql else "SELECT connection_id()")
            (mine,) = cursor.fetchone()
        race(lambda: kill_connection(mine))
        return sent


def kill_connection(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(%s)" if connection.vendor == "postgresql" else "KILL %s",
            [number],
        )


def let_pass(model) -> None:
    """As if every wait and every lease had passed."""
    model.objects.owed().update(mail_due_at=Now() - timedelta(seconds=1))


def work_off() -> int:
    """One sweep and what it queues."""
    queued = deliveries.queue_due()
    for due in queued:
        deliveries.deliver(*due)
    return len(queued)


def the_event(booking: Booking, kind: str = "booked") -> BookingEvent:
    return booking.events.get(kind=kind)


def parts(message) -> tuple[str, str]:
    text, html = message.iter_parts()
    return text.get_content(), html.get_content()


def seconds_until_due(row) -> float:
    row.refresh_from_db()
    return (row.mail_due_at - datetime.now(UTC)).total_seconds()


def cancel(booking: Booking) -> BookingEvent:
    bookings.cancel(Caller(booking.user_id), booking.pk)
    return the_event(booking, "cancelled")


def a_reset(**fields) -> PasswordReset:
    return PasswordReset.objects.create(user=a_customer(**fields), mail_due_at=Now())
