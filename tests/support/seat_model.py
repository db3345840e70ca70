"""What the contract says of one show's seats, in plain Python: no table, no lock, no clock but a
number.
"""

from dataclasses import dataclass, field
from typing import Any

Answer = tuple[int, Any]  # the status, and the code of a refusal or the sale it tells of


@dataclass(eq=False)
class Sale:
    """A booking. `ends` is when its hold runs out, None for a booked one."""

    customer: int
    seats: list[int]
    ends: float | None
    story: list[str] = field(default_factory=list)
    id: int = 0

    def is_live(self, now: float) -> bool:
        return self.story[-1] == "booked" or (self.story[-1] == "held" and now < self.ends)

    def is_stale(self, now: float) -> bool:
        """Run out, and not yet tidied up."""
        return self.story[-1] == "held" and now >= self.ends

    def status(self, now: float) -> str:
        if self.story[-1] == "held":
            return "expired" if self.is_stale(now) else "pending"
        return self.story[-1]


class SeatModel:
    """Every call answers as the API must, and changes what the API must change."""

    def __init__(self, total_seats: int, hold_seconds: float, starts: float):
        self.total_seats, self.hold_seconds, self.starts = total_seats, hold_seconds, starts
        self.now = 0.0
        self.sales: list[Sale] = []

    @property
    def taken(self) -> list[int]:
        return sorted(seat for sale in self.sales if sale.is_live(self.now) for seat in sale.seats)

    @property
    def stale(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.is_stale(self.now)]

    def hold(self, customer: int, seats: list[int]) -> Answer:
        own = [
            s
            for s in self.sales
            if s.customer == customer and s.story == ["held"] and s.is_live(self.now)
        ]
        if refused := self._closed_to(seats):
            return refused
        if own:
            return (200, own[0]) if own[0].seats == seats else (409, "hold_limit")
        if set(seats) & set(self.taken):
            return 409, "seat_taken"
        self._take_over(
            [
                sale
                for sale in self.stale
                if sale.customer == customer or set(sale.seats) & set(seats)
            ]
        )
        return self._sell(
            Sale(customer, seats, min(self.now + self.hold_seconds, self.starts), ["held"])
        )

    def book(self, customer: int, seats: list[int]) -> Answer:
        if refused := self._closed_to(seats):
            return refused
        if set(seats) & set(self.taken):
            return 409, "seat_taken"
        self._take_over([sale for sale in self.stale if set(sale.seats) & set(seats)])
        return self._sell(Sale(customer, seats, None, ["booked"]))

    def confirm(self, customer: int, sale: Sale) -> Answer:
        if sale.customer != customer:
            return 404, "not_found"
        if sale.story[-1] == "booked":
            return 200, sale
        if sale.story[-1] == "cancelled":
            return 409, "booking_closed"
        if not sale.is_live(self.now):  # so is a hold of a show that has started
            return 410, "hold_expired"
        sale.story.append("booked")
        return 200, sale

    def cancel(self, customer: int, sale: Sale) -> Answer:
        if sale.customer != customer:
            return 404, "not_found"
        if sale.story[-1] == "cancelled":
            return 200, sale
        if not sale.is_live(self.now):
            return 410, "hold_expired"
        if self.now >= self.starts:
            return 409, "show_started"
        sale.story.append("cancelled")
        return 200, sale

    def expire_stale(self) -> int:
        return self._take_over(self.stale)

    def move_start(self, starts: float) -> None:
        """A hold never outlives the start."""
        self.starts = starts
        for sale in self.sales:
            if sale.story[-1] == "held":
                sale.ends = min(sale.ends, starts)

    def _closed_to(self, seats: list[int]) -> Answer | None:
        if self.now >= self.starts:
            return 409, "show_started"
        return (422, "seat_out_of_range") if seats[-1] > self.total_seats else None

    def _take_over(self, stale: list[Sale]) -> int:
        for sale in stale:
            sale.story.append("expired")
        return len(stale)

    def _sell(self, sale: Sale) -> Answer:
        self.sales.append(sale)
        return 201, sale
