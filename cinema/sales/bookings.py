"""Every change of a booking, whoever makes it: hold, book, confirm, cancel, expire_stale.

    seat lock (Redis, may only say "not now")
      └─ one transaction: caller live? → key row → show row → seats → booking, seats, event

The database row alone says "this seat is yours". On PostgreSQL the transaction of a plain sale,
confirm or cancel is one statement (`one_statement`); everything else goes step by step
(`step_by_step`), and both pass the same tests.
"""

from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec

import orjson
from django.db import DatabaseError, OperationalError, connection, transaction

from cinema.errors import IdempotencyInProgress, SeatContended
from cinema.infra import throttles
from cinema.infra.database import transactions
from cinema.infra.database.errors import is_deadlock, is_lock_timeout
from cinema.people.caller import Caller, require_customer, require_live, was_live
from cinema.programme.models import Show
from cinema.sales import (
    idempotency,
    one_statement,
    seat_locks,
    show_cancelling,
    step_by_step,
    telemetry,
)
from cinema.sales.idempotency import Key
from cinema.sales.models import Booking
from cinema.sales.snapshots import BookingSnapshot, Ended, Outcome
from cinema.sales.telemetry import observed

PENDING, BOOKED = Booking.Status.PENDING, Booking.Status.BOOKED
P = ParamSpec("P")


@observed("hold")
def hold(
    caller: Caller, show_id: int, seat_numbers: Iterable[int], key: Key | None = None
) -> Outcome:
    """Keep these seats for HOLD_SECONDS, at most until the show starts.

    The same seats again give the same hold, its expiry unchanged. Raises HoldLimit for other seats,
    and whatever `book` raises.
    """
    return _sell(caller, show_id, sorted(seat_numbers), PENDING, key)


@observed("book")
def book(
    caller: Caller, show_id: int, seat_numbers: Iterable[int], key: Key | None = None
) -> Outcome:
    """Book these seats in one step, all or none.

    A clerk's `caller` may name the customer whose booking it becomes.

    Raises NotFound, ShowCancelled, ShowStarted, SeatOutOfRange, SeatTaken (also for seats of one's
    own hold, naming the booking to confirm), SeatContended, Throttled, TokenInvalid,
    IdempotencyKeyReused, IdempotencyInProgress, and Invalid for a clerk's customer who does not
    exist or is deactivated.
    """
    return _sell(caller, show_id, sorted(seat_numbers), BOOKED, key)


@observed("confirm")
def confirm(caller: Caller, booking_id: int, key: Key | None = None) -> Outcome:
    """Turn a hold into a booking. For one that is booked it is the same answer again.

    Raises NotFound, HoldExpired, BookingClosed, ShowStarted, ShowCancelled.
    """
    if key is None and (confirmed := _in_one_statement(one_statement.confirm, caller, booking_id)):
        return Outcome(confirmed)
    return _in_steps(step_by_step.confirm, key, caller, booking_id)


@observed("cancel")
def cancel(
    caller: Caller, booking_id: int, key: Key | None = None, *, seen: str | None = None
) -> Outcome:
    """Give the seats back. For one that is cancelled it is the same answer again.

    Raises NotFound, HoldExpired, ShowStarted. With `seen`, only a booking that still has this
    status is cancelled: a clerk who frees a hold that was confirmed meanwhile gets BookingClosed.
    """
    if (
        key is None
        and seen is None
        and (cancelled := _in_one_statement(one_statement.cancel, caller, booking_id))
    ):
        outcome = Outcome(cancelled)
    else:
        outcome = _in_steps(step_by_step.cancel, key, caller, booking_id, seen)
    seat_locks.give_back(outcome.booking.show.id, outcome.booking.seat_numbers)
    return outcome


def cancel_show(caller: Caller, show_id: int) -> Show:
    """Cancel a whole show, as staff. From the answer on nothing of it is sold (ShowCancelled).

    Its bookings are cancelled by `cancel_bookings_of_cancelled_shows`, which the beat calls;
    `Show.progress` says how far it is. Again, it is the same answer and changes nothing. Raises
    NotFound, ShowStarted, SeatContended.
    """
    try:
        return transactions.run(SeatContended, show_cancelling.cancel_show, caller, show_id)
    except SeatContended:
        sentence = "The show is being sold at this moment. Try again in a second."
        raise SeatContended(sentence) from None


def cancel_bookings_of_cancelled_shows(limit: int = 100) -> int:
    """Cancel what up to `limit` customers have of cancelled shows; return how many bookings.

    Each customer in a transaction of its own, so whatever dies leaves nothing half done and the
    next call goes on. Several may run at once: who is busy, with another call or by a cancel of
    their own, is left for later. What fails for one customer is logged by their id, stops none of the
    others, and is raised at the end.
    """
    cancelled = 0
    failed = None
    for show_id, user_id in show_cancelling.customers_left(limit):
        try:
            with transaction.atomic(durable=True):
                count, seats = show_cancelling.cancel_bookings(show_id, user_id)
        except DatabaseError as error:
            if is_lock_timeout(error) or is_deadlock(error):
                continue
            if not connection.is_usable():
                raise
            telemetry.log_not_cancelled(show_id, user_id, error)
            failed = error
            continue
        if count:
            seat_locks.give_back(show_id, seats)
        cancelled += count
    if failed:
        raise failed
    return cancelled


def expire_stale(limit: int = 1000) -> int:
    """Tidy up to `limit` stale holds and return how many.

    Nobody waits for it: a stale hold counts as free already.
    """
    if one_statement.serves():
        return one_statement.expire_stale(limit)
    with transaction.atomic(durable=True):
        rows = Booking.objects.stale().select_for_update(skip_locked=True)
        return step_by_step.expire(rows.order_by("expires_at")[:limit])  # as its index lies


def _sell(
    caller: Caller, show_id: int, seats: list[int], status: Booking.Status, key: Key | None
) -> Outcome:
    throttle = None if caller.staff else throttles.throttle("booking", caller.user_id)
    # Not for a hold, which has refusals of its own before this one, nor for a keyed request, which
    # may have an answer that is kept.
    ask_marks = status is BOOKED and key is None and was_live(caller)
    sale = (caller, show_id, seats, status)
    try:
        with seat_locks.locked(show_id, seats, caller.user_id, throttle, ask_marks=ask_marks):
            if key is None and (sold := _in_one_statement(one_statement.take, *sale)):
                return Outcome(sold, created=True)
            return _in_steps(step_by_step.take, key, *sale)
    except SeatContended:
        if key:
            require_live(caller)  # before any replay
            if kept := _kept_outcome(caller, key):
                return kept  # the first attempt got the seat that somebody else tries for now
        raise


def _in_one_statement(
    statement: Callable[Concatenate[Caller, P], BookingSnapshot | None],
    caller: Caller,
    *args: P.args,
    **kwargs: P.kwargs,
) -> BookingSnapshot | None:
    """Return None where it goes step by step instead.

    That is on another database, for staff, and where the statement could not judge.
    """
    if caller.session_id is None or not one_statement.serves():
        return None
    try:
        return statement(caller, *args, **kwargs)
    except OperationalError as error:
        if is_lock_timeout(error):
            raise SeatContended from None
        if is_deadlock(error):
            return None
        raise


def _in_steps(
    step: Callable[Concatenate[Caller, P], Outcome],
    key: Key | None,
    caller: Caller,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Outcome:
    """Take the step in a transaction; with a key, only if no request with it has ended before."""
    return transactions.run(SeatContended, _step_once, step, key, caller, *args, **kwargs)


def _step_once(
    step: Callable[Concatenate[Caller, P], Outcome],
    key: Key | None,
    caller: Caller,
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Outcome:
    require_live(caller)  # before any replay
    require_customer(caller)
    if key is None:
        return step(caller, *args, **kwargs)
    if not idempotency.claim(caller.user_id, key):
        if kept := _kept_outcome(caller, key):
            return kept
        raise IdempotencyInProgress
    outcome = step(caller, *args, **kwargs)
    idempotency.keep(caller.user_id, key, outcome.created, orjson.dumps(outcome.booking).decode())
    return outcome


def _kept_outcome(caller: Caller, key: Key) -> Outcome | None:
    kept = idempotency.kept_answer(caller.user_id, key)
    if kept is None:
        return None
    return Outcome(
        BookingSnapshot.parse(kept.body),
        created=kept.created,
        ended=Ended.KEPT,
        kept_body=kept.body,
    )
