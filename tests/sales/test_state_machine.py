"""Calls in every order that Hypothesis can think of, against a model of the seats: after each, both
tell the same.

Two customers share a small hall while time jumps, the start is moved and Redis comes and goes. The
examples are the same at every run; `--hypothesis-seed=<number>` tries others, and a failure prints
the steps that lead to it.
"""

import os
from collections import defaultdict
from dataclasses import asdict

import pytest
from django.conf import settings
from django.db import connection
from django_redis import get_redis_connection
from hypothesis import HealthCheck, Phase, core
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cinema.errors import SeatTaken
from cinema.programme.models import Show
from cinema.sales import bookings, idempotency, one_statement, seat_locks, snapshots, step_by_step
from cinema.sales.models import BookingEvent, BookingSeat, SeatQuerySet
from tests.conftest import WAYS, refusal
from tests.support.seat_model import Sale, SeatModel
from tests.support.seat_world import World

pytestmark = pytest.mark.django_db(transaction=True)

IN_CI = 200, 50
EXAMPLES, STEPS = IN_CI if os.environ.get("CI") and connection.vendor == "postgresql" else (15, 30)
TOTAL_SEATS = 6
# Jumps are multiples of 50 s and all else ends between two of them, so the seconds that a run takes
# do not count.
HOLD_SECONDS, STARTS_IN_SECONDS = 625, 5025
MEANWHILE = [
    ("sweep",),
    ("staff_move_the_start", STARTS_IN_SECONDS), ("staff_move_the_start", 325), ("staff_move_the_start", -75),
    ("redis_returns", True), ("redis_returns", False),
    ("redis_goes", "flushed"), ("redis_goes", "refusing"), ("redis_goes", "unset"),
]  # fmt: skip
# Few groups, so that a customer wants the same seats again, and that they overlap.
groups = st.sampled_from(
    [[1], [1, 2], [2, 3], [3, 4, 5], [4], [5, 6], [6], [2, 4, 6], [6, TOTAL_SEATS + 1]]
)
customers, one_in_four = st.sampled_from([0, 1]), st.sampled_from([False, False, False, True])
recent = st.integers(0, 4)  # 0 is the last
calls = st.one_of(
    st.tuples(st.sampled_from(["hold", "book"]), customers, groups, st.booleans()),
    st.tuples(st.sampled_from(["confirm", "cancel"]), recent, one_in_four, st.booleans()),
    st.tuples(st.just("repeat"), recent, one_in_four),
    st.tuples(st.just("time_passes"), st.sampled_from([250, 700])),
    # what single steps seldom reach
    st.tuples(st.just("run_out_and_wanted"), recent, st.sampled_from(["hold", "book"])),
    st.tuples(st.just("cancelled_and_wanted"), recent),
    st.sampled_from(MEANWHILE),
)
INSTEAD = {"hold": "book", "book": "hold", "confirm": "cancel", "cancel": "confirm"}
EVERY_ANSWER = {
    "hold": {201, 200, "hold_limit", "seat_taken", "seat_out_of_range", "show_started"},
    "book": {201, "seat_taken", "seat_out_of_range", "show_started"},
    "confirm": {200, "booking_closed", "hold_expired", "not_found"},
    "cancel": {200, "hold_expired", "show_started", "not_found"},
}


class BoxOffice(RuleBasedStateMachine):
    """Each call goes to the API and to the model; `_judge` compares what the two answered."""

    def __init__(self, world: World):
        super().__init__()
        self.world, self.model = world, SeatModel(TOTAL_SEATS, HOLD_SECONDS, STARTS_IN_SECONDS)
        self.answered: list[tuple] = []  # what was kept under a key: the call and its answer
        world.renew(STARTS_IN_SECONDS)

    @rule(call=calls)
    def make(self, call):
        """One rule for all: of several, Hypothesis leaves out some in every example, and most pairs
        never meet.
        """
        name, *how = call
        getattr(self, name)(*how)

    def hold(self, customer, seats, keyed):
        self._sell("hold", customer, seats, keyed)

    def book(self, customer, seats, keyed):
        self._sell("book", customer, seats, keyed)

    def confirm(self, which, stranger, keyed):
        if self.model.sales:
            self._settle("confirm", self._sale(which), stranger, keyed)

    def cancel(self, which, stranger, keyed):
        if self.model.sales:
            self._settle("cancel", self._sale(which), stranger, keyed)

    def run_out_and_wanted(self, which, verb):
        if self.model.sales:
            sale = self._sale(which)
            self.time_passes(700)
            self._sell(verb, 1 - sale.customer, sale.seats, False)

    def cancelled_and_wanted(self, which):
        if self.model.sales:
            sale = self._sale(which)
            self._sell("book", 1 - sale.customer, sale.seats, False)
            self._settle("cancel", sale, False, False)
            self._sell("book", 1 - sale.customer, sale.seats, False)

    def repeat(self, which, changed):
        if not self.answered:
            return
        customer, path, body, key, status, content = self.answered[-1 - which % len(self.answered)]
        if changed:
            first, _, verb = path.strip("/").rpartition("/")
            path = f"/{first}/{INSTEAD[verb]}/"
        again = self.world.customers[customer].post(path, body, Idempotency_Key=key)
        if changed:
            assert refusal(again) == (422, "idempotency_key_reused")
        else:
            assert (again.status_code, again.content) == (status, content)

    def sweep(self):
        assert bookings.expire_stale() == self.model.expire_stale()

    def time_passes(self, seconds):
        self.world.jump(seconds)
        self.model.now += seconds

    def staff_move_the_start(self, seconds):
        self.world.move_start(seconds)
        self.model.move_start(self.model.now + seconds)

    def redis_goes(self, how):
        if how == "unset":
            settings.REDIS_URL = ""
        elif how == "refusing":
            self.world.redis_refuses()
        else:
            get_redis_connection("default").flushdb()

    def redis_returns(self, probed):
        self.world.redis_returns(probed)

    @invariant()
    def the_seats_are_those_of_the_model(self):
        show, taken = self.world.show.pk, self.model.taken
        free = TOTAL_SEATS - len(taken)
        told = {
            "show_id": show,
            "total_seats": TOTAL_SEATS,
            "available_seats": free,
            "taken": taken,
        }
        anybody = self.world.customers[0]
        assert anybody.get(f"/api/shows/{show}/seats/").json() == told
        assert anybody.get(f"/api/shows/{show}/").json()["available_seats"] == free

    @invariant()
    def bookings_read_as_those_of_the_model(self):
        """What every list and detail is made of; the lists themselves at the end, because they take
        longest.
        """
        told = [
            self._told(asdict(booking))
            for booking in snapshots.bookings(snapshots.booking_rows().order_by("id"))
        ]
        assert told == [self._wanted(sale) for sale in self.model.sales]

    def teardown(self):
        for number, customer in enumerate(self.world.customers):
            items = customer.get("/api/my-bookings/?limit=100").json()["items"]
            own = [sale for sale in reversed(self.model.sales) if sale.customer == number]
            assert [self._told(item) for item in items] == [self._wanted(sale) for sale in own]

    @invariant()
    def events_are_those_of_the_model(self):
        stories = defaultdict(list)
        for booking, kind in BookingEvent.objects.order_by("id").values_list("booking", "kind"):
            stories[booking].append(kind)
        assert stories == {sale.id: sale.story for sale in self.model.sales}

    def _sell(self, verb, customer, seats, keyed):
        path = f"/api/shows/{self.world.show.pk}/{verb}/"
        response = self._call(customer, path, {"seat_numbers": seats[::-1]}, keyed)
        status, told = getattr(self.model, verb)(customer, seats)
        if status == 201:
            told.id = response.json().get("id", 0)
        self._judge(verb, response, status, told)

    def _sale(self, which) -> Sale:
        return self.model.sales[-1 - which % len(self.model.sales)]

    def _settle(self, verb, sale, stranger, keyed):
        customer = 1 - sale.customer if stranger else sale.customer
        response = self._call(customer, f"/api/bookings/{sale.id}/{verb}/", None, keyed)
        self._judge(verb, response, *getattr(self.model, verb)(customer, sale))

    def _call(self, customer, path, body, keyed):
        key = {"Idempotency_Key": f"key {len(self.answered)} {path}"} if keyed else {}
        response = self.world.customers[customer].post(path, body, **key)
        if keyed and response.status_code < 300:
            self.answered.append(
                (customer, path, body, *key.values(), response.status_code, response.content)
            )
        return response

    def _judge(self, verb, response, status, told):
        self.world.answers[verb].add(told if isinstance(told, str) else status)
        if isinstance(told, str):
            assert refusal(response) == (status, told)
        else:
            assert (response.status_code, self._told(response.json())) == (
                status,
                self._wanted(told),
            )

    def _told(self, booking):
        left = booking["expires_in_seconds"]
        return booking["id"], booking["seat_numbers"], booking["status"], left and -(-left // 25)

    def _wanted(self, sale: Sale):
        """The time that is left counts in 25 s, which no example takes."""
        status = sale.status(self.model.now)
        return (
            sale.id,
            sale.seats,
            status,
            (sale.ends - self.model.now) // 25 if status == "pending" else None,
        )


def check(world: World, examples: int, steps: int, **how) -> None:
    run_state_machine_as_test(
        lambda: BoxOffice(world),
        settings=profile(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=core.global_force_seed is None,
            database=None,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


@pytest.fixture
def world(settings):
    settings.HOLD_SECONDS = HOLD_SECONDS
    world = World(TOTAL_SEATS)
    yield world
    world.redis_returns()
    world.nobody.close()


def test_the_api_is_the_model(world, each_way):
    check(world, EXAMPLES // len(WAYS), STEPS)

    if IN_CI[0] == EXAMPLES:
        assert world.answers == EVERY_ANSWER


def stale_counts_as_taken(monkeypatch):
    def refuse(show, seats, own):
        if BookingSeat.objects.filter(show=show, seat_number__in=seats, taken=True).exists():
            raise SeatTaken

    monkeypatch.setattr(step_by_step, "_refuse_taken", refuse)
    never_stale = one_statement.SALE.replace("held_until <= statement_timestamp()", "false")
    monkeypatch.setattr(one_statement, "SALE", never_stale)


def a_cancel_leaves_taken(monkeypatch):
    update = SeatQuerySet.update
    monkeypatch.setattr(
        SeatQuerySet, "update", lambda rows, **new: new == {"taken": None} or update(rows, **new)
    )


def a_repeat_is_a_new_request(monkeypatch):
    monkeypatch.setattr(idempotency, "claim", lambda *_: True)


def a_cancel_leaves_the_mark(monkeypatch):
    monkeypatch.setattr(seat_locks, "give_back", lambda *_: None)


def a_hold_outlives_the_start(monkeypatch):
    monkeypatch.setattr(
        Show, "save", lambda show: Show.objects.filter(pk=show.pk).update(date_time=show.date_time)
    )


@pytest.mark.parametrize(
    "broken",
    [
        stale_counts_as_taken,
        a_cancel_leaves_taken,
        a_repeat_is_a_new_request,
        a_cancel_leaves_the_mark,
        a_hold_outlives_the_start,
    ],
)
def test_control_a_broken_rule_is_found(world, monkeypatch, broken):
    broken(monkeypatch)

    with pytest.raises(AssertionError):
        check(world, 60, 30, phases=[Phase.generate])
