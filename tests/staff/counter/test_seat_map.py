"""The seat map: a clerk sells, cancels, and frees holds in the hall, after a question, and by the
API's functions.
"""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_show,
    make_stale,
    move_start,
)
from tests.support.staff import BOX_OFFICE, queries, sentences, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)
KINDS = re.compile(r'<title>Seat (\d+): (\w+)[^<]*</title><path class="(\w+)"')


def seats_page(show: Show) -> str:
    return reverse("admin:cinema_show_seats", args=[show.pk])


def hall(client, show: Show, **query) -> dict[int, str]:
    """What each seat is drawn as."""
    html = client.get(seats_page(show), query).content.decode()
    found = KINDS.findall(html)
    assert all(told == kind for _, told, kind in found)
    assert len(found) == show.total_seats
    return {int(number): kind for number, _, kind in found}


def post(client, show: Show, do: str, *, confirmed: bool = True, **data):
    data |= {"do": do} | ({"confirmed": "yes"} if confirmed else {})
    return client.post(seats_page(show), data, follow=True)


def logged() -> list[tuple]:
    return [
        (row.user, row.object_id, row.get_change_message())
        for row in LogEntry.objects.order_by("pk")
    ]


def test_the_hall_shows_what_is_free_held_and_booked():
    show = a_show(total_seats=12)
    booking, hold = a_booking(show=show, seats=(3, 4)), a_hold(show=show, seats=(5,))
    make_stale(a_hold(show=show, seats=(6,)))
    client = staff(BOX_OFFICE)

    seen = hall(client, show, seats="7,8,3")

    assert {number for number, kind in seen.items() if kind == "booked"} == {3, 4}
    assert {number for number, kind in seen.items() if kind == "held"} == {5}
    assert {number for number, kind in seen.items() if kind == "chosen"} == {7, 8}
    html = client.get(seats_page(show), {"seats": "7"}).content.decode()
    assert f"Seat 3: booked, {booking.reference}, {booking.user.username}" in html
    assert f'href="?seats=7&amp;booking={hold.pk}"' in html
    assert 'href="?seats=7%2C8"' in html
    assert "2 booked, 1 held, 9 free of 12" in html


def test_pressing_a_chosen_seat_gives_it_up_again_without_a_script():
    show = a_show(total_seats=12)

    html = (
        staff(BOX_OFFICE)
        .get(seats_page(show), {"seats": "7,8", "customer": "mia"})
        .content.decode()
    )

    assert '<a href="?seats=8&amp;customer=mia" data-seat="7">' in html


def test_a_sale_asks_first_and_sells_nothing():
    show = a_show()

    response = post(staff(BOX_OFFICE), show, "sell", confirmed=False, seats="6, 5")

    html = response.content.decode()
    assert "Book these seats?" in html
    assert "Seats: 5, 6" in html
    assert 'name="seats" value="5, 6"' in html
    assert "Nobody is mailed" in html
    assert not Booking.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_sale_to_a_walk_in_owes_no_mail_and_names_the_clerk():
    show, client = a_show(), staff(BOX_OFFICE)

    response = post(client, show, "sell", seats="5, 6")

    booking = Booking.objects.get()
    assert sentences(response) == [f"Booked: {booking.reference}, seats 5, 6."]
    assert (booking.user, booking.seat_numbers, booking.status) == (
        User.objects.walk_in(),
        [5, 6],
        "booked",
    )
    event = BookingEvent.objects.get()
    assert (event.actor, event.mail_state) == (client.user, "none")
    assert logged() == [
        (client.user, str(booking.pk), "Sold at the counter: seats 5, 6, to walk-in.")
    ]
    assert booking.reference in response.content.decode()
    assert hall(client, show)[5] == "booked"


def test_one_seat_is_told_as_one():
    show, client = a_show(), staff(BOX_OFFICE)

    response = post(client, show, "sell", seats="5")

    booking = Booking.objects.get()
    assert sentences(response) == [f"Booked: {booking.reference}, seat 5."]
    assert logged() == [(client.user, str(booking.pk), "Sold at the counter: seat 5, to walk-in.")]
    asked = post(client, show, "cancel", confirmed=False, booking=booking.pk)
    assert f"{booking.reference}: walk-in, seat 5<" in asked.content.decode()


@pytest.mark.parametrize("typed", ["mia", "MIA@example.com", " Mia "])
def test_a_sale_to_a_customer_by_name_or_mail(typed):
    mia, show, client = a_customer("mia"), a_show(), staff(BOX_OFFICE)

    post(client, show, "sell", seats="5", customer=typed)

    event = BookingEvent.objects.get()
    assert (event.booking.user, event.actor, event.mail_state) == (mia, client.user, "owed")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"seats": "1"}, "Taken: 1. Choose other seats."),
        ({"seats": "101"}, "This show has the seats 1 to 100."),
        ({"seats": "0"}, "This show has the seats 1 to 100."),
        ({"seats": ""}, "Choose a seat first."),
        ({"seats": "five"}, "Write the seats as numbers, such as 5, 6."),
        ({"seats": "2\0"}, "Write the seats as numbers, such as 5, 6."),
        ({"seats": "9" * 30}, "This show has the seats 1 to 100."),
        ({"seats": "2,3,4,5,6,7,8,9,10,11,12"}, "One booking has at most 10 seats: make several."),
        (
            {"seats": "2", "customer": "nobody"},
            "Nobody has the username or e-mail nobody. Leave it empty for a walk-in.",
        ),
        (
            {"seats": "2", "customer": "gone"},
            "This customer's account is deactivated. Nothing was sold.",
        ),
    ],
)
def test_a_refusal_is_told_and_nothing_that_was_typed_is_lost(typed, sentence):
    show = a_show()
    a_booking(show=show, seats=(1,))
    a_customer("gone", is_active=False)

    response = post(staff(BOX_OFFICE), show, "sell", **typed)

    assert sentences(response) == [sentence]
    assert Booking.objects.count() == 1
    assert not LogEntry.objects.exists()
    assert response.redirect_chain
    for name, value in typed.items():
        assert response.context["request"].GET.get(name, "") == value


def test_a_pressed_booking_is_cancelled_after_a_question():
    booking, client = a_booking(seats=(5, 6)), staff(BOX_OFFICE)
    html = client.get(seats_page(booking.show), {"booking": booking.pk}).content.decode()
    assert booking.reference in html
    assert "Cancel this booking…" in html

    asked = post(client, booking.show, "cancel", confirmed=False, booking=booking.pk)
    assert "Cancel this booking?" in asked.content.decode()
    assert Booking.objects.get().status == "booked"
    done = post(client, booking.show, "cancel", booking=booking.pk)

    assert sentences(done) == [f"Cancelled: {booking.reference}."]
    assert Booking.objects.get().status == "cancelled"
    assert hall(client, booking.show)[5] == "free"
    event = BookingEvent.objects.get(kind="cancelled")
    assert (event.actor, event.mail_state) == (client.user, "owed")
    assert logged() == [(client.user, str(booking.pk), "Cancelled.")]


def test_a_hold_is_freed_after_a_question():
    hold, client = a_hold(seats=(5,)), staff(BOX_OFFICE)
    assert (
        "Free the hold…" in client.get(seats_page(hold.show), {"booking": hold.pk}).content.decode()
    )
    assert (
        "Free this hold?"
        in post(client, hold.show, "cancel", confirmed=False, booking=hold.pk).content.decode()
    )

    done = post(client, hold.show, "cancel", booking=hold.pk)

    assert sentences(done) == [f"Hold freed: {hold.reference}."]
    assert BookingEvent.objects.get(kind="cancelled").mail_state == "none"
    assert logged() == [(client.user, str(hold.pk), "Hold freed.")]
    assert not BookingSeat.objects.live().exists()


def test_what_cannot_be_cancelled_is_told():
    booking, client = a_booking(), staff(BOX_OFFICE)
    move_start(booking.show, -timedelta(hours=1))

    response = post(client, booking.show, "cancel", booking=booking.pk)

    assert sentences(response) == [
        "The show has started, so its bookings can no longer be changed."
    ]
    assert "Cancel this booking…" not in response.content.decode()
    assert "The show has started" in response.content.decode()
    assert Booking.objects.get().status == "booked"


def test_a_booking_of_another_show_is_not_found_here():
    booking, other, client = a_booking(), a_show(), staff(BOX_OFFICE)

    for number in (booking.pk, "9" * 30, "x", ""):
        response = client.post(
            seats_page(other), {"do": "cancel", "booking": number, "confirmed": "yes"}
        )
        assert response.status_code == 404, number
    assert (
        booking.reference
        not in client.get(seats_page(other), {"booking": booking.pk}).content.decode()
    )
    assert Booking.objects.get().status == "booked"


def test_the_picture_is_fetched_alone_with_the_chosen_seats():
    show, client = a_show(total_seats=9), staff(BOX_OFFICE)
    a_booking(show=show, seats=(3,))

    html = client.get(
        reverse("admin:cinema_show_seats_picture", args=[show.pk]), {"seats": "4"}
    ).content.decode()

    assert {number: kind for number, _, kind in KINDS.findall(html) if kind != "free"} == {
        "3": "booked",
        "4": "chosen",
    }
    assert "<html" not in html


def test_customers_are_suggested_from_the_beginning_of_name_and_mail():
    show, client = a_show(), staff(BOX_OFFICE)
    a_customer("mia.wong", first_name="Mia", last_name="Wong")
    a_customer("omia")
    User.objects.walk_in()

    def suggested(term: str) -> list[str]:
        url = reverse("admin:cinema_show_seats_customers", args=[show.pk])
        return [each["value"] for each in client.get(url, {"term": term}).json()["results"]]

    for term in ("mia", "MIA", "mia.wong@ex", "Wong", "wong mia"):
        assert suggested(term) == ["mia.wong"], term
    assert suggested("") == suggested("walk") == suggested("nobody") == []


def test_the_whole_show_is_cancelled_after_a_question_that_names_the_numbers():
    show, caller, client = a_show(), a_caller(), superuser()
    a_booking(caller, show, (1, 2))
    a_booking(caller, show, (3,))
    a_hold(show=show, seats=(4,))

    asked = post(client, show, "cancel_show", confirmed=False).content.decode()
    assert "Bookings: 3, of customers: 2." in asked
    assert Show.objects.get().cancelled_at is None
    done = post(client, show, "cancel_show")

    assert sentences(done) == ["The show is cancelled: nothing of it is sold from now on."]
    assert "0 of 3 bookings are done" in done.content.decode()
    assert logged() == [(client.user, str(show.pk), "The whole show cancelled.")]
    bookings.cancel_bookings_of_cancelled_shows(1)
    assert re.search(r"[12] of 3 bookings are done", client.get(seats_page(show)).content.decode())
    bookings.cancel_bookings_of_cancelled_shows(10)
    assert "3 of 3 bookings are done" in client.get(seats_page(show)).content.decode()
    assert sentences(post(client, show, "sell", seats="9")) == [
        "The show is cancelled, so nothing is sold for it."
    ]


def test_a_show_that_is_not_there_is_not_found():
    client = staff(BOX_OFFICE)

    for number in (10**9, 10**25):
        assert client.get(reverse("admin:cinema_show_seats", args=[number])).status_code == 404


def test_a_full_hall_asks_no_more_than_an_empty_one():
    show, client = a_show(total_seats=300), superuser()
    empty = queries(client, seats_page(show))

    for first in range(1, 300, 10):
        a_booking(show=show, seats=tuple(range(first, first + 10)))

    assert queries(client, seats_page(show)) == empty <= 20


def test_a_hold_that_was_confirmed_since_the_question_is_not_freed_by_its_answer():
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)
    client = staff(BOX_OFFICE)
    asked = post(client, show, "cancel", confirmed=False, booking=hold.pk)
    bookings.confirm(caller, hold.pk)

    again = client.post(seats_page(show), asked.context["fields"] | {"confirmed": "yes"})

    assert (asked.context["title"], again.context["title"]) == (
        "Free this hold?",
        "Cancel this booking?",
    )
    assert Booking.objects.get(pk=hold.pk).status == "booked"
    client.post(seats_page(show), again.context["fields"] | {"confirmed": "yes"})
    assert Booking.objects.get(pk=hold.pk).status == "cancelled"


def test_numbers_without_end_are_not_found_and_not_drawn():
    show, client = a_show(), staff(BOX_OFFICE)

    assert post(client, show, "cancel", booking="9" * 5000).status_code == 404
    assert client.get(seats_page(show), {"booking": "9" * 5000}).status_code == 200
    assert client.get("/admin/cinema/show/abc/to-seats/").status_code == 404
    many = ",".join(map(str, range(1, 200)))
    assert hall(client, show, seats=many)[1] == "free"
    assert "make several" in "".join(sentences(post(client, show, "sell", seats=many)))
