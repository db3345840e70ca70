"""Hundreds of races for the same few seats: no seat sold twice, and no answer or story that cannot
be.
"""

import os
import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from cinema.errors import BookingClosed, HoldExpired, HoldLimit, SeatContended, SeatTaken
from cinema.programme.models import Show
from cinema.sales import bookings, one_statement, step_by_step
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.sales.snapshots import Outcome
from tests.conftest import WAYS
from tests.support.factories import a_caller, a_hold, a_movie, a_screen, make_stale
from tests.support.racing import connect
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.unguarded import on_sqlite, without, without_locks

pytestmark = pytest.mark.django_db(transaction=True)

IN_CI = {"postgresql": 1000, "sqlite": 500, "mysql": 300}
RACES = IN_CI[connection.vendor] if os.environ.get("CI") else 80
CUSTOMERS, SEATS = 6, 6
GROUPS = [[1], [1, 2], [2, 3], [2, 3, 4], [4, 5], [5], [5, 6], [1, 6]]
# SQLite has one writer: who waited longer than 3 s for it gets a 503.
BUSY = (OperationalError,) if on_sqlite else ()
REFUSED = (SeatTaken, SeatContended, HoldLimit, HoldExpired, BookingClosed, *BUSY)
STORIES = {
    ("held",), ("held", "booked"), ("held", "booked", "cancelled"), ("held", "cancelled"), ("held", "expired"),
    ("booked",), ("booked", "cancelled"),
}  # fmt: skip
STATUS_OF = {"held": "pending"}


class Crowd:
    """Customers who act all at one moment, race by race. They keep their connections, as a server's
    threads do.
    """

    def __init__(self):
        self.callers = [a_caller() for _ in range(CUSTOMERS)]
        self.start, self.end = (
            threading.Barrier(CUSTOMERS + 1, timeout=PATIENCE_SECONDS) for _ in range(2)
        )
        self.acts, self.results = [], [None] * CUSTOMERS
        self.pool = ThreadPoolExecutor(CUSTOMERS)
        self.lives = [self.pool.submit(self._live, number) for number in range(CUSTOMERS)]

    def race(self, acts: list) -> list:
        """What each act, called with its customer, returned or was refused with."""
        self.acts = acts
        self.start.wait()
        self.end.wait()
        return self.results

    def go_home(self) -> None:
        self.acts = None
        self.start.wait()
        for life in self.lives:
            life.result(PATIENCE_SECONDS)
        self.pool.shutdown()

    def _live(self, number: int) -> None:
        try:
            connect()
            while self._is_called():
                self.results[number] = self._act(number)
                self.end.wait()
        finally:
            connections.close_all()

    def _is_called(self) -> bool:
        self.start.wait()
        return self.acts is not None

    def _act(self, number: int):
        try:
            return self.acts[number](self.callers[number])
        except Exception as error:
            return error


@pytest.fixture
def crowd():
    crowd = Crowd()
    yield crowd
    crowd.go_home()


def book(show, seats):
    return lambda caller: bookings.book(caller, show, seats)


def hold(show, seats):
    return lambda caller: bookings.hold(caller, show, seats)


def hold_and_confirm(show, seats):
    return lambda caller: bookings.confirm(caller, bookings.hold(caller, show, seats).booking.id)


def book_and_cancel(show, seats):
    return lambda caller: bookings.cancel(caller, bookings.book(caller, show, seats).booking.id)


def hold_and_cancel(show, seats):
    return lambda caller: bookings.cancel(caller, bookings.hold(caller, show, seats).booking.id)


def sweep(show, seats):
    return lambda caller: bookings.expire_stale()


ACTS = [book, book, hold, hold, hold_and_confirm, book_and_cancel, hold_and_cancel, sweep]


def shows(count: int) -> list[int]:
    """Far apart on one screen, and written at once: the rules of a programme are not what is raced
    for here.
    """
    movie, screen, first = a_movie(), a_screen(), timezone.now() + timedelta(days=1)
    times = [first + timedelta(days=n) for n in range(count)]
    rows = [Show(movie=movie, screen=screen, total_seats=SEATS, date_time=time) for time in times]
    Show.objects.bulk_create(rows)
    return list(Show.objects.filter(screen=screen).values_list("pk", flat=True))


def contest(crowd: Crowd, show: int, dice: random.Random) -> None:
    """One race: the answers do not contradict each other, the rows say what the answers say, and
    somebody is served.
    """
    acts = [dice.choice(ACTS)(show, dice.choice(GROUPS)) for _ in range(CUSTOMERS - 1)]
    results = crowd.race([*acts, book(show, dice.choice(GROUPS))])

    strange = [r for r in results if isinstance(r, Exception) and not isinstance(r, REFUSED)]
    assert not strange, strange
    told = [result.booking for result in results if isinstance(result, Outcome)]
    assert told
    statuses = dict(Booking.objects.filter(show=show).values_list("pk", "status"))
    assert [statuses[booking.id] for booking in told] == [booking.status for booking in told]
    sold = [
        seat for booking in told if booking.status != "cancelled" for seat in booking.seat_numbers
    ]
    assert len(sold) == len(set(sold)), told


def judge() -> None:
    """All shows at once: by `taken`, and without it by status and expiry; the holds; and every
    booking's story.
    """
    live = Q(booking__status="booked") | Q(booking__status="pending", booking__expires_at__gt=Now())
    for sold in (Q(taken=True), live):
        seats = BookingSeat.objects.filter(sold).order_by().values("show", "seat_number")
        assert not seats.annotate(n=Count("pk")).filter(n__gt=1).exists()
    assert not BookingSeat.objects.filter(live, taken=None).exists()
    assert not BookingSeat.objects.filter(
        taken=True, booking__status__in=["cancelled", "expired"]
    ).exists()
    holds = Booking.objects.filter(status="pending").order_by().values("show", "user")
    assert not holds.annotate(n=Count("pk")).filter(n__gt=1).exists()
    stories = defaultdict(list)
    for booking, kind in BookingEvent.objects.order_by("id").values_list("booking", "kind"):
        stories[booking].append(kind)
    assert {tuple(story) for story in stories.values()} <= STORIES
    ends = {booking: STATUS_OF.get(story[-1], story[-1]) for booking, story in stories.items()}
    assert ends == dict(Booking.objects.values_list("pk", "status"))


def compete(crowd: Crowd, races: int, dice: random.Random) -> None:
    absent = a_caller()
    for show in shows(races):
        make_stale(a_hold(absent, Show(pk=show), (2, 3)))
        contest(crowd, show, dice)
    judge()


@pytest.mark.parametrize("redis", ["locks", "database alone"])
def test_no_contested_seat_is_sold_twice(crowd, each_way, redis, settings):
    if redis == "database alone":
        settings.REDIS_URL = ""

    compete(crowd, RACES // len(WAYS) // 2, random.Random(f"{each_way} {redis}"))


def test_control_without_constraint_and_locks_it_is_seen(crowd, settings, monkeypatch):
    without_locks(settings, monkeypatch)
    monkeypatch.setattr(one_statement, "serves", lambda: False)
    if on_sqlite:  # its one writer must not look either
        monkeypatch.setattr(step_by_step, "_refuse_taken", lambda *_: None)

    with without(BookingSeat, "seat_sold_once", stands_in="show_id"), pytest.raises(AssertionError):
        compete(crowd, 50, random.Random(1))
