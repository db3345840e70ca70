"""What a clerk is asked to confirm before anything is done."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from django.db.models import Count

from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales.models import Booking, BookingSeat
from cinema.staff.counter.form import SaleForm
from cinema.staff.formats import list_seats, name_and_address


class Question(NamedTuple):
    """A page that says what will be done. `fields` are sent again by whoever says yes."""

    title: str
    sentence: str
    lines: list[str]
    yes: str
    fields: dict[str, Any]


def sell(show: Show, form: SaleForm, customer: User, *, sees: bool) -> Question:
    """Ask before a sale. `sees`: the clerk may see the customer's name and e-mail."""
    details = name_and_address(customer) if sees else ""
    return Question(
        title="Book these seats?",
        sentence=f"They are sold at once. {_who_is_mailed(customer, sees)}",
        lines=[
            f"Seats: {form.seat_list}",
            f"Customer: {customer.username} {details}".strip(),
            f"The {show.description}",
        ],
        yes="Yes, book them",
        fields={
            "do": "sell",
            "seats": form.seat_list,
            "customer": form.customer,
            "once": secrets.token_hex(16),  # a second press of the button sells nothing more
        },
    )


def confirm(show: Show, booking: Booking, *, sees: bool) -> Question:
    return Question(
        title="Sell this hold?",
        sentence=f"Its seats are sold at once. {_who_is_mailed(booking.user, sees)}",
        lines=_lines(show, booking),
        yes="Yes, sell it",
        fields={"do": "confirm", "booking": booking.pk},
    )


def cancel(show: Show, booking: Booking) -> Question:
    fields = {"do": "cancel", "booking": booking.pk, "status": booking.status}
    if booking.status == Booking.Status.PENDING:
        return Question(
            title="Free this hold?",
            sentence="Its seats are free again at once. The customer is not mailed.",
            lines=_lines(show, booking),
            yes="Yes, free it",
            fields=fields,
        )
    return Question(
        title="Cancel this booking?",
        sentence="Its seats are free again at once, and a customer who has an account gets a mail. "
        "This cannot be undone.",
        lines=_lines(show, booking),
        yes="Yes, cancel it",
        fields=fields,
    )


def cancel_show(show: Show) -> Question:
    live = BookingSeat.objects.live().filter(show=show).order_by()
    customers = Count("booking__user", distinct=True)
    found = live.aggregate(customers=customers, bookings=Count("booking", distinct=True))
    counts = f"Bookings: {found['bookings']}, of customers: {found['customers']}."
    return Question(
        title="Cancel the whole show?",
        sentence=f"{counts} Nothing is sold from now on; every booking is cancelled, and each "
        "customer who had booked gets one mail. This cannot be undone.",
        lines=[f"The {show.description}"],
        yes="Yes, cancel the show",
        fields={"do": "cancel_show"},
    )


def _who_is_mailed(customer: User, sees: bool) -> str:
    if customer.is_walk_in:
        return "Nobody is mailed."
    return f"A mail goes to {customer.email if sees else 'the customer'}."


def _lines(show: Show, booking: Booking) -> list[str]:
    seats = list_seats(booking.seat_numbers)
    return [f"{booking.reference}: {booking.user}, {seats}", f"The {show.description}"]
