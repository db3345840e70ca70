"""Cancel a whole show: at once nothing of it is sold, then its bookings, customer by customer.

    cancel_show   the show's row FOR UPDATE: every sale under way has ended, and every later one finds it cancelled
    the sweep     all that one customer has of it in one transaction: bookings, seats, events, and one mail owed

Whatever dies between two transactions, the next sweep finds who is left: those whose seats are
still taken.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from cinema.errors import NotFound, ShowStarted
from cinema.infra import logs
from cinema.people.caller import Caller, require_live
from cinema.people.models import User, is_walk_in
from cinema.programme.models import Show
from cinema.sales import step_by_step, telemetry
from cinema.sales.models import Booking, BookingEvent, BookingSeat

BOOKED, CANCELLED = Booking.Status.BOOKED, Booking.Status.CANCELLED
LIVE = (Booking.Status.PENDING, BOOKED)


def cancel_show(caller: Caller, show_id: int) -> Show:
    """Cancel the show in the caller's transaction. A cancelled one stays as it is.

    Raises NotFound and ShowStarted.
    """
    require_live(caller)
    show = Show.objects.select_for_update().with_clock().filter(pk=show_id).order_by().first()
    if show is None:
        raise NotFound
    if show.cancelled_at is None:
        if show.date_time <= show.now:
            raise ShowStarted
        rows, live = Show.objects.filter(pk=show_id, cancelled_at=None), show.live_bookings()
        rows.update(
            cancelled_at=Now(),
            cancelled_by=caller.user_id,
            cancel_request_id=logs.request_id(),
            live_when_cancelled=live,
            updated_at=Now(),
        )
        show.refresh_from_db()
        transaction.on_commit(partial(telemetry.log_cancelled_show, show_id, caller.user_id))
    return show


def customers_left(limit: int) -> list[tuple[int, int]]:
    """Up to `limit` pairs of a cancelled show and a customer who has a live booking of it."""
    seats = BookingSeat.objects.live().filter(
        show__cancelled_at__isnull=False, show__cancelled_by__isnull=False
    )
    pairs = (
        seats.order_by("show_id", "booking__user_id")
        .values_list("show_id", "booking__user_id")
        .distinct()
    )
    return list(pairs[:limit])


def cancel_bookings(show_id: int, user_id: int) -> tuple[int, list[int]]:
    """Cancel what this customer has of this cancelled show; return how many bookings, which seats.

    All or none, since one mail names them: where somebody else is at one of them, a later
    sweep comes back.
    """
    show = step_by_step.locked_show(show_id)
    theirs = Booking.objects.live().filter(show=show_id, user=user_id).order_by("pk")
    rows = list(theirs.select_for_update(skip_locked=True).values_list("pk", "status"))
    if show.cancelled_at is None or len(rows) < theirs.count():
        return 0, []
    ids = [pk for pk, _ in rows]
    seats = BookingSeat.objects.filter(booking__in=ids)
    given_back = list(seats.values_list("booking", "seat_number"))
    Booking.objects.filter(pk__in=ids, status__in=LIVE).update(
        status=CANCELLED, holding=None, updated_at=Now()
    )
    seats.update(taken=None)
    _record(show, [pk for pk, status in rows if status != BOOKED])
    booked = [pk for pk, status in rows if status == BOOKED]
    if booked and not User.objects.filter(is_walk_in(), pk=user_id).exists():
        _record_and_owe(show, booked)
    else:
        _record(show, booked)
    counts = Counter(pk for pk, _ in given_back)
    transaction.on_commit(
        partial(
            telemetry.log_cancelled_with_show,
            show_id,
            show.cancelled_by_id,
            show.cancel_request_id,
            counts,
        )
    )
    return len(ids), [number for _, number in given_back]


def _by(show: Show) -> dict[str, Any]:
    """Return the clerk and the request that cancelled the show, whichever process comes to it."""
    kind = BookingEvent.Kind.CANCELLED
    return {"kind": kind, "actor_id": show.cancelled_by_id, "request_id": show.cancel_request_id}


def _record(show: Show, ids: Iterable[int], mailed_with: BookingEvent | None = None) -> None:
    BookingEvent.objects.bulk_create(
        BookingEvent(booking_id=pk, mailed_with=mailed_with, **_by(show)) for pk in ids
    )


def _record_and_owe(show: Show, ids: list[int]) -> None:
    """Owe one mail, by the first of these events. It names every event that names the first."""
    first = BookingEvent.objects.create(booking_id=ids[0], mail_due_at=Now(), **_by(show))
    BookingEvent.objects.filter(pk=first.pk).update(mailed_with=first.pk)
    _record(show, ids[1:], mailed_with=first)
