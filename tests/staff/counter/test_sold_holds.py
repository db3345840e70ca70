"""A clerk sells what a customer holds: by the API's confirm, after a question, at the seat map."""

from datetime import timedelta

import pytest

from cinema.errors import BookingClosed, ShowCancelled, ShowStarted
from cinema.people.caller import Caller
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent
from tests.staff.counter.test_actions import answer, asked, run_out, swept
from tests.staff.counter.test_seat_map import logged, post, seats_page
from tests.support.factories import a_caller, a_clerk, a_customer, a_hold, move_start
from tests.support.staff import BOX_OFFICE, sentences, staff

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_hold_is_sold_after_a_question():
    mia, client = a_customer("mia"), staff(BOX_OFFICE)
    hold = a_hold(a_caller(mia), seats=(5, 6))
    assert (
        "Sell this hold…"
        in client.get(seats_page(hold.show), {"booking": hold.pk}).content.decode()
    )

    question = post(client, hold.show, "confirm", confirmed=False, booking=hold.pk).content.decode()
    assert "Sell this hold?" in question
    assert f"A mail goes to {mia.email}." in question
    assert (Booking.objects.get().status, logged()) == ("pending", [])
    sold = post(client, hold.show, "confirm", booking=hold.pk)

    assert sentences(sold) == [f"Booked: {hold}, seats 5, 6."]
    assert "Sell this hold…" not in sold.content.decode()
    event = BookingEvent.objects.latest("pk")
    assert (event.booking.status, event.kind) == ("booked", "booked")
    assert (event.actor, event.mail_state) == (client.user, "owed")
    assert logged() == [(client.user, str(hold.pk), "Hold sold at the counter.")]
    assert sentences(post(client, hold.show, "confirm", booking=hold.pk)) == [
        f"{hold}: it was booked before."
    ]
    assert len(logged()) == 1


def cancelled(hold: Booking, caller: Caller) -> str:
    bookings.cancel(caller, hold.pk)
    return BookingClosed.detail


def show_gone(hold: Booking, _caller: Caller) -> str:
    bookings.cancel_show(a_clerk(), hold.show_id)
    return ShowCancelled.detail


def started(hold: Booking, _caller: Caller) -> str:
    move_start(hold.show, -timedelta(minutes=1))
    return ShowStarted.detail


@pytest.mark.parametrize("spoil", [cancelled, run_out, swept, show_gone, started])
def test_what_cannot_be_sold_of_a_hold_is_told(spoil):
    caller, client = a_caller(), staff(BOX_OFFICE)
    hold = a_hold(caller)
    form = asked(client, hold.show, "confirm", booking=hold.pk)
    sentence = spoil(hold, caller)

    assert answer(client, hold.show, form) == [sentence]

    assert (
        "Sell this hold…"
        not in client.get(seats_page(hold.show), {"booking": hold.pk}).content.decode()
    )
    assert not Booking.objects.filter(status="booked").exists()
    assert logged() == []


def test_who_may_only_look_sells_no_hold():
    hold, client = a_hold(), staff(["view_show", "view_booking"])

    assert (
        "Sell this hold…"
        not in client.get(seats_page(hold.show), {"booking": hold.pk}).content.decode()
    )
    data = {"do": "confirm", "booking": hold.pk, "confirmed": "yes"}
    assert client.post(seats_page(hold.show), data).status_code == 403
    assert Booking.objects.get().status == "pending"


def test_who_sells_to_a_customer_with_a_hold_is_led_to_it():
    mia, client = a_customer("mia"), staff(BOX_OFFICE)
    hold = a_hold(a_caller(mia))

    refused = post(client, hold.show, "sell", seats="5", customer="mia")

    told = f"This customer holds a seat of these: confirm or cancel booking {hold.pk} ({hold})."
    assert sentences(refused) == [told]
    assert refused.context["picked"]["booking"] == hold
    assert "Sell this hold…" in refused.content.decode()
    assert refused.context["request"].GET["customer"] == "mia"
