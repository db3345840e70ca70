"""Races on every database, and for each guard its negative control: without it the same race goes
wrong.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import Count

from cinema.errors import SeatContended, SeatTaken
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.sales.snapshots import Outcome
from tests.support.factories import a_booking, a_caller, a_hold, a_show, make_stale
from tests.support.racing import kinds, race
from tests.support.unguarded import on_sqlite, one_writer_has_no_race, without, without_locks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("each_way"),
]
CROWD = 3 if on_sqlite else 8
# SQLite has one writer: who waited longer than 3 s for it gets a 503.
REFUSED = {"SeatTaken", "SeatContended"} | (
    {"OperationalError"} if connection.vendor == "sqlite" else set()
)


@pytest.fixture
def no_seat_constraint():
    with without(BookingSeat, "seat_sold_once", stands_in="show_id"):
        yield


def sold_twice() -> int:
    seats = BookingSeat.objects.live().order_by().values("show", "seat_number")
    return seats.annotate(n=Count("pk")).filter(n__gt=1).count()


def test_48_customers_want_one_seat(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(48)]

    results = race(
        *[lambda caller=caller: bookings.book(caller, show.pk, [5]) for caller in callers]
    )

    ended = kinds(results)
    assert ended.pop("Outcome", 0) == 1, ended
    assert set(ended) <= REFUSED
    assert BookingSeat.objects.live().count() == Booking.objects.live().count() == 1
    assert BookingEvent.objects.count() == 1


def test_groups_that_overlap_are_sold_whole_or_not_at_all(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(16)]
    groups = [[n % 8 + 3, n % 8 + 1, n % 8 + 2] for n in range(16)]

    results = race(
        *[
            lambda c=c, g=g: bookings.book(c, show.pk, g)
            for c, g in zip(callers, groups, strict=True)
        ]
    )

    won = [result for result in results if isinstance(result, Outcome)]
    assert won
    assert set(kinds(results)) <= REFUSED | {"Outcome"}
    sold = sorted(seat for outcome in won for seat in outcome.booking.seat_numbers)
    assert sold == list(
        BookingSeat.objects.live().order_by("seat_number").values_list("seat_number", flat=True)
    )
    assert len(sold) == len(set(sold)) == 3 * len(won)


@one_writer_has_no_race
def test_control_without_constraint_and_locks_a_seat_is_oversold(
    no_seat_constraint, settings, monkeypatch
):
    without_locks(settings, monkeypatch)
    callers = [a_caller() for _ in range(16)]

    for _ in range(5):
        show = a_show()
        race(
            *[
                lambda caller=caller, show=show: bookings.book(caller, show.pk, [5])
                for caller in callers
            ]
        )

    assert sold_twice() > 0


def test_a_stale_hold_is_taken_over_once(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(12)]
    stale = make_stale(a_hold(show=show, seats=(5, 6)))

    results = race(
        *[lambda caller=caller: bookings.hold(caller, show.pk, [5]) for caller in callers]
    )

    ended = kinds(results)
    assert ended.pop("Outcome", 0) == 1, ended
    assert set(ended) <= REFUSED
    assert list(BookingEvent.objects.filter(booking=stale).values_list("kind", flat=True)) == [
        "held",
        "expired",
    ]
    assert BookingSeat.objects.live().count() == 1


@one_writer_has_no_race
def test_control_without_both_a_stale_hold_is_taken_over_by_several(
    no_seat_constraint, settings, monkeypatch
):
    without_locks(settings, monkeypatch)
    callers = [a_caller() for _ in range(12)]

    for _ in range(5):
        show = a_show()
        make_stale(a_hold(show=show, seats=(5, 6)))
        race(
            *[
                lambda caller=caller, show=show: bookings.hold(caller, show.pk, [5])
                for caller in callers
            ]
        )

    assert sold_twice() > 0


def patiently(act: Callable[[], Any]) -> Any:
    """A 503 of SQLite's one writer comes before anything is done: the customer asks again."""
    while True:
        try:
            return act()
        except OperationalError:
            if not on_sqlite:
                raise


def test_a_hundred_sales_and_returns_leave_no_seat_behind(with_and_without_redis):
    show, callers = a_show(total_seats=12), [a_caller() for _ in range(CROWD)]

    def customer(caller, first):
        def act():
            for turn in range(12):
                seats = {(first + turn) % 12 + 1, (first * 5 + turn * 7) % 12 + 1}
                try:
                    # at once
                    told = patiently(lambda: bookings.book(caller, show.pk, seats)).booking  # noqa: B023
                except (SeatTaken, SeatContended):
                    continue
                patiently(lambda: bookings.cancel(caller, told.id))  # noqa: B023 - at once

        return act

    results = race(*[customer(caller, n) for n, caller in enumerate(callers)])

    assert kinds(results) == {"NoneType": CROWD}
    assert sold_twice() == 0
    assert not BookingSeat.objects.filter(taken=True).exists()
    assert a_booking(show=show, seats=tuple(range(1, 11))).status == "booked"
