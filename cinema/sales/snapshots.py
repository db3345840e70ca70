"""What is said of a booking: plain values, the same for every way that leads to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import Any, NamedTuple, Self

import orjson
from django.db.models import QuerySet

from cinema.infra.database.compiled import Compiled
from cinema.programme.snapshots import SHOW_COLUMNS, ShowSnapshot, to_cinema_time
from cinema.sales.models import Booking, BookingQuerySet, BookingSeat

PAGE = 50  # as long as a list is, unless its caller asks for another length
PENDING = Booking.Status.PENDING.value
CANCELLED = Booking.Status.CANCELLED.value
EXPIRED = Booking.Status.EXPIRED.value
BOOKING_COLUMNS = ("pk", "reference", "status", "expires_at", "created_at", "updated_at", "now")
COLUMNS = (*BOOKING_COLUMNS, *(f"show__{column}" for column in SHOW_COLUMNS))


@dataclass
class BookingSnapshot:
    id: int
    reference: str
    show: ShowSnapshot
    seat_number: int
    seat_numbers: list[int]
    status: str
    expires_at: datetime | None
    expires_in_seconds: int | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def read(
        cls,
        pk: int,
        reference: str,
        status: str,
        expires_at: datetime | None,
        created_at: datetime,
        updated_at: datetime,
        now: datetime,
        *,
        show: ShowSnapshot,
        seat_numbers: list[int],
    ) -> Self:
        """Return the booking of a row of BOOKING_COLUMNS.

        `now` is the database's clock: a stale hold reads as expired, swept or not.
        """
        seconds_left = None
        if status == PENDING and expires_at:
            if expires_at <= now:
                status = EXPIRED
            else:
                seconds_left = ceil((expires_at - now).total_seconds())
        shown_expiry = None
        if expires_at and status != CANCELLED:
            shown_expiry = to_cinema_time(expires_at)
        return cls(
            id=pk,
            reference=reference,
            show=show,
            seat_number=seat_numbers[0],
            seat_numbers=seat_numbers,
            status=status,
            expires_at=shown_expiry,
            expires_in_seconds=seconds_left,
            created_at=to_cinema_time(created_at),
            updated_at=to_cinema_time(updated_at),
        )

    @classmethod
    def parse(cls, body: str) -> Self:
        """Return the booking of a kept answer, with times as text.

        A field that an older version did not write is None, and one that only a newer version
        knows is left out: both may run at once during an upgrade.
        """
        values = orjson.loads(body)
        show = ShowSnapshot(**_known(ShowSnapshot, values["show"]))
        return cls(**_known(cls, values) | {"show": show})


def _known(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {field.name: values.get(field.name) for field in fields(kind)}


class Ended(StrEnum):
    """How a call ended: whether it changed anything, and if not, why."""

    DONE = "done"
    SAME = "same"  # it was so before
    KEPT = "kept"  # the answer to the first of several calls with one key


class Outcome(NamedTuple):
    """What became of a call: the booking, and whether this call made it.

    `kept_body` is the first answer to the letter, for a repeat with its key.
    """

    booking: BookingSnapshot
    created: bool = False
    ended: Ended = Ended.DONE
    kept_body: str | None = None


def booking_rows() -> BookingQuerySet:
    """Return bookings for `bookings`, with the database's clock to read their expiry by."""
    return Booking.objects.with_clock()


def bookings(rows: QuerySet[Booking]) -> list[BookingSnapshot]:
    """Return these of `booking_rows`, in their order, in two queries.

    They are read as plain columns: a model instance costs more.
    """
    return _read_all(rows.values_list(*COLUMNS))


def newest_bookings(user_id: int) -> list[BookingSnapshot]:
    """Return the first page of what a customer has."""
    return _read_all(NEWEST.rows(user_id))


def booking_with(pk: int) -> BookingSnapshot:
    return bookings(booking_rows().filter(pk=pk))[0]


def _read_all(rows: Iterable[Sequence[Any]]) -> list[BookingSnapshot]:
    """Read rows of COLUMNS, and their seats in one query."""
    found = list(rows)
    seats: dict[int, list[int]] = {row[0]: [] for row in found}
    seat_rows = BookingSeat.objects.filter(booking__in=seats)
    for pk, seat_number in seat_rows.values_list("booking", "seat_number"):
        seats[pk].append(seat_number)
    width = len(BOOKING_COLUMNS)
    return [
        BookingSnapshot.read(
            *row[:width], show=ShowSnapshot.read(*row[width:]), seat_numbers=sorted(seats[row[0]])
        )
        for row in found
    ]


def _newest(user_id: int) -> QuerySet[Booking, Any]:
    rows = booking_rows().filter(user=user_id).order_by("-id")
    return rows[:PAGE].values_list(*COLUMNS)


NEWEST = Compiled(_newest)
