"""hold, book, confirm, cancel, expire_stale: every change of a booking, for the API, the admin, the workers and tests.

    seat lock (Redis, may only say "not now")
      └─ one transaction: caller live? → key row → show row → seats → booking, seats, event

The database row alone says "this seat is yours". A show row is read FOR KEY SHARE on PostgreSQL, so that sales of one
show do not queue and its edits wait for them; elsewhere the row is locked. Seats are written in sorted order: unsorted,
12 writers made 30 deadlocks, sorted none.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from cinema import answers, idempotency, logins, one_statement, seat_locks, throttles
from cinema.database_errors import is_deadlock, is_lock_timeout
from cinema.errors import (
    BookingClosed,
    HoldExpired,
    HoldLimit,
    NotFound,
    SeatContended,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
)
from cinema.idempotency import Key
from cinema.logins import Caller
from cinema.models import Booking, BookingEvent, BookingSeat, Show

PENDING, BOOKED = Booking.Status.PENDING, Booking.Status.BOOKED
CANCELLED, EXPIRED = Booking.Status.CANCELLED, Booking.Status.EXPIRED
ATTEMPTS = 3


class Outcome(NamedTuple):
    """The booking as the API tells it, and whether this call made it."""

    booking: answers.Answer
    created: bool = False

    @property
    def status(self) -> int:
        return 201 if self.created else 200


class _Raced(Exception):
    """A compare-and-set found the row changed: the transaction starts again and reads what the winner wrote."""


def hold(caller: Caller, show_id: int, seat_numbers: Iterable[int], key: Key | None = None) -> Outcome:
    """Keep these seats for HOLD_SECONDS, at most until the show starts.

    The same seats again give the same hold, its expiry unchanged. Raises HoldLimit for other seats, and whatever
    `book` raises.
    """
    return _sell(caller, show_id, sorted(seat_numbers), PENDING, key)


def book(caller: Caller, show_id: int, seat_numbers: Iterable[int], key: Key | None = None) -> Outcome:
    """Book these seats in one step, all or none.

    Raises NotFound, ShowCancelled, ShowStarted, SeatOutOfRange, SeatTaken (also for seats of one's own hold, naming
    the booking to confirm), SeatContended, Throttled, TokenInvalid, IdempotencyKeyReused, IdempotencyInProgress.
    """
    return _sell(caller, show_id, sorted(seat_numbers), BOOKED, key)


def confirm(caller: Caller, booking_id: int, key: Key | None = None) -> Outcome:
    """Turn a hold into a booking; of a booked one it is the same answer again.

    Raises NotFound, HoldExpired, BookingClosed, ShowStarted, ShowCancelled.
    """
    return _settle(caller, key, lambda: _confirm(caller, booking_id))


def cancel(caller: Caller, booking_id: int, key: Key | None = None) -> Outcome:
    """Give the seats back; of a cancelled one it is the same answer again.

    Raises NotFound, HoldExpired, ShowStarted.
    """
    return _settle(caller, key, lambda: _cancel(caller, booking_id))


def expire_stale(limit: int = 1000) -> int:
    """Tidy up to `limit` stale holds and say how many. Nobody waits for it: a stale hold counts as free already."""
    with transaction.atomic(durable=True):
        rows = Booking.objects.stale().select_for_update(skip_locked=True).order_by("pk")
        return _expire(rows[:limit])


def _sell(caller: Caller, show_id: int, seats: list[int], status: Booking.Status, key: Key | None) -> Outcome:
    throttle = None if caller.staff else throttles.throttle("booking", caller.user_id)
    with seat_locks.locked(show_id, seats, caller.user_id, throttle):
        if key is None and (told := _in_one_statement(caller, show_id, seats, status)):
            return Outcome(told, created=True)
        return _settle(caller, key, lambda: _take(caller, show_id, seats, status))


def _in_one_statement(caller: Caller, show_id: int, seats: list[int], status: Booking.Status) -> answers.Answer | None:
    """None where it takes the steps one by one: on another database, for staff, or after a race."""
    if connection.vendor != "postgresql" or caller.session_id is None:
        return None
    try:
        return one_statement.take(caller, show_id, seats, status)
    except OperationalError as error:
        if is_lock_timeout(error):
            raise SeatContended from None
        if is_deadlock(error):
            return None
        raise


def _settle(caller: Caller, key: Key | None, act: Callable[[], Outcome]) -> Outcome:
    """Run `act` in its transaction, again from the start when a race was lost, at most three times.

    A deadlock is repeated, a lock time-out refused, and a lost connection never repeated: nobody knows what it did.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                return _act_once(caller, key, act)
        except (_Raced, IntegrityError):
            if attempt == ATTEMPTS:
                raise SeatContended from None
        except OperationalError as error:
            if is_lock_timeout(error):
                raise SeatContended from None
            if attempt == ATTEMPTS or not is_deadlock(error):
                raise
    raise AssertionError("every attempt returns or raises")


def _act_once(caller: Caller, key: Key | None, act: Callable[[], Outcome]) -> Outcome:
    logins.require_live(caller)  # before any replay
    if key is None:
        return act()
    if kept := idempotency.kept_answer(caller.user_id, key):
        return Outcome(kept[1], created=kept[0] == 201)
    outcome = act()
    idempotency.keep(caller.user_id, key, outcome.status, outcome.booking)
    return outcome


def _take(caller: Caller, show_id: int, seats: list[int], status: Booking.Status) -> Outcome:
    show = _open_show(show_id)
    if outside := [seat for seat in seats if not 1 <= seat <= show.total_seats]:
        raise SeatOutOfRange.of(outside, show.total_seats)
    own = Booking.objects.live().filter(show=show, user=caller.user_id, holding=True).first()
    if own and status is PENDING:
        if own.seat_numbers == seats:
            return Outcome(_told(own.pk))
        raise HoldLimit(booking_id=own.pk)
    _refuse_taken(show, seats, own)
    in_the_way = Q(seats__show=show, seats__seat_number__in=seats, seats__taken=True)
    if status is PENDING:
        in_the_way |= Q(show=show, user=caller.user_id)
    stale = Booking.objects.stale().filter(in_the_way).values_list("pk", flat=True)
    _expire(Booking.objects.stale().select_for_update().filter(pk__in=sorted(set(stale))).order_by("pk"))
    return Outcome(_insert(caller, show, seats, status), created=True)


def _open_show(show_id: int) -> Show:
    """The show, kept from being edited until this transaction ends, if it is still on sale. `now` is its clock."""
    show = _locked_show(show_id)
    if show.cancelled_at:
        raise ShowCancelled
    if show.date_time <= show.now:  # type: ignore[attr-defined] # annotated
        raise ShowStarted
    return show


def _locked_show(show_id: int) -> Show:
    rows = Show.objects.annotate(now=Now()).filter(pk=show_id).order_by()
    if connection.vendor == "postgresql":
        sql, params = rows.query.sql_with_params()
        found = list(Show.objects.raw(f"{sql} FOR KEY SHARE", params))
    else:
        found = list(rows.select_for_update())
    if not found:
        raise NotFound
    return found[0]


def _refuse_taken(show: Show, seats: list[int], own: Booking | None) -> None:
    taken = BookingSeat.objects.live().filter(show=show, seat_number__in=seats).order_by("seat_number")
    losing = list(taken.values_list("seat_number", "booking_id"))
    if not losing:
        return
    numbers = [seat for seat, _ in losing]
    if own and own.pk in {booking for _, booking in losing}:
        told = f"You hold a seat of these yourself: confirm booking {own.pk}."
        raise SeatTaken(told, seats=numbers, booking_id=own.pk)
    raise SeatTaken.of(numbers)


def _insert(caller: Caller, show: Show, seats: list[int], status: Booking.Status) -> answers.Answer:
    pending = status is PENDING
    ends = show.now + timedelta(seconds=settings.HOLD_SECONDS)  # type: ignore[attr-defined] # annotated
    expires_at = min(ends, show.date_time) if pending else None
    booking = Booking.objects.create(
        user_id=caller.user_id, show=show, status=status, holding=pending or None, expires_at=expires_at
    )
    BookingSeat.objects.bulk_create(
        [BookingSeat(booking=booking, show=show, seat_number=seat, held_until=expires_at) for seat in seats]
    )
    _record(booking.pk, BookingEvent.Kind.HELD if pending else BookingEvent.Kind.BOOKED, caller, mail=not pending)
    return _told(booking.pk)


def _confirm(caller: Caller, booking_id: int) -> Outcome:
    booking = _owned(caller, booking_id)
    if booking.status == BOOKED:
        return Outcome(_told(booking_id))
    if booking.status == CANCELLED:
        raise BookingClosed
    _refuse_expired(booking)
    _open_show(booking.show_id)
    hold = Booking.objects.filter(pk=booking_id, status=PENDING, expires_at__gt=Now())
    if not hold.update(status=BOOKED, holding=None, expires_at=None, updated_at=Now()):
        raise _Raced  # cancelled or run out since it was read
    BookingSeat.objects.filter(booking=booking_id).update(held_until=None)
    _record(booking_id, BookingEvent.Kind.BOOKED, caller, mail=True)
    return Outcome(_told(booking_id))


def _cancel(caller: Caller, booking_id: int) -> Outcome:
    booking = _owned(caller, booking_id)
    if booking.status == CANCELLED:
        return Outcome(_told(booking_id))
    _refuse_expired(booking)
    show = _locked_show(booking.show_id)
    if show.date_time <= show.now:  # type: ignore[attr-defined] # annotated
        raise ShowStarted
    now = Booking.objects.live().filter(pk=booking_id, status=booking.status)
    if not now.update(status=CANCELLED, holding=None, updated_at=Now()):
        raise _Raced  # confirmed or run out since it was read
    BookingSeat.objects.filter(booking=booking_id).update(taken=None)
    _record(booking_id, BookingEvent.Kind.CANCELLED, caller, mail=booking.status == BOOKED)
    return Outcome(_told(booking_id))


def _owned(caller: Caller, booking_id: int) -> Booking:
    rows = Booking.objects.annotate(now=Now()).filter(pk=booking_id)
    booking = rows.first() if caller.staff else rows.filter(user=caller.user_id).first()
    if booking is None:
        raise NotFound
    return booking


def _refuse_expired(booking: Booking) -> None:
    stale = booking.status == PENDING and booking.expires_at <= booking.now  # type: ignore[attr-defined] # annotated
    if stale or booking.status == EXPIRED:
        raise HoldExpired


def _expire(rows: QuerySet[Booking]) -> int:
    """Of these stale holds, which `rows` locks, give back the seats."""
    ids = [booking.pk for booking in rows]
    if ids:
        Booking.objects.filter(pk__in=ids, status=PENDING).update(status=EXPIRED, holding=None, updated_at=Now())
        BookingSeat.objects.filter(booking__in=ids).update(taken=None)
        BookingEvent.objects.bulk_create([BookingEvent(booking_id=pk, kind=BookingEvent.Kind.EXPIRED) for pk in ids])
    return len(ids)


def _record(booking_id: int, kind: BookingEvent.Kind, caller: Caller, *, mail: bool) -> None:
    """The event is the message: its mail is owed from this moment, whatever happens to any queue."""
    due = Now() if mail else None
    BookingEvent.objects.create(booking_id=booking_id, kind=kind, actor_id=caller.user_id, mail_due_at=due)


def _told(booking_id: int) -> answers.Answer:
    return answers.booking(answers.booking_rows().get(pk=booking_id))
