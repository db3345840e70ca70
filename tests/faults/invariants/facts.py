"""What the invariants judge by: rows read from SQL, the customers' journal, and the mails that
arrived.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from tests.faults.run.journal import Call, Journal

PENDING, BOOKED, CANCELLED, EXPIRED = "pending", "booked", "cancelled", "expired"
# an event's time is its statement's, and the commit comes a little later
CLOCK_SLACK_SECONDS = 0.25


class Mail(Protocol):
    """One that the mail server has taken; `at` is time.time()."""

    message_id: str
    to: str
    at: float


class Booking(NamedTuple):
    id: int
    user: int
    show: int
    status: str
    holding: bool
    reference: str
    expires_at: float | None
    created_at: float


class Seat(NamedTuple):
    booking: int
    show: int
    number: int
    taken: bool
    held_until: float | None


class Event(NamedTuple):
    id: int
    booking: int
    kind: str
    at: float
    due_at: float | None
    sent_at: float | None
    failed_at: float | None
    error: str
    actor: int | None
    # the event whose mail tells of this one, when a whole show is cancelled
    mailed_with: int | None


class KeyRow(NamedTuple):
    user: int
    status: int


class Show(NamedTuple):
    id: int
    starts_at: float
    total_seats: int
    cancelled_at: float | None
    cancelled_by: int | None


class Usage(NamedTuple):
    """What the product uses in calm: connections to the database, and bytes of memory by program."""

    connections: int
    memory: dict[str, int]


@dataclass(frozen=True)
class Facts:
    """Taken when the customers pause and nothing is under way. Each table is read once, when it is
    first asked for.
    """

    query: Callable[[str], Sequence[Sequence[Any]]]
    journal: Journal
    mails: Sequence[Mail]
    hold_seconds: float
    lease_seconds: float
    second_mail_times: Sequence[
        tuple[float, float]
    ] = ()  # from, to: a fault made the moment for a second copy
    failed_mail_times: Sequence[
        tuple[float, float]
    ] = ()  # from, to: the mail server refused mails for good
    before: Usage | None = None
    after: Usage | None = None
    taken_at: float = field(default_factory=time.time)  # workers go on while the rows are read

    @cached_property
    def calls(self) -> list[Call]:
        return list(self.journal.calls)

    @cached_property
    def now(self) -> float:
        """The database's clock."""
        return seconds(self.query("SELECT CURRENT_TIMESTAMP")[0][0]) or 0.0

    @cached_property
    def bookings(self) -> dict[int, Booking]:
        columns = "id, user_id, show_id, status, holding, reference, expires_at, created_at"
        rows = self.query(f"SELECT {columns} FROM cinema_booking ORDER BY id")
        return {
            row[0]: Booking(*row[:4], bool(row[4]), row[5], *map(seconds, row[6:])) for row in rows
        }

    @cached_property
    def seats(self) -> list[Seat]:
        columns = "booking_id, show_id, seat_number, taken, held_until"
        rows = self.query(
            f"SELECT {columns} FROM cinema_bookingseat ORDER BY show_id, seat_number, booking_id"
        )
        return [Seat(*row[:3], bool(row[3]), seconds(row[4])) for row in rows]

    @cached_property
    def events(self) -> list[Event]:
        columns = "id, booking_id, kind, at, mail_due_at, mail_sent_at, mail_failed_at, mail_error, actor_id"
        rows = self.query(f"SELECT {columns}, mailed_with_id FROM cinema_bookingevent ORDER BY id")
        return [Event(*row[:3], *map(seconds, row[3:7]), *row[7:]) for row in rows]

    @cached_property
    def keys(self) -> list[KeyRow]:
        return [
            KeyRow(*row) for row in self.query("SELECT user_id, status FROM cinema_idempotencykey")
        ]

    @cached_property
    def shows(self) -> dict[int, Show]:
        rows = self.query(
            "SELECT id, date_time, total_seats, cancelled_at, cancelled_by_id FROM cinema_show"
        )
        return {
            row[0]: Show(row[0], seconds(row[1]) or 0.0, row[2], seconds(row[3]), row[4])
            for row in rows
        }

    @cached_property
    def addresses(self) -> dict[int, str]:
        return dict(self.query("SELECT id, email FROM cinema_user"))

    @cached_property
    def seats_of(self) -> dict[int, list[Seat]]:
        return grouped(self.seats, lambda seat: seat.booking)

    @cached_property
    def events_of(self) -> dict[int, list[Event]]:
        return grouped(self.events, lambda event: event.booking)

    @cached_property
    def walk_ins(self) -> set[int]:
        """The account that nobody has: its bookings owe no mail."""
        return {
            row[0] for row in self.query("SELECT id FROM cinema_user WHERE username = 'walk-in'")
        }

    def ended_with_its_show(self, event: Event) -> bool:
        """By whoever cancelled the whole show, and since then."""
        show = self.shows[self.bookings[event.booking].show]
        if event.kind != CANCELLED or show.cancelled_at is None:
            return False
        return (
            event.at >= show.cancelled_at - CLOCK_SLACK_SECONDS and event.actor == show.cancelled_by
        )

    def numbers_of(self, booking: int) -> list[int]:
        return [seat.number for seat in self.seats_of.get(booking, [])]

    def is_live(self, booking: Booking) -> bool:
        return booking.status == BOOKED or (
            booking.status == PENDING and (booking.expires_at or 0) > self.now
        )


def grouped(rows: Sequence[Any], by: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups = defaultdict(list)
    for row in rows:
        groups[by(row)].append(row)
    return groups


def seconds(value: Any) -> float | None:
    """Seconds since 1970 of what a database gives for a time: aware, naive in UTC, or text as
    SQLite stores it.
    """
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
