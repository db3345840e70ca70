"""The core, as every room calls it: book, whose booking it is, and what is not sold."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from cinema.errors import (
    NotFound,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    TokenInvalid,
)
from cinema.people.models import AuthSession, User
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.support.factories import a_booking, a_caller, a_hold, a_show
from tests.support.rows import history, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


def test_book_takes_the_seat_and_owes_a_mail():
    caller, show = a_caller(), a_show()

    told = bookings.book(caller, show.pk, [5]).booking

    assert (told.status, told.seat_number, told.seat_numbers) == ("booked", 5, [5])
    assert told.expires_at is None
    assert taken(show) == [5]
    event = BookingEvent.objects.get(booking=told.id)
    assert (event.kind, event.actor_id, event.mail_state) == ("booked", caller.user_id, "owed")


def test_a_group_is_booked_sorted_and_whole():
    show = a_show()

    told = bookings.book(a_caller(), show.pk, [9, 3, 7]).booking

    assert told.seat_numbers == [3, 7, 9]
    assert told.seat_number == 3
    assert list(BookingSeat.objects.order_by("id").values_list("seat_number", flat=True)) == [
        3,
        7,
        9,
    ]


def test_a_taken_seat_is_refused_with_its_number_and_nothing_changes():
    show = a_show()
    a_booking(show=show, seats=(5,))

    with pytest.raises(SeatTaken) as refused:
        bookings.book(a_caller(), show.pk, [4, 5, 6])

    assert refused.value.extra == {"seats": [5]}
    assert taken(show) == [5]
    assert Booking.objects.count() == 1


@pytest.mark.parametrize("seats", [[101], [1, 101], [0]])
def test_a_seat_outside_the_hall_is_refused(seats):
    show = a_show(total_seats=100)

    with pytest.raises(SeatOutOfRange):
        bookings.book(a_caller(), show.pk, seats)

    assert not Booking.objects.exists()


def test_the_last_seat_can_be_booked():
    show = a_show(total_seats=100)

    assert bookings.book(a_caller(), show.pk, [100]).created


def test_an_unknown_show_is_not_found():
    with pytest.raises(NotFound):
        bookings.book(a_caller(), 999, [1])


@pytest.mark.parametrize("verb", [bookings.book, bookings.hold])
def test_nothing_is_sold_after_the_start(verb):
    show = a_show(starts_in=timedelta(seconds=-1))

    with pytest.raises(ShowStarted):
        verb(a_caller(), show.pk, [1])

    assert not Booking.objects.exists()


@pytest.mark.parametrize("verb", [bookings.book, bookings.hold])
def test_nothing_is_sold_of_a_cancelled_show(verb):
    show = a_show(cancelled_at=timezone.now())

    with pytest.raises(ShowCancelled):
        verb(a_caller(), show.pk, [1])

    assert not Booking.objects.exists()


@pytest.mark.parametrize("verb", [bookings.confirm, bookings.cancel])
def test_another_customers_booking_is_not_found(verb):
    hold = a_hold()

    with pytest.raises(NotFound):
        verb(a_caller(), hold.pk)

    hold.refresh_from_db()
    assert hold.status == "pending"


@pytest.mark.parametrize(
    "end",
    [
        lambda caller: AuthSession.objects.filter(pk=caller.session_id).update(
            revoked_at=timezone.now()
        ),
        lambda caller: AuthSession.objects.filter(pk=caller.session_id).update(expires_at=Now()),
        lambda caller: AuthSession.objects.filter(pk=caller.session_id).delete(),
        lambda caller: User.objects.filter(pk=caller.user_id).update(is_active=False),
    ],
    ids=["revoked", "run out", "purged", "inactive"],
)
@pytest.mark.parametrize("verb", ["book", "hold", "confirm", "cancel"])
def test_an_ended_login_changes_nothing(verb, end):
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show, (5,))
    end(caller)

    with pytest.raises(TokenInvalid):
        getattr(bookings, verb)(
            caller, *((show.pk, [6]) if verb in {"book", "hold"} else (hold.pk,))
        )

    assert taken(show) == [5]
    assert history(hold.pk) == ["held"]


def test_a_change_moves_updated_at():
    caller = a_caller()
    booking = a_booking(caller)

    bookings.cancel(caller, booking.pk)

    assert Booking.objects.filter(pk=booking.pk, updated_at__gt=F("created_at")).exists()
