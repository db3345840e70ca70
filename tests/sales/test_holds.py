"""The core: holds, the stale ones among them, and the sweep that tidies these."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cinema.errors import HoldLimit, SeatTaken
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.support.factories import a_booking, a_caller, a_hold, a_show, make_stale
from tests.support.rows import history, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


def test_hold_keeps_the_seat_for_hold_seconds_and_owes_no_mail(settings):
    settings.HOLD_SECONDS = 100
    show = a_show()

    told = bookings.hold(a_caller(), show.pk, [5]).booking

    assert told.status == "pending"
    assert 98 <= told.expires_in_seconds <= 100
    assert taken(show) == [5]
    assert BookingEvent.objects.get().mail_state == "none"
    assert BookingSeat.objects.get().held_until == Booking.objects.get().expires_at


def test_a_hold_never_outlives_the_start(settings):
    settings.HOLD_SECONDS = 600
    show = a_show(starts_in=timedelta(seconds=60))

    hold = a_hold(show=show)

    assert abs(hold.expires_at - show.date_time) < timedelta(milliseconds=1)


def test_the_same_hold_again_is_the_same_hold():
    caller, show = a_caller(), a_show()
    first = bookings.hold(caller, show.pk, [5, 6])

    again = bookings.hold(caller, show.pk, [6, 5])

    assert first.created
    assert not again.created
    assert again.booking.id == first.booking.id
    assert again.booking.expires_at == first.booking.expires_at
    assert history(first.booking.id) == ["held"]


def test_other_seats_are_refused_while_a_hold_lives():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show, (5,))

    with pytest.raises(HoldLimit) as refused:
        bookings.hold(caller, show.pk, [5, 6])

    assert refused.value.extra == {"booking_id": hold.pk}
    assert taken(show) == [5]


def test_a_customer_holds_seats_of_two_shows():
    caller = a_caller()

    a_hold(caller, a_show())
    a_hold(caller, a_show())

    assert Booking.objects.live().count() == 2


def test_booking_ones_own_held_seat_names_the_booking_to_confirm():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show, (5,))

    with pytest.raises(SeatTaken) as refused:
        bookings.book(caller, show.pk, [5])

    assert refused.value.extra == {"seats": [5], "booking_id": hold.pk}
    assert str(hold.pk) in refused.value.detail


def test_booking_other_seats_beside_ones_own_hold_is_fine():
    caller, show = a_caller(), a_show()
    a_hold(caller, show, (5,))

    bookings.book(caller, show.pk, [6])

    assert taken(show) == [5, 6]


def test_a_stale_hold_is_taken_over_at_once():
    show = a_show()
    stale = make_stale(a_hold(show=show, seats=(5, 6)))

    assert taken(show) == []
    told = bookings.book(a_caller(), show.pk, [6]).booking

    stale.refresh_from_db()
    assert stale.status == "expired"
    assert history(stale.pk) == ["held", "expired"]
    assert taken(show) == [6]
    assert told.status == "booked"


def test_ones_own_stale_hold_is_taken_over_whatever_its_seats():
    caller, show = a_caller(), a_show()
    stale = make_stale(a_hold(caller, show, (5,)))

    fresh = bookings.hold(caller, show.pk, [7, 8])

    stale.refresh_from_db()
    assert stale.status == "expired"
    assert fresh.created
    assert taken(show) == [7, 8]


def test_a_stale_hold_of_other_seats_is_left_to_the_sweep():
    show = a_show()
    stale = make_stale(a_hold(show=show, seats=(5,)))

    a_booking(show=show, seats=(6,))

    stale.refresh_from_db()
    assert stale.status == "pending"


def test_expire_stale_tidies_in_batches_and_spares_the_living():
    show = a_show()
    stale = [make_stale(a_hold(show=show, seats=(seat,))) for seat in (1, 2, 3)]
    living = a_hold(show=show, seats=(4,))

    assert [
        bookings.expire_stale(limit=2),
        bookings.expire_stale(limit=2),
        bookings.expire_stale(limit=2),
    ] == [2, 1, 0]

    assert {Booking.objects.get(pk=hold.pk).status for hold in stale} == {"expired"}
    assert history(stale[0].pk) == ["held", "expired"]
    assert taken(show) == [4]
    living.refresh_from_db()
    assert living.status == "pending"


def test_a_hold_never_outlives_the_start_of_a_show_that_is_moved():
    show = a_show()
    hold = a_hold(show=show)
    show.date_time = timezone.now() + timedelta(seconds=30)

    show.save()

    hold.refresh_from_db()
    assert hold.expires_at == hold.seats.get().held_until == show.date_time
