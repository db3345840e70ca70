"""What a mail says. It is written when it is sent, from the rows as they are then."""

from datetime import datetime
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

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


Context = dict[str, str | list[dict[str, str]]]


class Draft(NamedTuple):
    """A mail before it is written out. `template` is its name in templates/cinema/mail/."""

    template: str
    subject: str
    user: User
    at: datetime
    message_id: str
    context: Context


class Undeliverable(Exception):
    """There is nobody to send this mail to."""


def write(kind: str, pk: int) -> EmailMultiAlternatives:
    """Return the whole mail of this row.

    Raises Undeliverable, and ValueError for an address or a header that is none.
    """
    draft_mail = DRAFTS[kind]
    letter = _compose(draft_mail(pk))
    letter.message()  # checks addresses and headers before the server is asked for anything
    return letter


def _draft_event(pk: int) -> Draft:
    rows = BookingEvent.objects.select_related(
        "booking__user", "booking__show__movie", "booking__show__screen"
    )
    event: BookingEvent = rows.get(pk=pk)
    booking, show = event.booking, event.booking.show
    starts = format_date(localtime(show.date_time, get_default_timezone()), "l, j F Y, H:i T")
    about = f"{show.movie_title}, {starts}"
    context: Context = {
        "movie": show.movie_title,
        "screen": show.screen_name,
        "starts": starts,
        **_describe(booking),
    }
    draft = Draft(
        template=event.kind,
        subject=f"{event.kind.capitalize()}: {about} ({booking.reference})",
        user=booking.user,
        at=event.at,
        message_id=f"event-{pk}-{booking.reference}",
        context=context,
    )
    if not event.mailed_with_id:
        return draft
    together = event.mailed_together.select_related("booking")
    context["bookings"] = [_describe(one.booking) for one in together]
    return draft._replace(template="show_cancelled", subject=f"Cancelled: {about} (the whole show)")


def _describe(booking: Booking) -> dict[str, str]:
    return {"reference": booking.reference, "seats": ", ".join(map(str, booking.seat_numbers))}


def _draft_reset(pk: int) -> Draft:
    """Make the token now and keep it nowhere; the Message-ID is keyed, so nobody can guess it."""
    reset: PasswordReset = PasswordReset.objects.select_related("user").get(pk=pk)
    if not reset.user.is_active:
        raise Undeliverable("inactive user")
    key = salted_hmac(RESET_SALT, str(pk)).hexdigest()[:20]
    return Draft(
        template="password_reset",
        subject="A new password for Marquee",
        user=reset.user,
        at=reset.at,
        message_id=f"reset-{pk}-{key}",
        context={"username": reset.user.username, "token": passwords.reset_token(reset.user)},
    )


DRAFTS = {"event": _draft_event, "reset": _draft_reset}


def _compose(draft: Draft) -> EmailMultiAlternatives:
    """Compose a mail without the customer's name.

    Whoever signs up with another's address would write to them by it.
    """
    if not draft.user.email:
        raise Undeliverable("no address")
    letter = EmailMultiAlternatives(
        subject=" ".join(draft.subject.split()),
        body=render_to_string(f"cinema/mail/{draft.template}.txt", draft.context),
        to=[draft.user.email],
        headers={
            "Message-ID": f"<{draft.message_id}@{_sender_host()}>",
            "Date": format_datetime(localtime(draft.at, get_default_timezone())),
            "Auto-Submitted": "auto-generated",
        },
    )
    html = render_to_string(f"cinema/mail/{draft.template}.html", draft.context)
    letter.attach_alternative(html, "text/html")
    return letter


def _sender_host() -> str:
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    host = address.rpartition("@")[2]
    return host.encode("idna").decode() or "localhost"
