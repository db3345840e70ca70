"""Marks of booked seats: the crowd is refused without the database, and never after a cancel has
answered.
"""

import time
from contextlib import suppress

import pytest
from django_redis import get_redis_connection

from cinema.errors import HoldLimit, SeatTaken, TokenInvalid
from cinema.infra import redis
from cinema.people import caller as callers
from cinema.people import logins, tokens
from cinema.people.models import AuthSession
from cinema.sales import bookings, seat_locks
from cinema.sales.idempotency import key_from
from cinema.sales.models import Booking
from tests.support.factories import a_booking, a_caller, a_hold, a_show

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


def marked(show) -> set[str]:
    redis.call("PING")  # behind a release, for which nobody waited
    return {key.decode() for key in get_redis_connection("default").keys(f"seat-mark:{show.pk}:*")}


def refuse(caller, show, seats=(5,), key=None) -> SeatTaken:
    with pytest.raises(SeatTaken) as refused:
        bookings.book(caller, show.pk, seats, key)
    return refused.value


@pytest.fixture
def sold_out():
    """A show whose seat 5 is booked, and a customer who was refused it just now."""
    show, seller, caller = a_show(), a_caller(), a_caller()
    booking = a_booking(seller, show, (5,))
    refuse(caller, show)
    return show, seller, caller, booking


def test_the_second_refusal_spares_the_database(sold_out, django_assert_num_queries):
    show, _, caller, _ = sold_out
    assert marked(show) == {seat_locks.mark_key(show.pk, 5)}

    with django_assert_num_queries(0):
        refused = refuse(caller, show)

    assert refused.extra == {"seats": [5]}
    assert refused.detail == "Taken: 5. Choose other seats."


def test_a_mark_lives_a_second(sold_out):
    show, *_ = sold_out

    time.sleep(1.05)

    assert marked(show) == set()


def test_a_sale_sets_no_mark():
    show = a_show()

    a_booking(show=show)

    assert marked(show) == set()


def test_a_cancel_that_has_answered_leaves_no_no(sold_out):
    show, seller, caller, booking = sold_out

    bookings.cancel(seller, booking.pk)

    assert marked(show) == set()
    assert bookings.book(caller, show.pk, [5]).created


def test_a_held_seat_is_never_marked(django_assert_num_queries):
    show, caller = a_show(), a_caller()
    a_hold(show=show, seats=(5,))

    refuse(caller, show)

    assert marked(show) == set()


def test_a_group_with_an_unmarked_seat_asks_the_database(sold_out):
    show, _, caller, _ = sold_out
    a_booking(show=show, seats=(6,))

    assert refuse(caller, show, (5, 6)).extra == {"seats": [5, 6]}
    assert refuse(caller, show, (5, 7)).extra == {"seats": [5]}


def test_a_keyed_request_does_not_ask_the_mark(sold_out):
    show, _, caller, booking = sold_out
    Booking.objects.filter(pk=booking.pk).update(status="cancelled")
    booking.seats.update(taken=None)  # free, and the mark still says no

    key = key_from("k", "POST", "/", {})

    assert refuse(caller, show).extra == {"seats": [5]}
    assert bookings.book(caller, show.pk, [5], key).created


def test_an_ended_login_is_told_so_once_the_database_is_asked(sold_out):
    show, _, caller, _ = sold_out
    AuthSession.objects.filter(pk=caller.session_id).delete()
    callers._seen.clear()  # as a second later

    with pytest.raises(TokenInvalid):
        bookings.book(caller, show.pk, [5])


def test_a_login_that_ended_is_told_so_at_once(sold_out):
    show, _, caller, _ = sold_out
    logins.log_out(tokens.sign(caller.user_id, caller.session_id, "x" * 32)["refresh"])

    with pytest.raises(TokenInvalid):
        bookings.book(caller, show.pk, [5])


def test_a_hold_asks_the_database_for_its_own_refusals(sold_out):
    show, _, caller, _ = sold_out
    a_hold(caller, show, (8,))

    with pytest.raises(HoldLimit):
        bookings.hold(caller, show.pk, [5])


def slow_refusal(show, cancel) -> None:
    """A request that the database refused before the cancel, and that ends behind it."""
    with suppress(SeatTaken), seat_locks.locked(show.pk, [5], user_id=0):
        cancel()
        raise SeatTaken.of([5], sold=[5])


def test_a_slow_refusal_sets_no_mark_behind_a_cancel():
    show, seller = a_show(), a_caller()
    booking = a_booking(seller, show, (5,))

    slow_refusal(show, lambda: bookings.cancel(seller, booking.pk))

    assert marked(show) == set()


def test_control_without_the_count_a_slow_refusal_would_say_no_behind_a_cancel(monkeypatch):
    show, seller = a_show(), a_caller()
    booking = a_booking(seller, show, (5,))
    monkeypatch.setattr(
        seat_locks, "RELEASE", seat_locks.RELEASE.replace("== ARGV[3]", "~= 'never'")
    )

    slow_refusal(show, lambda: bookings.cancel(seller, booking.pk))

    assert marked(show) == {seat_locks.mark_key(show.pk, 5)}
