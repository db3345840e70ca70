"""Bookings as CSV for a spreadsheet, streamed: a few thousand are in memory at a time."""

import csv
from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils.timezone import localtime

from cinema.sales import snapshots
from cinema.sales.models import Booking
from cinema.sales.snapshots import BookingSnapshot

AT_ONCE = 2000  # by the primary key, so that no transaction stays open however slowly it is fetched
FORMULA = ("=", "+", "-", "@", "\t", "\r")
HEADINGS = [
    "Reference",
    "Status",
    "Film",
    "Screen",
    "Starts at",
    "Seats",
    "Number of seats",
    "Made at",
    "Changed at",
]
CUSTOMER = ["Username", "E-mail"]


class _Line:
    """What csv writes a row to: the row itself."""

    def write(self, line: str) -> str:
        return line


def bookings_csv(rows: QuerySet[Booking], *, with_customers: bool) -> StreamingHttpResponse:
    """These bookings, the newest first, one a row and times in the cinema's zone."""
    response = StreamingHttpResponse(
        _lines(rows, with_customers), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = (
        f'attachment; filename="bookings-{localtime():%Y-%m-%d-%H%M}.csv"'
    )
    return response


def safe(value: object) -> str:
    """Return text that no spreadsheet runs: a username may begin with what starts a formula."""
    text = str(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith(FORMULA) else text


def _lines(rows: QuerySet[Booking], with_customers: bool) -> Iterator[bytes]:
    write = csv.writer(_Line()).writerow
    # Excel wants the mark
    yield (b"\xef\xbb\xbf" + write([*HEADINGS, *(CUSTOMER if with_customers else [])]).encode())
    for chunk in _chunks(rows):
        yield "".join(
            write(_row(booking, customer, with_customers)) for booking, customer in chunk
        ).encode()


def _chunks(rows: QuerySet[Booking]) -> Iterator[list[tuple[BookingSnapshot, tuple[str, str]]]]:
    rows, below = rows.order_by("-pk"), None
    while True:
        part = rows if below is None else rows.filter(pk__lt=below)
        ids = list(part.values_list("pk", flat=True)[:AT_ONCE])
        if not ids:
            return
        these = snapshots.booking_rows().filter(pk__in=ids).order_by("-pk")
        customers = these.values_list("user__username", "user__email")
        yield list(zip(snapshots.bookings(these), customers, strict=True))
        below = ids[-1]


def _row(booking: BookingSnapshot, customer: tuple[str, str], with_customers: bool) -> list[str]:
    """Return the cells below HEADINGS, and below CUSTOMER if wanted."""
    show = booking.show
    seats = booking.seat_numbers
    cells: list[object] = [
        booking.reference,
        booking.status,
        show.movie_title,
        show.screen_name,
        _format_time(show.date_time),
        " ".join(map(str, seats)),
        len(seats),
        _format_time(booking.created_at),
        _format_time(booking.updated_at),
    ]
    if with_customers:
        cells += customer
    return [safe(cell) for cell in cells]


def _format_time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
