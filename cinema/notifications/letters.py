"""What a mail says. It is written when it is sent, from the rows as they are then."""

from datetime import datetime
from email.utils import format_datetime, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac
from django.utils.dateformat import format as format_date
from django.utils.timezone import get_default_timezone, localtime

from cinema.people import passwords
from cinema.people.models import PasswordReset, User
from cinema.sales.models import Booking, BookingEvent

# What resets sent before hold: another would give a mail that is tried again another Message-ID.
RESET_SALT = "cinema.mail.reset"


class Undeliverable(Exception):
    """There is nobody to send this mail to."""


def write(kind: str, pk: int) -> EmailMultiAlternatives:
    """Return the whole mail of this row.

    Raises Undeliverable, and ValueError for an address or a header that is none.
    """
    letter = _write_reset(pk) if kind == "reset" else _write_event(pk)
    letter.message()  # checks addresses and headers before the server is asked for anything
    return letter


def _write_event(pk: int) -> EmailMultiAlternatives:
    rows = BookingEvent.objects.select_related(
        "booking__user", "booking__show__movie", "booking__show__screen"
    )
    event: BookingEvent = rows.get(pk=pk)
    booking, show = event.booking, event.booking.show
    starts = format_date(localtime(show.date_time, get_default_timezone()), "l, j F Y, H:i T")
    context: dict[str, Any] = {
        "movie": show.movie_title,
        "screen": show.screen_name,
        "starts": starts,
    }
    context |= _describe(booking)
    name, subject = (
        event.kind,
        f"{event.kind.capitalize()}: {show.movie_title}, {starts} ({booking.reference})",
    )
    if event.mailed_with_id:
        name, subject = (
            "show_cancelled",
            f"Cancelled: {show.movie_title}, {starts} (the whole show)",
        )
        context["bookings"] = [
            _describe(one.booking) for one in event.mailed_together.select_related("booking")
        ]
    return _compose(
        name, subject, booking.user, event.at, f"event-{pk}-{booking.reference}", context
    )


def _describe(booking: Booking) -> dict[str, str]:
    return {"reference": booking.reference, "seats": ", ".join(map(str, booking.seat_numbers))}


def _write_reset(pk: int) -> EmailMultiAlternatives:
    """The token is made now and kept nowhere; the Message-ID is keyed, so that nobody can guess it."""
    reset: PasswordReset = PasswordReset.objects.select_related("user").get(pk=pk)
    if not reset.user.is_active:
        raise Undeliverable("inactive user")
    context = {"username": reset.user.username, "token": passwords.reset_token(reset.user)}
    key = salted_hmac(RESET_SALT, str(pk)).hexdigest()[:20]
    message_id = f"reset-{pk}-{key}"
    return _compose(
        "password_reset", "A new password for Marquee", reset.user, reset.at, message_id, context
    )


def _compose(
    name: str, subject: str, user: User, at: datetime, message_id: str, context: dict[str, Any]
) -> EmailMultiAlternatives:
    """Compose a mail without the customer's name.

    Whoever signs up with another's address would write to them by it.
    """
    if not user.email:
        raise Undeliverable("no address")
    host = (
        parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].encode("idna").decode()
        or "localhost"
    )
    headers = {
        "Message-ID": f"<{message_id}@{host}>",
        "Date": format_datetime(localtime(at, get_default_timezone())),
        "Auto-Submitted": "auto-generated",
    }
    text = render_to_string(f"cinema/mail/{name}.txt", context)
    letter = EmailMultiAlternatives(
        " ".join(subject.split()), text, to=[user.email], headers=headers
    )
    letter.attach_alternative(render_to_string(f"cinema/mail/{name}.html", context), "text/html")
    return letter
