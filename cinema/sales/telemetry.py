"""What is told of every change of a booking: one count of how the call ended, and one line for each
change.

The sweep alone writes one line for all that it expired. The functions of `bookings` are decorated
with it, so that API, admin and workers are told of alike.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec

import structlog
from django.db import InterfaceError, InternalError, OperationalError

from cinema.errors import Defect, Refusal, Unavailable
from cinema.infra import metrics
from cinema.people.logins import Caller
from cinema.sales.snapshots import Outcome

P = ParamSpec("P")
Act = Callable[Concatenate[Caller, P], Outcome]
log = structlog.get_logger("marquee.booking")


def told(action: str) -> Callable[[Act[P]], Act[P]]:
    def decorate(function: Act[P]) -> Act[P]:
        @wraps(function)
        def call(caller: Caller, *args: P.args, **kwargs: P.kwargs) -> Outcome:
            try:
                outcome = function(caller, *args, **kwargs)
            except Exception as error:
                metrics.booking(action, _code_of(error))
                raise
            if outcome.ended == "done":
                booking = outcome.booking
                changed(
                    action,
                    booking["id"],
                    booking["show"]["id"],
                    caller.user_id,
                    len(booking["seat_numbers"]),
                )
            else:
                metrics.booking(action, outcome.ended)
            return outcome

        # to it `caller` has a name, to a Callable it has none
        return call  # type: ignore[return-value]

    return decorate


def changed(
    action: str, booking_id: int, show_id: int, actor_id: int | None, seats: int, **more: str
) -> None:
    """Behind the commit."""
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


def cancelled(
    show_id: int, actor_id: int | None, request_id: str, bookings: dict[int, int]
) -> None:
    """Behind the commit: bookings that were cancelled with their show, by this request, each with
    its seats' number.
    """
    by = {"request_id": request_id} if request_id else {}
    for booking_id, seats in bookings.items():
        changed("cancel", booking_id, show_id, actor_id, seats, **by)


def show_cancelled(show_id: int, actor_id: int) -> None:
    """Behind the commit. The lines of its bookings follow, as the workers come to them."""
    log.info("show cancelled", show_id=show_id, actor_id=actor_id)


def not_cancelled(show_id: int, user_id: int, error: Exception) -> None:
    """Of a cancelled show: what this customer has of it still stands, and is tried again by the
    next sweep.
    """
    log.error("bookings not cancelled", show_id=show_id, user_id=user_id, exc_info=error)


def expired(booking_ids: Iterable[int]) -> None:
    """Behind the commit: holds that ran out. Nobody did it. A line each would take longer than all
    the rest.
    """
    if ids := list(booking_ids):
        metrics.booking("expire", "done", len(ids))
        log.info(
            "bookings changed", action="expire", outcome="done", booking_ids=ids, actor_id=None
        )


def _code_of(error: Exception) -> str:
    if isinstance(error, Refusal):
        return error.code
    away = isinstance(error, OperationalError | InterfaceError | InternalError)
    return (Unavailable if away else Defect).code
