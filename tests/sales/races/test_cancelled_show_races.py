"""A show that is cancelled against all that happens to its bookings at that moment, with the
controls that lose.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Count, QuerySet

from cinema.errors import Refusal, SeatContended, ShowCancelled
from cinema.notifications import deliveries
from cinema.programme.models import Show
from cinema.sales import bookings, one_statement, show_cancelling, step_by_step
from cinema.sales.models import Booking, BookingEvent, BookingQuerySet, BookingSeat
from cinema.sales.snapshots import Outcome
from tests.sales.races.test_races import patiently
from tests.support.factories import a_booking, a_caller, a_clerk, a_hold, a_show, make_stale
from tests.support.racing import kinds, race
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.unguarded import on_sqlite, one_writer_has_no_race, without_locks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("each_way"),
]
PAUSE_SECONDS = 0.4


def sweep() -> int:
    return bookings.cancel_bookings_of_cancelled_shows()


def sweep_all() -> int:
    """Until nothing is left; who was busy is left for the next."""
    count = 0
    while show_cancelling.customers_left(1):
        count += patiently(sweep)
    return count


def again(act: Callable[[], Any]) -> Any:
    """Whoever has waited a second for a lock is told to come again, and does."""
    while True:
        try:
            return patiently(act)
        except SeatContended:
            continue


def stories() -> list[tuple[str, ...]]:
    return [
        tuple(one.events.order_by("id").values_list("kind", flat=True))
        for one in Booking.objects.order_by("pk")
    ]


def mails_of_cancellations() -> int:
    return BookingEvent.objects.owed().filter(kind="cancelled").count()


def sell_while_a_clerk_cancels(monkeypatch) -> list[str]:
    """Whose answer came first: the sale has read its show, and has not been written, when the clerk
    cancels it.
    """
    show, caller, clerk = a_show(), a_caller(), a_clerk()
    insert, read, answered = step_by_step._insert, threading.Event(), []

    def late(*sale):
        read.set()
        time.sleep(PAUSE_SECONDS)
        return insert(*sale)

    monkeypatch.setattr(step_by_step, "_insert", late)
    monkeypatch.setattr(one_statement, "serves", lambda: False)

    def sell():
        bookings.book(caller, show.pk, [5])
        answered.append("sale")

    def cancel():
        read.wait(PATIENCE_SECONDS)
        bookings.cancel_show(clerk, show.pk)
        answered.append("cancellation")

    assert kinds(race(sell, cancel)) == {"NoneType": 2}
    return answered


def test_a_sale_under_way_is_answered_before_the_cancellation_and_ended_with_the_rest(monkeypatch):
    assert sell_while_a_clerk_cancels(monkeypatch) == ["sale", "cancellation"]

    assert Show.objects.get().progress == (0, 1)
    assert sweep() == 1
    assert stories() == [("booked", "cancelled")]


@one_writer_has_no_race
def test_control_without_the_shows_lock_a_seat_is_sold_behind_the_answer(settings, monkeypatch):
    without_locks(settings, monkeypatch)

    assert sell_while_a_clerk_cancels(monkeypatch) == ["cancellation", "sale"]


@pytest.mark.parametrize("turn", range(3))
def test_a_crowd_of_buyers_against_the_cancellation(turn):
    show, clerk, callers = a_show(), a_clerk(), [a_caller() for _ in range(3 if on_sqlite else 8)]

    def buyer(caller, number):
        def buy():
            told = []
            for seat in range(number * 10 + 1, number * 10 + 9):
                try:
                    told.append(again(lambda: bookings.book(caller, show.pk, [seat])).booking.id)  # noqa: B023
                except ShowCancelled:
                    break
            return told

        return buy

    def cancel():
        time.sleep(0.02 * turn)
        return again(lambda: bookings.cancel_show(clerk, show.pk))

    *sold, told = race(*[buyer(caller, number) for number, caller in enumerate(callers)], cancel)

    assert isinstance(told, Show), told
    assert told.live_when_cancelled == sum(len(ids) for ids in sold) == Booking.objects.count()
    assert sweep_all() == told.live_when_cancelled
    assert set(stories()) <= {("booked", "cancelled")}
    assert mails_of_cancellations() == sum(bool(ids) for ids in sold)
    assert not BookingSeat.objects.filter(taken=True).exists()


@pytest.mark.parametrize("turn", range(4))
def test_a_confirm_against_the_cancellation(turn):
    caller, clerk = a_caller(), a_clerk()
    hold = a_hold(caller)

    confirmed, told, *_ = race(
        lambda: again(lambda: bookings.confirm(caller, hold.pk)),
        lambda: again(lambda: bookings.cancel_show(clerk, hold.show_id)),
        *[lambda: patiently(sweep)] * (turn % 3),
    )

    sweep_all()
    assert isinstance(told, Show), told
    if isinstance(confirmed, Outcome):
        assert stories() == [("held", "booked", "cancelled")]
    else:
        assert type(confirmed).__name__ in {"ShowCancelled", "BookingClosed"}
        assert stories() == [("held", "cancelled")]
    assert mails_of_cancellations() == isinstance(confirmed, Outcome)


def act_while_a_sweep_has_read(monkeypatch, act) -> Booking:
    """The sweep has read which bookings are live, and writes a little later; meanwhile somebody
    else acts.
    """
    customer, clerk = a_caller(), a_clerk()
    booking = a_booking(customer)
    bookings.cancel_show(clerk, booking.show_id)
    count, read = BookingQuerySet.count, threading.Event()

    def late(rows):
        found = count(rows)
        if not read.is_set():
            read.set()
            time.sleep(PAUSE_SECONDS)
        return found

    monkeypatch.setattr(BookingQuerySet, "count", late)

    def other():
        read.wait(PATIENCE_SECONDS)
        return act(customer, booking)

    race(sweep, other)
    return booking


ACTS = [lambda customer, booking: bookings.cancel(customer, booking.pk), lambda *_: sweep()]


@pytest.mark.parametrize("act", ACTS, ids=["the customer's cancel", "another sweep"])
def test_one_cancellation_and_one_mail_whoever_is_at_it_too(monkeypatch, act):
    act_while_a_sweep_has_read(monkeypatch, act)

    assert stories() == [("booked", "cancelled")]
    assert mails_of_cancellations() == 1


@one_writer_has_no_race
@pytest.mark.parametrize("act", ACTS, ids=["the customer's cancel", "another sweep"])
def test_control_without_the_bookings_lock_it_is_cancelled_and_mailed_twice(
    settings, monkeypatch, act
):
    without_locks(settings, monkeypatch)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows._chain())

    act_while_a_sweep_has_read(monkeypatch, act)

    assert stories() == [("booked", "cancelled", "cancelled")]
    assert mails_of_cancellations() == 2


@one_writer_has_no_race
def test_a_customer_whose_cancel_is_under_way_is_left_for_later(monkeypatch):
    """Else the mail of the rest would come apart from that of a booking whose cancel was undone."""
    show, customer, clerk = a_show(), a_caller(), a_clerk()
    first, second = a_booking(customer, show, (1,)), a_booking(customer, show, (2,))
    bookings.cancel_show(clerk, show.pk)
    record, has_cancelled, has_looked = step_by_step.record, threading.Event(), threading.Event()

    def dies(*values, **how):
        has_cancelled.set()
        has_looked.wait(PATIENCE_SECONDS)
        raise ConnectionError

    monkeypatch.setattr(step_by_step, "record", dies)
    monkeypatch.setattr(one_statement, "serves", lambda: False)

    def look():
        has_cancelled.wait(PATIENCE_SECONDS)
        try:
            return sweep()
        finally:
            has_looked.set()

    results = race(lambda: bookings.cancel(customer, second.pk), look)

    assert (type(results[0]).__name__, results[1]) == ("ConnectionError", 0)
    assert set(stories()) == {("booked",)}
    monkeypatch.setattr(step_by_step, "record", record)
    assert sweep() == 2
    assert mails_of_cancellations() == 1
    told = BookingEvent.objects.exclude(mailed_with=None).values_list("booking", flat=True)
    assert sorted(told) == [first.pk, second.pk]


def test_sweeps_cancels_confirms_and_expiry_all_at_once():
    """Nobody deadlocks, every booking has one end, and every customer one mail for what the sweep
    ended.
    """
    show, clerk, customers = a_show(), a_clerk(), [a_caller() for _ in range(3 if on_sqlite else 8)]
    for number, customer in enumerate(customers):
        for seat in range(4):
            a_booking(customer, show, (number * 10 + seat + 1,))
        hold = a_hold(customer, show, (number * 10 + 9,))
        if number % 2:
            make_stale(hold)

    def by_hand(customer):
        def act():
            mine = list(
                Booking.objects.filter(user=customer.user_id)
                .order_by("-pk")
                .values_list("pk", flat=True)
            )
            for verb, pk in (
                (bookings.confirm, mine[0]),
                (bookings.cancel, mine[1]),
                (bookings.cancel, mine[2]),
            ):
                try:
                    patiently(lambda: verb(customer, pk))  # noqa: B023 - at once
                except Refusal:
                    continue

        return act

    def sweep_often():
        bookings_ended = 0
        for _ in range(6):
            bookings_ended += patiently(sweep)
            patiently(bookings.expire_stale)
        return bookings_ended

    acts = [by_hand(customer) for customer in customers]
    results = race(
        lambda: again(lambda: bookings.cancel_show(clerk, show.pk)), *acts, sweep_often, sweep_often
    )

    assert [result for result in results if isinstance(result, Exception)] == []
    sweep_all()
    patiently(bookings.expire_stale)
    ends = {
        ("booked", "cancelled"),
        ("held", "booked", "cancelled"),
        ("held", "cancelled"),
        ("held", "expired"),
    }
    assert set(stories()) <= ends
    mailed = BookingEvent.objects.exclude(mailed_with=None)
    assert (
        mailed.values("booking__user")
        .annotate(n=Count("mailed_with", distinct=True))
        .filter(n__gt=1)
        .count()
        == 0
    )
    assert deliveries.queue_due() != []
    assert not BookingSeat.objects.filter(taken=True).exists()
