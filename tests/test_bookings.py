"""The core: hold, book, confirm, cancel, expire_stale, as every room calls them."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from cinema import bookings
from cinema.errors import (
    BookingClosed,
    HoldExpired,
    HoldLimit,
    NotFound,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    TokenInvalid,
)
from cinema.logins import Caller
from cinema.models import AuthSession, Booking, BookingEvent, BookingSeat, Show, User
from tests.factories import a_booking, a_caller, a_customer, a_hold, a_show, make_stale, move_start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


def taken(show: Show) -> list[int]:
    live = BookingSeat.objects.live().filter(show=show)
    return sorted(live.values_list("seat_number", flat=True))


def history(booking_id: int) -> list[str]:
    return list(BookingEvent.objects.filter(booking=booking_id).order_by("id").values_list("kind", flat=True))


def test_book_takes_the_seat_and_owes_a_mail():
    caller, show = a_caller(), a_show()

    told = bookings.book(caller, show.pk, [5]).booking

    assert (told["status"], told["seat_number"], told["seat_numbers"]) == ("booked", 5, [5])
    assert told["expires_at"] is None
    assert taken(show) == [5]
    event = BookingEvent.objects.get(booking=told["id"])
    assert (event.kind, event.actor_id, event.mail_state) == ("booked", caller.user_id, "owed")


def test_a_group_is_booked_sorted_and_whole():
    show = a_show()

    told = bookings.book(a_caller(), show.pk, [9, 3, 7]).booking

    assert told["seat_numbers"] == [3, 7, 9]
    assert told["seat_number"] == 3
    assert list(BookingSeat.objects.order_by("id").values_list("seat_number", flat=True)) == [3, 7, 9]


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


def test_hold_keeps_the_seat_for_hold_seconds_and_owes_no_mail(settings):
    settings.HOLD_SECONDS = 100
    show = a_show()

    told = bookings.hold(a_caller(), show.pk, [5]).booking

    assert told["status"] == "pending"
    assert 98 <= told["expires_in_seconds"] <= 100
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
    assert again.booking["id"] == first.booking["id"]
    assert again.booking["expires_at"] == first.booking["expires_at"]
    assert history(first.booking["id"]) == ["held"]


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
    assert told["status"] == "booked"


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


def test_confirm_makes_it_booked_and_owes_the_mail():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)

    told = bookings.confirm(caller, hold.pk).booking

    assert (told["status"], told["expires_at"], told["expires_in_seconds"]) == ("booked", None, None)
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

    assert (told["status"], told["seat_numbers"]) == ("cancelled", [5, 6])
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


@pytest.mark.parametrize("verb", [bookings.confirm, bookings.cancel])
def test_another_customers_booking_is_not_found(verb):
    hold = a_hold()

    with pytest.raises(NotFound):
        verb(a_caller(), hold.pk)

    hold.refresh_from_db()
    assert hold.status == "pending"


def test_staff_cancel_for_a_customer_and_are_named():
    clerk, booking = a_customer(is_staff=True), a_booking()

    bookings.cancel(Caller(clerk.pk, staff=True), booking.pk)

    assert BookingEvent.objects.get(kind="cancelled").actor == clerk


@pytest.mark.parametrize(
    "end",
    [
        lambda caller: AuthSession.objects.filter(pk=caller.session_id).update(revoked_at=timezone.now()),
        lambda caller: AuthSession.objects.filter(pk=caller.session_id).update(expires_at=timezone.now()),
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
        getattr(bookings, verb)(caller, *((show.pk, [6]) if verb in {"book", "hold"} else (hold.pk,)))

    assert taken(show) == [5]
    assert history(hold.pk) == ["held"]


def test_expire_stale_tidies_in_batches_and_spares_the_living():
    show = a_show()
    stale = [make_stale(a_hold(show=show, seats=(seat,))) for seat in (1, 2, 3)]
    living = a_hold(show=show, seats=(4,))

    assert [bookings.expire_stale(limit=2), bookings.expire_stale(limit=2), bookings.expire_stale(limit=2)] == [2, 1, 0]

    assert {Booking.objects.get(pk=hold.pk).status for hold in stale} == {"expired"}
    assert history(stale[0].pk) == ["held", "expired"]
    assert taken(show) == [4]
    living.refresh_from_db()
    assert living.status == "pending"


def test_a_change_moves_updated_at():
    caller = a_caller()
    booking = a_booking(caller)

    bookings.cancel(caller, booking.pk)

    assert Booking.objects.filter(pk=booking.pk, updated_at__gt=F("created_at")).exists()


def test_a_hold_never_outlives_the_start_of_a_show_that_is_moved():
    show = a_show()
    hold = a_hold(show=show)
    show.date_time = timezone.now() + timedelta(seconds=30)

    show.save()

    hold.refresh_from_db()
    assert hold.expires_at == hold.seats.get().held_until == show.date_time
