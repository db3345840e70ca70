"""Races on every database, and for each guard its negative control: without it the same race goes wrong."""

import threading
import time

import pytest
from django.db import connection, transaction
from django.db.models import Count
from django.db.models.functions import Now

from cinema import bookings, one_statement, step_by_step
from cinema.answers import Outcome
from cinema.errors import SeatContended, SeatTaken
from cinema.models import Booking, BookingEvent, BookingQuerySet, BookingSeat, Show
from tests.factories import a_booking, a_caller, a_hold, a_show, make_stale
from tests.racing import kinds, race

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("each_way"),
    pytest.mark.xdist_group("crowd"),  # two crowds at once would use up PostgreSQL's connections
]
on_sqlite = connection.vendor == "sqlite"
CROWD = 3 if on_sqlite else 8
# SQLite has one writer: who waited longer than 3 s for it gets a 503.
REFUSED = {"SeatTaken", "SeatContended"} | ({"OperationalError"} if connection.vendor == "sqlite" else set())


@pytest.fixture(params=["locks", "database alone"])
def with_and_without_redis(request, settings):
    if request.param == "database alone":
        settings.REDIS_URL = ""


@pytest.fixture
def no_seat_constraint():
    """The table without its guard, and the guard back behind the test."""
    seat_sold_once = next(c for c in BookingSeat._meta.constraints if c.name == "seat_sold_once")
    with connection.schema_editor() as editor:
        if connection.vendor == "mysql":  # a foreign key there wants an index that begins with its column
            editor.execute("CREATE INDEX seat_show ON cinema_bookingseat (show_id)")
        editor.remove_constraint(BookingSeat, seat_sold_once)
    yield
    BookingSeat.objects.all().delete()
    with connection.schema_editor() as editor:
        editor.add_constraint(BookingSeat, seat_sold_once)
        if connection.vendor == "mysql":
            editor.execute("DROP INDEX seat_show ON cinema_bookingseat")


def sold_twice() -> int:
    seats = BookingSeat.objects.live().order_by().values("show", "seat_number")
    return seats.annotate(n=Count("pk")).filter(n__gt=1).count()


def test_48_customers_want_one_seat(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(48)]

    results = race(*[lambda caller=caller: bookings.book(caller, show.pk, [5]) for caller in callers])

    ended = kinds(results)
    assert ended.pop("Outcome", 0) == 1, ended
    assert set(ended) <= REFUSED
    assert BookingSeat.objects.live().count() == Booking.objects.live().count() == 1
    assert BookingEvent.objects.count() == 1


def test_groups_that_overlap_are_sold_whole_or_not_at_all(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(16)]
    groups = [[n % 8 + 3, n % 8 + 1, n % 8 + 2] for n in range(16)]

    results = race(*[lambda c=c, g=g: bookings.book(c, show.pk, g) for c, g in zip(callers, groups, strict=True)])

    won = [result for result in results if isinstance(result, Outcome)]
    assert won
    assert set(kinds(results)) <= REFUSED | {"Outcome"}
    sold = sorted(seat for outcome in won for seat in outcome.booking["seat_numbers"])
    assert sold == list(BookingSeat.objects.live().order_by("seat_number").values_list("seat_number", flat=True))
    assert len(sold) == len(set(sold)) == 3 * len(won)


@pytest.mark.skipif(on_sqlite, reason="SQLite has one writer at a time: there is no race to lose")
def test_control_without_constraint_and_locks_a_seat_is_oversold(no_seat_constraint, settings, monkeypatch):
    settings.REDIS_URL = ""
    monkeypatch.setattr(step_by_step, "locked_show", lambda pk: Show.objects.annotate(now=Now()).get(pk=pk))
    callers = [a_caller() for _ in range(16)]

    for _ in range(5):
        show = a_show()
        race(*[lambda caller=caller, show=show: bookings.book(caller, show.pk, [5]) for caller in callers])

    assert sold_twice() > 0


def test_a_stale_hold_is_taken_over_once(with_and_without_redis):
    show, callers = a_show(), [a_caller() for _ in range(12)]
    stale = make_stale(a_hold(show=show, seats=(5, 6)))

    results = race(*[lambda caller=caller: bookings.hold(caller, show.pk, [5]) for caller in callers])

    ended = kinds(results)
    assert ended.pop("Outcome", 0) == 1, ended
    assert set(ended) <= REFUSED
    assert list(BookingEvent.objects.filter(booking=stale).values_list("kind", flat=True)) == ["held", "expired"]
    assert BookingSeat.objects.live().count() == 1


def test_one_hold_a_customer_and_show(with_and_without_redis):
    caller, show = a_caller(), a_show()

    results = race(*[lambda seat=seat: bookings.hold(caller, show.pk, [seat]) for seat in range(1, 11)])

    assert kinds(results) == {"HoldLimit": 9, "Outcome": 1}
    assert Booking.objects.filter(holding=True).count() == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="elsewhere the locked show row keeps it too")
def test_control_without_its_constraint_a_customer_gets_two_holds():
    one_hold = next(c for c in Booking._meta.constraints if c.name == "booking_one_hold")
    with connection.schema_editor() as editor:
        editor.remove_constraint(Booking, one_hold)
    try:
        for _ in range(10):
            caller, show = a_caller(), a_show()
            race(*[lambda seat=seat, c=caller, s=show: bookings.hold(c, s.pk, [seat]) for seat in range(1, 11)])
        assert Booking.objects.filter(holding=True).count() > 10
    finally:
        for table in (BookingEvent, BookingSeat, Booking):
            table.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Booking, one_hold)


@pytest.mark.parametrize("turn", range(5))
def test_confirm_against_cancel_has_one_story(turn):
    caller = a_caller()
    hold = a_hold(caller)

    results = race(lambda: bookings.confirm(caller, hold.pk), lambda: bookings.cancel(caller, hold.pk))

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


@pytest.mark.skipif(on_sqlite, reason="SQLite has one writer at a time: there is no race to lose")
@pytest.mark.parametrize("compare_and_set", [True, False])
def test_two_confirms_that_both_read_pending_and_the_control(monkeypatch, compare_and_set):
    both_read = threading.Barrier(2)

    class Blind(BookingQuerySet):
        """Updates whatever it finds under the key, as a save() would."""

        def update(self, **values):
            return Booking._base_manager.filter(pk=hold.pk).update(**values)

    if not compare_and_set:
        monkeypatch.setattr(Booking.objects, "_queryset_class", Blind)
    monkeypatch.setattr(bookings, "_refuse_expired", lambda booking: both_read.wait(5))
    caller = a_caller()
    hold = a_hold(caller)

    race(*[lambda: bookings.confirm(caller, hold.pk)] * 2)

    assert hold.events.filter(kind="booked").count() == (1 if compare_and_set else 2)


def test_sweeps_and_a_takeover_expire_a_hold_once():
    show, buyer = a_show(), a_caller()
    holds = [make_stale(a_hold(show=show, seats=(seat,))) for seat in range(1, 9)]

    race(bookings.expire_stale, bookings.expire_stale, lambda: bookings.book(buyer, show.pk, [1, 2, 3]))

    while bookings.expire_stale():
        pass
    assert BookingEvent.objects.filter(kind="expired").count() == len(holds)
    assert Booking.objects.filter(status="expired").count() == len(holds)


def sell_while_a_clerk_cuts_the_hall() -> Show:
    """Seat 15 of 20 is wanted when a clerk has checked that the hall can be cut to 10, and has not saved yet."""
    caller, show = a_caller(), a_show(total_seats=20)
    checked = threading.Event()

    def cut():
        with transaction.atomic():
            hall = Show.objects.get(pk=show.pk)
            hall.total_seats = 10
            hall.clean()
            checked.set()
            time.sleep(0.4)
            hall.save()

    def buy():
        checked.wait(5)
        return bookings.book(caller, show.pk, [15])

    race(cut, buy)
    show.refresh_from_db()
    return show


def test_no_seat_is_sold_in_a_hall_being_cut():
    show = sell_while_a_clerk_cuts_the_hall()

    assert show.total_seats == 10
    assert not Booking.objects.exists()


@pytest.mark.skipif(on_sqlite, reason="SQLite has one writer at a time: there is no race to lose")
def test_control_without_the_show_lock_a_seat_is_sold_in_a_cut_hall(monkeypatch):
    monkeypatch.setattr(one_statement, "SALE", one_statement.SALE.replace("FOR KEY SHARE", ""))
    monkeypatch.setattr(step_by_step, "locked_show", lambda pk: Show.objects.annotate(now=Now()).get(pk=pk))

    show = sell_while_a_clerk_cuts_the_hall()

    assert show.total_seats == 10
    assert BookingSeat.objects.live().filter(show=show, seat_number=15).exists()


def test_a_hundred_sales_and_returns_leave_no_seat_behind(with_and_without_redis):
    show, callers = a_show(total_seats=12), [a_caller() for _ in range(CROWD)]

    def customer(caller, first):
        def act():
            for turn in range(12):
                seats = {(first + turn) % 12 + 1, (first * 5 + turn * 7) % 12 + 1}
                try:
                    told = bookings.book(caller, show.pk, seats).booking
                except (SeatTaken, SeatContended):
                    continue
                bookings.cancel(caller, told["id"])

        return act

    results = race(*[customer(caller, n) for n, caller in enumerate(callers)])

    assert kinds(results) == {"NoneType": CROWD}
    assert sold_twice() == 0
    assert not BookingSeat.objects.filter(taken=True).exists()
    assert a_booking(show=show, seats=tuple(range(1, 11))).status == "booked"
