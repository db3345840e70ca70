"""A deed at the seat map is done once, told as it was, and logged if it changed anything."""

import threading

import pytest
from django.contrib.admin.models import LogEntry

from cinema.errors import BookingClosed, HoldExpired
from cinema.people.caller import Caller
from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent
from tests.staff.counter.test_seat_map import logged, post, seats_page
from tests.support.factories import a_booking, a_caller, a_customer, a_hold, a_show, make_stale
from tests.support.racing import race
from tests.support.staff import (
    BOX_OFFICE,
    act,
    cancel,
    logged_in,
    page,
    sentences,
    staff,
    superuser,
)
from tests.support.suite.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def asked(client, show: Show, do: str, **data) -> dict:
    """The form of the question."""
    response = post(client, show, do, confirmed=False, **data)
    return response.context["fields"] | {"confirmed": "yes"}


def answer(client, show: Show, form: dict) -> list[str]:
    return sentences(client.post(seats_page(show), form, follow=True))


def at_once(clients: list, url: str, form: dict) -> list[list[str]]:
    """What each is told who sends the form. Looked up afterwards: a test's client hears of every
    thread's pages.
    """
    race(*[lambda client=client: client.post(url, form) for client in clients])
    return sorted(sentences(client.get(page("booking_changelist"))) for client in clients)


# Sold once


def test_a_sale_that_is_sent_twice_is_one_and_told_twice():
    show, client = a_show(), staff(BOX_OFFICE)
    form = asked(client, show, "sell", seats="5, 6")

    told = [answer(client, show, form) for _ in range(2)]

    booking = Booking.objects.get()
    assert told == [[f"Booked: {booking.reference}, seats 5, 6."]] * 2
    assert logged() == [
        (client.user, str(booking.pk), "Sold at the counter: seats 5, 6, to walk-in.")
    ]
    assert answer(client, show, asked(client, show, "sell", seats="5, 6")) == [
        "Taken: 5, 6. Choose other seats."
    ]


def test_a_double_click_is_one_sale():
    show, clerk = a_show(), staff(BOX_OFFICE).user
    windows = [logged_in(clerk) for _ in range(2)]
    form = asked(windows[0], show, "sell", seats="5")

    told = at_once(windows, seats_page(show), form)

    assert told == [[f"Booked: {Booking.objects.get().reference}, seat 5."]] * 2
    assert LogEntry.objects.count() == 1


def test_another_question_sells_to_the_next_walk_in():
    show, client = a_show(), staff(BOX_OFFICE)
    forms = [asked(client, show, "sell", seats=seat) for seat in ("5", "6")]

    for form in forms:
        answer(client, show, form)

    assert [booking.seat_numbers for booking in Booking.objects.order_by("pk")] == [[5], [6]]


@pytest.mark.parametrize("once", ["", "ü", "a\0b", "x" * 256])
def test_an_odd_mark_of_a_question_sells_nothing(once):
    show, client = a_show(), staff(BOX_OFFICE)

    (told,) = answer(client, show, asked(client, show, "sell", seats="5") | {"once": once})

    assert "must be 1 to 255 printable" in told
    assert not Booking.objects.exists()


@pytest.mark.parametrize("change", [{"seats": "6"}, {"customer": "mia"}])
def test_the_mark_of_one_sale_is_not_good_for_another(change):
    show, client, _ = a_show(), staff(BOX_OFFICE), a_customer("mia")
    form = asked(client, show, "sell", seats="5")
    answer(client, show, form)

    (told,) = answer(client, show, form | change)

    assert "was used for another request" in told
    assert [booking.seat_numbers for booking in Booking.objects.all()] == [[5]]
    assert User.objects.get(username="mia").bookings.count() == 0


# Ended before


def ended(booking: Booking, caller: Caller) -> str:
    """Cancel it, and say what a clerk reads of it from then on."""
    bookings.cancel(caller, booking.pk)
    return f"{booking}: it was cancelled before."


def run_out(booking: Booking, _caller: Caller) -> str:
    make_stale(booking)
    return HoldExpired.detail


def swept(booking: Booking, caller: Caller) -> str:
    told = run_out(booking, caller)
    bookings.expire_stale()
    return told


@pytest.mark.parametrize("end", [ended, run_out, swept])
def test_what_has_ended_is_not_asked_about_done_or_logged_again(end):
    caller, client = a_caller(), staff(BOX_OFFICE)
    hold = a_hold(caller)
    form = asked(client, hold.show, "cancel", booking=hold.pk)
    sentence = end(hold, caller)
    events = BookingEvent.objects.count()

    again = post(client, hold.show, "cancel", confirmed=False, booking=hold.pk)
    late = post(client, hold.show, "cancel", booking=hold.pk)

    assert (sentences(again), sentences(late)) == ([sentence], [sentence])
    assert answer(client, hold.show, form) == [sentence]
    assert again.context["picked"]["booking"] == hold
    assert (BookingEvent.objects.count(), logged()) == (events, [])


@pytest.fixture
def together(monkeypatch):
    """Two clerks have read what they change before the first of them changes it."""

    def meet(name: str) -> None:
        change, both_read = getattr(bookings, name), threading.Barrier(2)
        monkeypatch.setattr(
            bookings,
            name,
            lambda *who, **what: (both_read.wait(PATIENCE_SECONDS), change(*who, **what))[1],
        )

    return meet


def test_of_two_clerks_who_cancel_at_once_one_is_logged(together):
    booking = a_booking()
    together("cancel")

    form = {"do": "cancel", "booking": booking.pk, "confirmed": "yes"}
    told = at_once([superuser(), superuser()], seats_page(booking.show), form)

    assert told == sorted([[f"Cancelled: {booking}."], [f"{booking}: it was cancelled before."]])
    assert [message for *_, message in logged()] == ["Cancelled."]


def test_of_two_clerks_who_cancel_from_the_list_at_once_one_is_logged(together):
    booking = a_booking()
    together("cancel")

    form = {"action": "cancel", "_selected_action": booking.pk, "confirmed": "yes"}
    told = at_once([superuser(), superuser()], page("booking_changelist"), form)

    before = f"{booking}: it was cancelled before."
    assert told == sorted([[f"Cancelled: {booking}."], [before, "Cancelled: none."]])
    assert [message for *_, message in logged()] == ["Cancelled."]


@pytest.mark.parametrize("clerks", [2, 1])
def test_of_two_calls_that_cancel_a_show_at_once_one_is_logged(together, monkeypatch, clerks):
    show, clerk = a_show(), superuser()
    other = superuser() if clerks == 2 else logged_in(clerk.user)
    together("cancel_show")

    told = at_once([clerk, other], seats_page(show), {"do": "cancel_show", "confirmed": "yes"})

    assert told == [
        ["The show is cancelled: nothing of it is sold from now on."],
        ["The show was cancelled before."],
    ]
    assert [message for *_, message in logged()] == ["The whole show cancelled."]
    monkeypatch.undo()
    assert sentences(post(superuser(), show, "cancel_show", confirmed=False)) == [
        "The show was cancelled before."
    ]


# Changed since it was looked at


@pytest.fixture
def confirmed_meanwhile(monkeypatch):
    """Between what a clerk has read and what he does, the customer confirms."""

    def meanwhile(caller: Caller, hold: Booking) -> None:
        change = bookings.cancel

        def late(*who, **what):
            bookings.confirm(caller, hold.pk)
            return change(*who, **what)

        monkeypatch.setattr(bookings, "cancel", late)

    return meanwhile


CHANGED = "It is booked since you looked at it. Nothing was cancelled: look again."


def test_a_hold_that_is_confirmed_while_it_is_being_freed_stays_booked(confirmed_meanwhile):
    caller, client = a_caller(), staff(BOX_OFFICE)
    hold = a_hold(caller)
    form = asked(client, hold.show, "cancel", booking=hold.pk)
    confirmed_meanwhile(caller, hold)

    assert answer(client, hold.show, form) == [CHANGED]
    assert (Booking.objects.get().status, logged()) == ("booked", [])


def test_a_hold_that_is_confirmed_while_a_list_is_being_cancelled_stays_booked(confirmed_meanwhile):
    caller, client = a_caller(), staff(BOX_OFFICE)
    hold = a_hold(caller)
    confirmed_meanwhile(caller, hold)

    assert sentences(cancel(client, hold)) == [f"{hold}: {CHANGED}", "Cancelled: none."]
    assert (Booking.objects.get().status, logged()) == ("booked", [])


def test_a_hold_that_is_confirmed_since_the_list_was_asked_about_stays_booked():
    caller, client = a_caller(), staff(BOX_OFFICE)
    hold, booking = a_hold(caller), a_booking()
    seen = act(client, "booking", "cancel", hold, booking).context["fields"]
    del seen["action"]
    bookings.confirm(caller, hold.pk)

    told = sentences(act(client, "booking", "cancel", hold, booking, **seen, confirmed="yes"))

    assert told == [f"{hold}: {CHANGED}", f"Cancelled: {booking}."]
    assert set(Booking.objects.values_list("pk", "status")) == {
        (hold.pk, "booked"),
        (booking.pk, "cancelled"),
    }
    assert sentences(cancel(client, hold)) == [f"Cancelled: {hold}."]


def test_who_has_seen_no_status_cancels_what_there_is():
    """The API's call, which names none."""
    caller = a_caller()
    hold = a_hold(caller)
    bookings.confirm(caller, hold.pk)

    with pytest.raises(BookingClosed):
        bookings.cancel(caller, hold.pk, seen="pending")
    assert bookings.cancel(caller, hold.pk).booking.status == "cancelled"
