"""What a clerk fills in at the counter, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.conf import settings

from cinema.errors import Invalid
from cinema.people.models import User
from cinema.programme.models import Show
from cinema.staff import search

MOST_SEATS = 100  # each stands in the link of every free seat
NUMBERS = re.compile(r"[0-9,;\s]*")


class SaleForm(NamedTuple):
    """The seats and the customer, kept in the address: a refusal or a reload loses nothing."""

    seats: list[int]
    customer: str = ""

    @classmethod
    def read(cls, data: Mapping[str, str]) -> SaleForm:
        """Raises Invalid."""
        text = data.get("seats", "")
        if not NUMBERS.fullmatch(text):
            raise Invalid("Write the seats as numbers, such as 5, 6.")
        numbers = {int(number) for number in re.findall(r"[0-9]{1,9}", text)}
        if len(numbers) > MOST_SEATS:
            raise _too_many_seats()
        return cls(sorted(numbers), data.get("customer", "").strip())

    @classmethod
    def read_leniently(cls, data: Mapping[str, str]) -> SaleForm:
        """Leave out seats that are no numbers."""
        try:
            return cls.read(data)
        except Invalid:
            return cls([], data.get("customer", ""))

    @property
    def seat_list(self) -> str:
        return ", ".join(map(str, self.seats))

    def address(self, **more: int) -> str:
        """Return the map's address with this form in it."""
        values = {"seats": self.seat_list.replace(" ", ""), "customer": self.customer, **more}
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def require_seats(self, show: Show) -> None:
        """Raises Invalid."""
        if not self.seats:
            raise Invalid("Choose a seat first.")
        if len(self.seats) > settings.MAX_SEATS_PER_BOOKING:
            raise _too_many_seats()
        if not 1 <= self.seats[0] <= self.seats[-1] <= show.total_seats:
            raise Invalid(f"This show has the seats 1 to {show.total_seats}.")

    def find_customer(self) -> User:
        """Return whom the form names, or the walk-in if nobody. Raises Invalid."""
        if not self.customer:
            return User.objects.walk_in()
        found = search.customer(self.customer)
        if found is None:
            sentence = f"Nobody has the username or e-mail {self.customer}."
            raise Invalid(f"{sentence} Leave it empty for a walk-in.")
        return found


def _too_many_seats() -> Invalid:
    most = settings.MAX_SEATS_PER_BOOKING
    return Invalid(f"One booking has at most {most} seats: make several.")
