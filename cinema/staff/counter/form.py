"""What a clerk types at the counter, checked, and what he is asked to confirm before anything is
done.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count

from cinema.errors import Invalid
from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales.models import Booking, BookingSeat
from cinema.staff import search

MOST_TYPED = 100  # each stands in the link of every free seat
SPELLED = re.compile(r"[0-9,;\s]*")


class Typed(NamedTuple):
    """What stands in the form: kept in the address, so that a refusal or a reload loses nothing of
    it.
    """

    seats: list[int]
    customer: str = ""

    @classmethod
    def of(cls, data: Any) -> Typed:
        """Raises Invalid."""
        text = data.get("seats", "")
        if not SPELLED.fullmatch(text):
            raise Invalid("Write the seats as numbers, such as 5, 6.")
        numbers = {int(number) for number in re.findall(r"[0-9]{1,9}", text)}
        if len(numbers) > MOST_TYPED:
            raise Invalid(
                f"One booking has at most {settings.MAX_SEATS_PER_BOOKING} seats: make several."
            )
        return cls(sorted(numbers), data.get("customer", "").strip())

    @property
    def told(self) -> str:
        return ", ".join(map(str, self.seats))

    def address(self, **more: Any) -> str:
        values = {"seats": self.told.replace(" ", ""), "customer": self.customer} | more
        return "?" + urlencode({name: value for name, value in values.items() if value})


class Deed(NamedTuple):
    """What a clerk is asked to confirm: `fields` are sent again, `back` leads to where it was
    asked.
    """

    title: str
    told: str
    lines: list[str]
    yes: str
    fields: dict[str, Any]


def seats_told(numbers: Iterable[int]) -> str:
    """As a sentence has them: `seat 5`, or `seats 5, 6`."""
    listed = [str(number) for number in numbers]
    return f"{'seat' if len(listed) == 1 else 'seats'} {', '.join(listed)}"


def typed_or_nothing(data: Any) -> Typed:
    try:
        return Typed.of(data)
    except Invalid:
        return Typed([], data.get("customer", ""))


def customer_of(typed: str) -> User:
    if not typed:
        return User.objects.walk_in()
    found = search.customer(typed)
    if found is None:
        raise Invalid(f"Nobody has the username or e-mail {typed}. Leave it empty for a walk-in.")
    return found


def require_seats(typed: Typed, show: Show) -> None:
    if not typed.seats:
        raise Invalid("Choose a seat first.")
    if len(typed.seats) > settings.MAX_SEATS_PER_BOOKING:
        raise Invalid(
            f"One booking has at most {settings.MAX_SEATS_PER_BOOKING} seats: make several."
        )
    if not 1 <= typed.seats[0] <= typed.seats[-1] <= show.total_seats:
        raise Invalid(f"This show has the seats 1 to {show.total_seats}.")


def described(user: User) -> str:
    return ", ".join(filter(None, [user.get_full_name(), user.email]))


def sale(show: Show, typed: Typed, customer: User, *, sees: bool) -> Deed:
    """With the customer's name and e-mail for who may see customers."""
    lines = [
        f"Seats: {typed.told}",
        f"Customer: {customer.username} {described(customer) if sees else ''}".strip(),
        f"The {show.told}",
    ]
    once = secrets.token_hex(16)  # whoever presses twice has pressed once
    fields = {"do": "sell", "seats": typed.told, "customer": typed.customer, "once": once}
    told = f"They are sold at once. {_mailed(customer, sees)}"
    return Deed("Book these seats?", told, lines, "Yes, book them", fields)


def confirmation(show: Show, booking: Booking, *, sees: bool) -> Deed:
    fields = {"do": "confirm", "booking": booking.pk}
    told = f"Its seats are sold at once. {_mailed(booking.user, sees)}"
    return Deed("Sell this hold?", told, _lines(show, booking), "Yes, sell it", fields)


def _mailed(customer: User, sees: bool) -> str:
    if customer.is_walk_in:
        return "Nobody is mailed."
    return f"A mail goes to {customer.email if sees else 'the customer'}."


def _lines(show: Show, booking: Booking) -> list[str]:
    return [
        f"{booking.reference}: {booking.user}, {seats_told(booking.seat_numbers)}",
        f"The {show.told}",
    ]


def cancellation(show: Show, booking: Booking) -> Deed:
    lines = _lines(show, booking)
    fields = {"do": "cancel", "booking": booking.pk, "status": booking.status}
    if booking.status == Booking.Status.PENDING:
        told = "Its seats are free again at once. The customer is not mailed."
        return Deed("Free this hold?", told, lines, "Yes, free it", fields)
    told = "Its seats are free again at once, and a customer who has an account gets a mail. This cannot be undone."
    return Deed("Cancel this booking?", told, lines, "Yes, cancel it", fields)


def closing(show: Show) -> Deed:
    live = BookingSeat.objects.live().filter(show=show).order_by()
    who, which = Count("booking__user", distinct=True), Count("booking", distinct=True)
    found = live.aggregate(customers=who, bookings=which)
    told = (
        f"Bookings: {found['bookings']}, of customers: {found['customers']}. Nothing is sold from now on; every "
        "booking is cancelled, and each customer who had booked gets one mail. This cannot be undone."
    )
    lines = [f"The {show.told}"]
    return Deed(
        "Cancel the whole show?", told, lines, "Yes, cancel the show", {"do": "cancel_show"}
    )
