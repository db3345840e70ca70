"""What the API tells of a row: the contract's fields as plain values, the same for every way that
leads to them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.timezone import get_default_timezone

from cinema.infra.database.compiled import Compiled
from cinema.programme.models import Movie
from cinema.sales.models import Booking, BookingQuerySet, BookingSeat

Answer = dict[str, Any]
PAGE = 50  # as long as a list is, unless its caller asks for another length
PENDING = Booking.Status.PENDING.value
# what `show_of` and `booking_of` want, in their order
SHOW_COLUMNS = (
    "pk",
    "movie_id",
    "movie__title",
    "movie__duration_minutes",
    "screen__name",
    "date_time",
    "total_seats",
    "cancelled_at",
)
TIMES = ("expires_at", "created_at", "updated_at", "now")
COLUMNS = ("pk", "reference", "status", *TIMES, *(f"show__{column}" for column in SHOW_COLUMNS))


def _local(time: datetime) -> datetime:
    """In the cinema's own time zone, whoever asks."""
    return time.astimezone(get_default_timezone())


def movie(row: Movie) -> Answer:
    return {
        "id": row.pk,
        "title": row.title,
        "duration_minutes": row.duration_minutes,
        "created_at": _local(row.created_at),
        "updated_at": _local(row.updated_at),
    }


def show_of(
    pk: int,
    movie_id: int,
    movie_title: str,
    duration_minutes: int,
    screen_name: str,
    date_time: datetime,
    total_seats: int,
    cancelled_at: datetime | None,
) -> Answer:
    starts = _local(date_time)
    return {
        "id": pk,
        "movie_id": movie_id,
        "movie_title": movie_title,
        "screen_name": screen_name,
        "date_time": starts,
        "ends_at": _local(date_time + timedelta(minutes=duration_minutes)),
        "total_seats": total_seats,
        "cancelled": cancelled_at is not None,
    }


def booking_of(
    pk: int,
    reference: str,
    show: Answer,
    seat_numbers: list[int],
    status: str,
    expires_at: datetime | None,
    created_at: datetime,
    updated_at: datetime,
    now: datetime,
) -> Answer:
    """`now` is the database's clock: a stale hold reads as expired, swept or not."""
    if status == PENDING and expires_at and expires_at <= now:
        status = Booking.Status.EXPIRED.value
    left = ceil((expires_at - now).total_seconds()) if status == PENDING and expires_at else None
    return {
        "id": pk,
        "reference": reference,
        "show": show,
        "seat_number": seat_numbers[0],
        "seat_numbers": seat_numbers,
        "status": status,
        "expires_at": _local(expires_at)
        if expires_at and status != Booking.Status.CANCELLED
        else None,
        "expires_in_seconds": left,
        "created_at": _local(created_at),
        "updated_at": _local(updated_at),
    }


def booking_rows() -> BookingQuerySet:
    """Bookings, for `bookings` to tell, with the database's clock to read their expiry by."""
    return Booking.objects.annotate(now=Now())


def bookings(rows: QuerySet[Booking]) -> list[Answer]:
    """These of `booking_rows`, in their order, in two queries: of plain columns, since a model
    instance costs more.
    """
    return _told(rows.values_list(*COLUMNS))


def newest_of(user_id: int) -> list[Answer]:
    """The first page of what a customer has."""
    return _told(NEWEST.rows(user_id))


def _told(rows: Iterable[Sequence[Any]]) -> list[Answer]:
    """Rows of COLUMNS."""
    found = list(rows)
    seats: dict[int, list[int]] = {pk: [] for pk, *_ in found}
    for pk, seat_number in BookingSeat.objects.filter(booking__in=seats).values_list(
        "booking", "seat_number"
    ):
        seats[pk].append(seat_number)
    return [
        booking_of(pk, reference, show_of(*show), sorted(seats[pk]), status, *times)
        for pk, reference, status, *times, show in ((*row[:7], row[7:]) for row in found)
    ]


NEWEST = Compiled(
    lambda user_id: booking_rows().filter(user=user_id).order_by("-id")[:PAGE].values_list(*COLUMNS)
)


def booking_with(pk: int) -> Answer:
    return bookings(booking_rows().filter(pk=pk))[0]


class Outcome(NamedTuple):
    """The booking as the API tells it, and whether this call made it. `ended` says whether it
    changed anything at all: `done`, `same` (it was so before) or `kept` (the answer to the first of
    several with one key).
    """

    booking: Answer
    created: bool = False
    ended: str = "done"

    @property
    def status(self) -> int:
        return 201 if self.created else 200
