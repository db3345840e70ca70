"""Sale, confirm and cancel step by step, where one statement cannot do or judge it.

All in the caller's transaction.

The show row first: read FOR KEY SHARE on PostgreSQL, so that sales of one show do not queue and its
edits wait for them; elsewhere it is locked. Seats are written in sorted order: unsorted, 12 writers
made 30 deadlocks, sorted none.
"""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from cinema.errors import (
    BookingClosed,
    HoldExpired,
    HoldLimit,
    NotFound,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
)
from cinema.infra import logs
from cinema.infra.database.transactions import Raced
from cinema.people.caller import Caller
from cinema.people.models import is_walk_in
from cinema.programme.models import Show
from cinema.sales import snapshots, telemetry
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.sales.snapshots import BookingSnapshot, Ended, Outcome

PENDING, BOOKED = Booking.Status.PENDING, Booking.Status.BOOKED
CANCELLED, EXPIRED = Booking.Status.CANCELLED, Booking.Status.EXPIRED


def take(caller: Caller, show_id: int, seats: list[int], status: Booking.Status) -> Outcome:
    """Book or hold these sorted seats, taking over what stale holds are in the way.

    Raises what `bookings.hold` does. An IntegrityError means that somebody was faster: the
    transaction begins again and finds the seat taken.
    """
    show = open_show(show_id)
    if outside := [seat for seat in seats if not 1 <= seat <= show.total_seats]:
        raise SeatOutOfRange.of(outside, show.total_seats)
    own = Booking.objects.live().filter(show=show, user=caller.owner_id, holding=True).first()
    if own and status is PENDING:
        if own.seat_numbers == seats:
            return Outcome(snapshots.booking_with(own.pk), ended=Ended.SAME)
        raise HoldLimit(booking_id=own.pk)
    _refuse_taken(caller, show, seats, own)
    in_the_way = Q(seats__show=show, seats__seat_number__in=seats, seats__taken=True)
    if status is PENDING:
        in_the_way |= Q(show=show, user=caller.owner_id)
    stale = Booking.objects.stale()
    ids = sorted(set(stale.filter(in_the_way).values_list("pk", flat=True)))
    expire(stale.select_for_update().filter(pk__in=ids).order_by("pk"))
    return Outcome(_insert(caller, show, seats, status), created=True)


def confirm(caller: Caller, booking_id: int) -> Outcome:
    """Make a hold a booking. Raises Raced, and what `bookings.confirm` does."""
    booking = _own_booking(caller, booking_id)
    if booking.status == BOOKED:
        return Outcome(snapshots.booking_with(booking_id), ended=Ended.SAME)
    if booking.status == CANCELLED:
        raise BookingClosed
    _refuse_expired(booking)
    open_show(booking.show_id)
    hold = Booking.objects.filter(pk=booking_id, status=PENDING, expires_at__gt=Now())
    if not hold.update(status=BOOKED, holding=None, expires_at=None, updated_at=Now()):
        raise Raced  # cancelled or run out since it was read
    BookingSeat.objects.filter(booking=booking_id).update(held_until=None)
    record(booking_id, BookingEvent.Kind.BOOKED, caller, mail=True)
    return Outcome(snapshots.booking_with(booking_id))


def cancel(caller: Caller, booking_id: int, seen: str | None) -> Outcome:
    """Give back the seats of what is live. Raises Raced, and what `bookings.cancel` does."""
    booking = _own_booking(caller, booking_id)
    if booking.status == CANCELLED:
        return Outcome(snapshots.booking_with(booking_id), ended=Ended.SAME)
    _refuse_expired(booking)
    if seen not in (None, booking.status):
        sentence = f"It is {booking.status} since you looked at it."
        raise BookingClosed(f"{sentence} Nothing was cancelled: look again.")
    show = locked_show(booking.show_id)
    if show.date_time <= show.now:
        raise ShowStarted
    now = Booking.objects.live().filter(pk=booking_id, status=booking.status)
    if not now.update(status=CANCELLED, holding=None, updated_at=Now()):
        raise Raced  # confirmed or run out since it was read
    BookingSeat.objects.filter(booking=booking_id).update(taken=None)
    record(booking_id, BookingEvent.Kind.CANCELLED, caller, mail=booking.status == BOOKED)
    return Outcome(snapshots.booking_with(booking_id))


def open_show(show_id: int) -> Show:
    """Return the show, with the database's clock, if it is still on sale.

    It cannot be edited until this transaction ends.
    """
    show = locked_show(show_id)
    if show.cancelled_at:
        raise ShowCancelled
    if show.date_time <= show.now:
        raise ShowStarted
    return show


def locked_show(show_id: int) -> Show:
    """Return the show, with the database's clock. Its edits wait until this transaction ends.

    Raises NotFound.
    """
    rows = Show.objects.with_clock().filter(pk=show_id).order_by()
    if connection.vendor == "postgresql":
        sql, params = rows.query.sql_with_params()
        found = list(Show.objects.raw(f"{sql} FOR KEY SHARE", params))
    else:
        found = list(rows.select_for_update())
    if not found:
        raise NotFound
    return found[0]


def _own_booking(caller: Caller, booking_id: int) -> Booking:
    """Return the caller's booking, or anybody's to staff. Raises NotFound."""
    rows = Booking.objects.with_clock().filter(pk=booking_id)
    if not caller.staff:
        rows = rows.filter(user=caller.user_id)
    booking = rows.first()
    if booking is None:
        raise NotFound
    return booking


def _refuse_expired(booking: Booking) -> None:
    if booking.status == EXPIRED or booking.is_stale:
        raise HoldExpired


def _refuse_taken(caller: Caller, show: Show, seats: list[int], own: Booking | None) -> None:
    live = BookingSeat.objects.live().filter(show=show, seat_number__in=seats)
    taken = list(live.order_by("seat_number"))
    if not taken:
        return
    numbers = [seat.seat_number for seat in taken]
    if own and any(seat.booking_id == own.pk for seat in taken):
        sentence = f"You hold a seat of these yourself: confirm booking {own.pk}."
        if caller.owner_id != caller.user_id:
            which = f"booking {own.pk} ({own.reference})"
            sentence = f"This customer holds a seat of these: confirm or cancel {which}."
        raise SeatTaken(sentence, seats=numbers, booking_id=own.pk)
    sold = [seat.seat_number for seat in taken if seat.held_until is None]
    raise SeatTaken.of(numbers, sold=sold)


def _insert(
    caller: Caller, show: Show, seats: list[int], status: Booking.Status
) -> BookingSnapshot:
    is_hold = status is PENDING
    expires_at = None
    if is_hold:
        ends = show.now + timedelta(seconds=settings.HOLD_SECONDS)
        expires_at = min(ends, show.date_time)
    booking = Booking.objects.create(
        user_id=caller.owner_id,
        show=show,
        status=status,
        holding=is_hold or None,
        expires_at=expires_at,
    )
    BookingSeat.objects.bulk_create(
        BookingSeat(booking=booking, show=show, seat_number=seat, held_until=expires_at)
        for seat in seats
    )
    kind = BookingEvent.Kind.HELD if is_hold else BookingEvent.Kind.BOOKED
    record(booking.pk, kind, caller, mail=not is_hold)
    return snapshots.booking_with(booking.pk)


def expire(rows: QuerySet[Booking]) -> int:
    """Give back the seats of these stale holds, which `rows` locks, and return how many holds."""
    ids = list(rows.values_list("pk", flat=True))
    if not ids:
        return 0
    Booking.objects.filter(pk__in=ids, status=PENDING).update(
        status=EXPIRED, holding=None, updated_at=Now()
    )
    BookingSeat.objects.filter(booking__in=ids).update(taken=None)
    BookingEvent.objects.bulk_create(
        BookingEvent(booking_id=pk, kind=BookingEvent.Kind.EXPIRED) for pk in ids
    )
    transaction.on_commit(partial(telemetry.log_expired, ids))
    return len(ids)


def record(booking_id: int, kind: BookingEvent.Kind, caller: Caller, *, mail: bool) -> None:
    """Write the event, which is the message: its mail is owed from this moment.

    A booking of the walk-in account owes none. Nobody logs in as it, so only what staff do may
    change its bookings.
    """
    if mail and caller.staff:
        mail = not Booking.objects.filter(is_walk_in("user"), pk=booking_id).exists()
    BookingEvent.objects.create(
        booking_id=booking_id,
        kind=kind,
        actor_id=caller.user_id,
        mail_due_at=Now() if mail else None,
        request_id=logs.request_id(),
    )
