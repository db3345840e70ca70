"""The core: confirm and cancel, once, again, and too late."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cinema.errors import BookingClosed, HoldExpired, ShowCancelled, ShowStarted
from cinema.people.caller import Caller
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import BookingEvent, BookingSeat
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_show,
    make_stale,
    move_start,
)
from tests.support.rows import history, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


def test_confirm_makes_it_booked_and_owes_the_mail():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)

    told = bookings.confirm(caller, hold.pk).booking

    assert (told.status, told.expires_at, told.expires_in_seconds) == (
        "booked",
        None,
        None,
    )
    assert history(hold.pk) == ["held", "booked"]
    assert BookingEvent.objects.get(kind="booked").mail_state == "owed"
    assert BookingSeat.objects.get().held_until is None


def test_confirm_again_is_the_same():
    caller = a_caller()
    hold = a_hold(caller)
    first = bookings.confirm(caller, hold.pk)

    assert bookings.confirm(caller, hold.pk) == first._replace(ended="same")
    assert history(hold.pk) == ["held", "booked"]


@pytest.mark.parametrize("verb", [bookings.confirm, bookings.cancel])
@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_hold_can_be_neither_confirmed_nor_cancelled(verb, swept):
    caller = a_caller()
    hold = make_stale(a_hold(caller))
    if swept:
        assert bookings.expire_stale() == 1

    with pytest.raises(HoldExpired):
        verb(caller, hold.pk)

    hold.refresh_from_db()
    assert hold.status == ("expired" if swept else "pending")


def test_a_cancelled_booking_cannot_be_confirmed():
    caller = a_caller()
    hold = a_hold(caller)
    bookings.cancel(caller, hold.pk)

    with pytest.raises(BookingClosed):
        bookings.confirm(caller, hold.pk)


def test_cancel_gives_the_seat_back_and_keeps_the_history():
    caller, show = a_caller(), a_show()
    booking = a_booking(caller, show, (5, 6))

    told = bookings.cancel(caller, booking.pk).booking

    assert (told.status, told.seat_numbers) == ("cancelled", [5, 6])
    assert taken(show) == []
    assert history(booking.pk) == ["booked", "cancelled"]
    assert BookingEvent.objects.get(kind="cancelled").mail_state == "owed"


def test_cancelling_a_hold_owes_no_mail():
    caller = a_caller()
    hold = a_hold(caller)

    bookings.cancel(caller, hold.pk)

    assert {event.mail_state for event in hold.events.all()} == {"none"}


def test_cancel_again_is_the_same():
    caller = a_caller()
    booking = a_booking(caller)
    first = bookings.cancel(caller, booking.pk)

    assert bookings.cancel(caller, booking.pk) == first._replace(ended="same")
    assert history(booking.pk) == ["booked", "cancelled"]


def test_a_seat_can_be_sold_and_given_back_any_number_of_times():
    show, callers = a_show(), [a_caller(), a_caller()]

    for turn in range(6):
        booking = a_booking(callers[turn % 2], show, (5,))
        assert taken(show) == [5]
        bookings.cancel(callers[turn % 2], booking.pk)

    assert taken(show) == []
    assert BookingSeat.objects.filter(seat_number=5, taken=None).count() == 6


def test_after_the_start_nothing_is_cancelled():
    caller, show = a_caller(), a_show()
    booking = a_booking(caller, show)
    move_start(show, timedelta(seconds=-1))

    with pytest.raises(ShowStarted):
        bookings.cancel(caller, booking.pk)

    assert taken(show) == [5]


def test_after_the_start_no_hold_is_confirmed():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)
    move_start(show, timedelta(seconds=-1))

    with pytest.raises(ShowStarted):
        bookings.confirm(caller, hold.pk)


def test_confirming_a_hold_of_a_cancelled_show_is_refused():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)
    Show.objects.filter(pk=show.pk).update(cancelled_at=timezone.now())

    with pytest.raises(ShowCancelled):
        bookings.confirm(caller, hold.pk)


def test_staff_cancel_for_a_customer_and_are_named():
    clerk, booking = a_customer(is_staff=True), a_booking()

    bookings.cancel(Caller(clerk.pk, staff=True), booking.pk)

    assert BookingEvent.objects.get(kind="cancelled").actor == clerk
