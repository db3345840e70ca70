"""Sale, confirm and cancel step by step, in the caller's transaction: wherever one statement cannot
do or judge it.

The show row first: read FOR KEY SHARE on PostgreSQL, so that sales of one show do not queue and its
edits wait for them; elsewhere it is locked. Seats are written in sorted order: unsorted, 12 writers
made 30 deadlocks, sorted none.
"""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL
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
from cinema.people.logins import Caller
from cinema.people.models import is_walk_in
from cinema.programme.models import Show
from cinema.sales import snapshots, telemetry
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.sales.snapshots import Outcome

PENDING, BOOKED = Booking.Status.PENDING, Booking.Status.BOOKED
CANCELLED, EXPIRED = Booking.Status.CANCELLED, Booking.Status.EXPIRED
EXPIRED_EVENTS = """
INSERT INTO cinema_bookingevent (booking_id, kind, at, mail_attempts, mail_error)
SELECT id, 'expired', updated_at, 0, '' FROM cinema_booking"""


class Raced(Exception):
    """A compare-and-set found the row changed: the transaction starts again and reads what the
    winner wrote.
    """


def take(caller: Caller, show_id: int, seats: list[int], status: Booking.Status) -> Outcome:
    """Book or hold these sorted seats, taking over what stale holds are in the way. Raises what
    `bookings.hold` does.

    An IntegrityError means that somebody was faster: the transaction starts again and finds the
    seat taken.
    """
    show = open_show(show_id)
    if outside := [seat for seat in seats if not 1 <= seat <= show.total_seats]:
        raise SeatOutOfRange.of(outside, show.total_seats)
    own = Booking.objects.live().filter(show=show, user=caller.owner_id, holding=True).first()
    if own and status is PENDING:
        if own.seat_numbers == seats:
            return Outcome(snapshots.booking_with(own.pk), ended="same")
        raise HoldLimit(booking_id=own.pk)
    _refuse_taken(caller, show, seats, own)
    in_the_way = Q(seats__show=show, seats__seat_number__in=seats, seats__taken=True)
    if status is PENDING:
        in_the_way |= Q(show=show, user=caller.owner_id)
    stale = Booking.objects.stale().filter(in_the_way).values_list("pk", flat=True)
    expire(
        Booking.objects.stale().select_for_update().filter(pk__in=sorted(set(stale))).order_by("pk")
    )
    return Outcome(_insert(caller, show, seats, status), created=True)


def confirm(caller: Caller, booking_id: int) -> Outcome:
    """A hold becomes a booking. Raises Raced, and what `bookings.confirm` does."""
    booking = _owned(caller, booking_id)
    if booking.status == BOOKED:
        return Outcome(snapshots.booking_with(booking_id), ended="same")
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
    """What is live gives its seats back. Raises Raced, and what `bookings.cancel` does."""
    booking = _owned(caller, booking_id)
    if booking.status == CANCELLED:
        return Outcome(snapshots.booking_with(booking_id), ended="same")
    _refuse_expired(booking)
    if seen not in (None, booking.status):
        raise BookingClosed(
            f"It is {booking.status} since you looked at it. Nothing was cancelled: look again."
        )
    show = locked_show(booking.show_id)
    if show.date_time <= show.now:  # type: ignore[attr-defined] # annotated
        raise ShowStarted
    now = Booking.objects.live().filter(pk=booking_id, status=booking.status)
    if not now.update(status=CANCELLED, holding=None, updated_at=Now()):
        raise Raced  # confirmed or run out since it was read
    BookingSeat.objects.filter(booking=booking_id).update(taken=None)
    record(booking_id, BookingEvent.Kind.CANCELLED, caller, mail=booking.status == BOOKED)
    return Outcome(snapshots.booking_with(booking_id))


def open_show(show_id: int) -> Show:
    """The show, kept from being edited until this transaction ends, if it is still on sale. `now`
    is its clock.
    """
    show = locked_show(show_id)
    if show.cancelled_at:
        raise ShowCancelled
    if show.date_time <= show.now:  # type: ignore[attr-defined] # annotated
        raise ShowStarted
    return show


def locked_show(show_id: int) -> Show:
    """Raises NotFound. An edit of the show waits until this transaction ends."""
    rows = Show.objects.annotate(now=Now()).filter(pk=show_id).order_by()
    if connection.vendor == "postgresql":
        sql, params = rows.query.sql_with_params()
        found = list(Show.objects.raw(f"{sql} FOR KEY SHARE", params))
    else:
        found = list(rows.select_for_update())
    if not found:
        raise NotFound
    return found[0]


def _owned(caller: Caller, booking_id: int) -> Booking:
    rows = Booking.objects.annotate(now=Now()).filter(pk=booking_id)
    booking = rows.first() if caller.staff else rows.filter(user=caller.user_id).first()
    if booking is None:
        raise NotFound
    return booking


def _refuse_expired(booking: Booking) -> None:
    # annotated
    stale = booking.status == PENDING and booking.expires_at <= booking.now  # type: ignore[attr-defined]
    if stale or booking.status == EXPIRED:
        raise HoldExpired


def _refuse_taken(caller: Caller, show: Show, seats: list[int], own: Booking | None) -> None:
    taken = (
        BookingSeat.objects.live().filter(show=show, seat_number__in=seats).order_by("seat_number")
    )
    losing = list(taken.values_list("seat_number", "booking_id", "held_until"))
    if not losing:
        return
    numbers = [seat for seat, _, _ in losing]
    if own and own.pk in {booking for _, booking, _ in losing}:
        told = f"You hold a seat of these yourself: confirm booking {own.pk}."
        if caller.owner_id != caller.user_id:
            told = f"This customer holds a seat of these: confirm or cancel booking {own.pk} ({own.reference})."
        raise SeatTaken(told, seats=numbers, booking_id=own.pk)
    raise SeatTaken.of(numbers, sold=[seat for seat, _, held_until in losing if held_until is None])


def _insert(
    caller: Caller, show: Show, seats: list[int], status: Booking.Status
) -> snapshots.Answer:
    pending = status is PENDING
    # annotated
    ends = show.now + timedelta(seconds=settings.HOLD_SECONDS)  # type: ignore[attr-defined]
    expires_at = min(ends, show.date_time) if pending else None
    booking = Booking.objects.create(
        user_id=caller.owner_id,
        show=show,
        status=status,
        holding=pending or None,
        expires_at=expires_at,
    )
    BookingSeat.objects.bulk_create(
        [
            BookingSeat(booking=booking, show=show, seat_number=seat, held_until=expires_at)
            for seat in seats
        ]
    )
    record(
        booking.pk,
        BookingEvent.Kind.HELD if pending else BookingEvent.Kind.BOOKED,
        caller,
        mail=not pending,
    )
    return snapshots.booking_with(booking.pk)


def expire(rows: QuerySet[Booking]) -> int:
    """Of these stale holds, which `rows` locks, give back the seats."""
    ids = list(rows.values_list("pk", flat=True))
    if ids:
        numbers = ",".join(
            map(str, ids)
        )  # as parameters, a batch of them costs more than all that it does
        these = RawSQL(numbers, ())  # noqa: S611 - our own ids
        Booking.objects.filter(pk__in=these, status=PENDING).update(
            status=EXPIRED, holding=None, updated_at=Now()
        )
        BookingSeat.objects.filter(booking__in=these).update(taken=None)
        transaction.on_commit(partial(telemetry.expired, ids))
        with connection.cursor() as cursor:
            cursor.execute(f"{EXPIRED_EVENTS} WHERE id IN ({numbers})")
    return len(ids)


def record(booking_id: int, kind: BookingEvent.Kind, caller: Caller, *, mail: bool) -> None:
    """The event is the message: its mail is owed from this moment, whatever happens to any queue.

    A booking of the walk-in account owes none. Nobody logs in as it, so only what staff do may be
    of its bookings.
    """
    if caller.staff:
        mail = mail and not Booking.objects.filter(is_walk_in("user"), pk=booking_id).exists()
    due = Now() if mail else None
    BookingEvent.objects.create(
        booking_id=booking_id,
        kind=kind,
        actor_id=caller.user_id,
        mail_due_at=due,
        request_id=logs.request_id(),
    )
