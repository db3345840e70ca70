"""What is counted and logged of every change of a booking, whoever made it.

Each call is counted by how it ended, and each change is one line. The functions of `bookings` are
decorated with `observed`, so that API, admin and workers are logged alike.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec

import structlog
from django.db import InterfaceError, InternalError, OperationalError

from cinema.errors import Defect, Refusal, Unavailable
from cinema.infra import metrics
from cinema.people.caller import Caller
from cinema.sales.snapshots import Ended, Outcome

P = ParamSpec("P")
Act = Callable[Concatenate[Caller, P], Outcome]
log = structlog.get_logger("marquee.booking")


def observed(action: str) -> Callable[[Act[P]], Act[P]]:
    def decorate(function: Act[P]) -> Act[P]:
        @wraps(function)
        def call(caller: Caller, *args: P.args, **kwargs: P.kwargs) -> Outcome:
            try:
                outcome = function(caller, *args, **kwargs)
            except Exception as error:
                metrics.booking(action, _code(error))
                raise
            if outcome.ended is Ended.DONE:
                booking = outcome.booking
                seats = len(booking.seat_numbers)
                log_change(action, booking.id, booking.show.id, caller.user_id, seats)
            else:
                metrics.booking(action, outcome.ended)
            return outcome

        # In it `caller` has a name, in a Callable it has none.
        return call  # type: ignore[return-value]

    return decorate


def log_change(
    action: str, booking_id: int, show_id: int, actor_id: int | None, seats: int, **more: str
) -> None:
    """After the commit."""
    metrics.booking(action, "done")
    log.info(
        "booking changed",
        action=action,
        outcome="done",
        booking_id=booking_id,
        show_id=show_id,
        actor_id=actor_id,
        seats=seats,
        **more,
    )


def log_cancelled_with_show(
    show_id: int, actor_id: int | None, request_id: str, bookings: dict[int, int]
) -> None:
    """After the commit. `bookings` has the number of seats of each.

    The request is the one that cancelled the show, in whichever process.
    """
    by = {"request_id": request_id} if request_id else {}
    for booking_id, seats in bookings.items():
        log_change("cancel", booking_id, show_id, actor_id, seats, **by)


def log_cancelled_show(show_id: int, actor_id: int) -> None:
    """After the commit. The lines of its bookings follow, as the workers come to them."""
    log.info("show cancelled", show_id=show_id, actor_id=actor_id)


def log_not_cancelled(show_id: int, user_id: int, error: Exception) -> None:
    """A customer's bookings of a cancelled show still stand; the next sweep tries again."""
    log.error("bookings not cancelled", show_id=show_id, user_id=user_id, exc_info=error)


def log_expired(booking_ids: Iterable[int]) -> None:
    """After the commit. One line for the batch: a line per hold would cost more than the sweep."""
    if ids := list(booking_ids):
        metrics.booking("expire", "done", len(ids))
        log.info(
            "bookings changed", action="expire", outcome="done", booking_ids=ids, actor_id=None
        )


def _code(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.code
    away = isinstance(error, OperationalError | InterfaceError | InternalError)
    return (Unavailable if away else Defect).code
