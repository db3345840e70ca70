"""A sale, a confirm, a cancel and a batch of the sweep, in one statement each, on PostgreSQL.

The sale makes 2.5 times the bookings of the same steps one by one. It reads who (live login, active
user), the show (FOR KEY SHARE: its edits wait) and the seats that are in the way, and inserts
booking, seats and event only if nothing forbids it. Its one row has the booking, or why there is
none, so a refusal costs no second query. What it finds in the way and cannot judge (a stale hold to
take over, the customer's own hold) and a true race, which the unique constraint undoes whole, are
left to the steps one by one. So is whatever a confirm or a cancel does not find as it should be.
"""

from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.transaction import TransactionManagementError

from cinema.errors import (
    NotFound,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    TokenInvalid,
)
from cinema.infra import logs
from cinema.infra.database import prepared
from cinema.infra.database.prepared import serves
from cinema.people.caller import Caller, saw_live
from cinema.programme.snapshots import ShowSnapshot
from cinema.sales import telemetry
from cinema.sales.models import Booking, BookingEvent, new_reference
from cinema.sales.snapshots import BookingSnapshot
from cinema.sales.statements import CANCEL, CONFIRM, EXPIRY, SALE

__all__ = ["cancel", "confirm", "expire_stale", "serves", "take"]


class Found(NamedTuple):
    """What a sale's row says before the columns of the booking and the show."""

    login: bool
    own_hold: bool
    in_the_way: list[int]
    sold: list[int]
    stale: bool
    started: bool
    too_small: bool


def take(
    caller: Caller, show_id: int, seats: list[int], status: Booking.Status
) -> BookingSnapshot | None:
    """Return the new booking, or None if it takes the steps one by one. `seats` are sorted.

    Raises what `bookings.book` does. One autocommitted statement: a transaction around it would
    keep the rows it locks beyond the seat lock.
    """
    _require_no_transaction()
    reference = new_reference()
    is_hold = status is Booking.Status.PENDING
    values = {
        "session": caller.session_id,
        "user": caller.user_id,
        "show": show_id,
        "seats": seats,
        "highest": seats[-1],
        "status": status.value,
        "kind": BookingEvent.Kind.HELD.value if is_hold else BookingEvent.Kind.BOOKED.value,
        "hold": settings.HOLD_SECONDS if is_hold else 0,
        "reference": reference,
        "request": logs.request_id(),
    }
    try:
        (row,) = prepared.rows(SALE, values)
    except IntegrityError:
        return None  # somebody was faster by a hair: look again
    booking_id, expires_at, created_at, *show = row[7:]
    if booking_id is None:
        _refuse(Found(*row[:7]), caller, seats, show)
        return None
    return BookingSnapshot.read(
        booking_id,
        reference,
        status.value,
        expires_at,
        created_at,
        updated_at=created_at,
        now=created_at,
        show=ShowSnapshot.read(*show),
        seat_numbers=seats,
    )


def confirm(caller: Caller, booking_id: int) -> BookingSnapshot | None:
    """Return the booked hold; or None, and the steps one by one find out why not."""
    return _run_change(CONFIRM, caller, booking_id)


def cancel(caller: Caller, booking_id: int) -> BookingSnapshot | None:
    """Return the cancelled booking; or None, and the steps one by one find out why not."""
    return _run_change(CANCEL, caller, booking_id)


def expire_stale(limit: int) -> int:
    """Give back the seats of up to `limit` stale holds, and return how many holds."""
    _require_no_transaction()
    with connection.cursor() as cursor:
        cursor.execute(EXPIRY, {"limit": limit})
        ids: list[int] = cursor.fetchone()[0]
    telemetry.log_expired(ids)
    return len(ids)


def _run_change(statement: str, caller: Caller, booking_id: int) -> BookingSnapshot | None:
    _require_no_transaction()
    values = {
        "session": caller.session_id,
        "user": caller.user_id,
        "booking": booking_id,
        "request": logs.request_id(),
    }
    rows = prepared.rows(statement, values)
    if not rows:
        return None
    columns = rows[0][:7]
    seats = rows[0][7]
    show = ShowSnapshot.read(*rows[0][8:])
    return BookingSnapshot.read(*columns, show=show, seat_numbers=seats)


def _require_no_transaction() -> None:
    if connection.in_atomic_block:
        raise TransactionManagementError("This statement is its own transaction.")


def _refuse(found: Found, caller: Caller, seats: list[int], show: list[Any]) -> None:
    """Raise what forbids the sale, as far as this row alone says; in the order of the steps."""
    show_id, *_, total_seats, cancelled_at = show
    if not found.login:
        raise TokenInvalid
    saw_live(caller)
    if show_id is None:
        raise NotFound
    if cancelled_at:
        raise ShowCancelled
    if found.started:
        raise ShowStarted
    if found.too_small:
        raise SeatOutOfRange.of([seat for seat in seats if seat > total_seats], total_seats)
    if found.in_the_way and not found.own_hold and not found.stale:
        raise SeatTaken.of(found.in_the_way, found.sold)
