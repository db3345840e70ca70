"""Races of holds and of changes of status, on every database, with the controls that lose them."""

import threading

import pytest

from cinema.sales import bookings, one_statement, step_by_step
from cinema.sales.models import Booking, BookingEvent, BookingQuerySet, BookingSeat
from cinema.sales.snapshots import Outcome
from tests.support.factories import a_caller, a_hold, a_show, make_stale
from tests.support.racing import kinds, race
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.unguarded import one_writer_has_no_race, without, without_locks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("each_way"),
]


@pytest.fixture
def no_hold_constraint():
    with without(Booking, "booking_one_hold", stands_in="show_id"):
        yield


def test_one_hold_a_customer_and_show(with_and_without_redis):
    caller, show = a_caller(), a_show()

    results = race(
        *[lambda seat=seat: bookings.hold(caller, show.pk, [seat]) for seat in range(1, 11)]
    )

    assert kinds(results) == {"HoldLimit": 9, "Outcome": 1}
    assert Booking.objects.filter(holding=True).count() == 1


@one_writer_has_no_race
def test_control_without_constraint_and_locks_a_customer_gets_two_holds(
    no_hold_constraint, settings, monkeypatch
):
    without_locks(settings, monkeypatch)
    for _ in range(10):
        caller, show = a_caller(), a_show()
        race(
            *[
                lambda seat=seat, c=caller, s=show: bookings.hold(c, s.pk, [seat])
                for seat in range(1, 11)
            ]
        )

    assert Booking.objects.filter(holding=True).count() > 10


@pytest.mark.parametrize("turn", range(5))
def test_confirm_against_cancel_has_one_story(turn):
    caller = a_caller()
    hold = a_hold(caller)

    results = race(
        lambda: bookings.confirm(caller, hold.pk), lambda: bookings.cancel(caller, hold.pk)
    )

    story = list(hold.events.order_by("id").values_list("kind", flat=True))
    assert story in (["held", "booked", "cancelled"], ["held", "cancelled"])
    assert isinstance(results[1], Outcome)
    assert kinds(results[:1]) == ({"Outcome": 1} if len(story) == 3 else {"BookingClosed": 1})
    assert Booking.objects.get().status == "cancelled"
    assert not BookingSeat.objects.live().exists()


def test_twelve_confirms_are_one():
    caller = a_caller()
    hold = a_hold(caller)

    results = race(*[lambda: bookings.confirm(caller, hold.pk)] * 12)

    assert kinds(results) == {"Outcome": 12}
    assert list(hold.events.order_by("id").values_list("kind", flat=True)) == ["held", "booked"]


@one_writer_has_no_race
@pytest.mark.parametrize("compare_and_set", [True, False])
def test_two_confirms_that_both_read_pending_and_the_control(monkeypatch, compare_and_set):
    both_read = threading.Barrier(2)

    class Blind(BookingQuerySet):
        """Updates whatever it finds under the key, as a save() would."""

        def update(self, **values):
            return Booking._base_manager.filter(pk=hold.pk).update(**values)

    if not compare_and_set:
        monkeypatch.setattr(Booking.objects, "_queryset_class", Blind)
    monkeypatch.setattr(one_statement, "serves", lambda: False)
    monkeypatch.setattr(
        step_by_step, "_refuse_expired", lambda booking: both_read.wait(PATIENCE_SECONDS)
    )
    caller = a_caller()
    hold = a_hold(caller)

    race(*[lambda: bookings.confirm(caller, hold.pk)] * 2)

    assert hold.events.filter(kind="booked").count() == (1 if compare_and_set else 2)


def test_sweeps_and_a_takeover_expire_a_hold_once():
    show, buyer = a_show(), a_caller()
    holds = [make_stale(a_hold(show=show, seats=(seat,))) for seat in range(1, 9)]

    race(
        bookings.expire_stale,
        bookings.expire_stale,
        lambda: bookings.book(buyer, show.pk, [1, 2, 3]),
    )

    while bookings.expire_stale():
        pass
    assert BookingEvent.objects.filter(kind="expired").count() == len(holds)
    assert Booking.objects.filter(status="expired").count() == len(holds)


@one_writer_has_no_race
@pytest.mark.parametrize("locked", [True, False])
def test_two_that_expire_one_hold_and_the_control_without_its_lock(monkeypatch, locked):
    hold, expire = make_stale(a_hold()), step_by_step.expire
    both_read = threading.Barrier(2)

    def unlocked(rows):
        seen = list(Booking.objects.stale().values_list("pk", flat=True))
        both_read.wait(PATIENCE_SECONDS)
        return expire(Booking.objects.filter(pk__in=seen))

    if not locked:
        monkeypatch.setattr(step_by_step, "expire", unlocked)
        monkeypatch.setattr(one_statement, "serves", lambda: False)

    race(bookings.expire_stale, bookings.expire_stale)

    assert hold.events.filter(kind="expired").count() == (1 if locked else 2)
