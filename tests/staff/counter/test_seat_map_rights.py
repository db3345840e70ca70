"""Who may do what at the seat map: each deed has its permission, and nobody sees more than that."""

import pytest
from django.test import Client
from django.urls import reverse

from cinema.programme.models import Show
from cinema.sales.models import Booking
from tests.staff.counter.test_seat_map import seats_page
from tests.support.factories import a_booking, a_customer, a_show
from tests.support.staff import BOX_OFFICE, PROGRAMME, staff

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_may_only_look_sells_and_cancels_nothing():
    booking, client = a_booking(), staff(["view_show", "view_booking"])
    html = client.get(
        seats_page(booking.show), {"booking": booking.pk, "seats": "7"}
    ).content.decode()

    assert 'name="do"' not in html
    for data in (
        {"do": "sell", "seats": "7"},
        {"do": "cancel", "booking": booking.pk},
        {"do": "cancel_show"},
        {},
    ):
        assert (
            client.post(seats_page(booking.show), data | {"confirmed": "yes"}).status_code == 403
        ), data
    assert Booking.objects.get().status == "booked"


def test_who_may_not_see_bookings_learns_nothing_of_them_in_the_hall():
    booking, client = a_booking(seats=(5,)), staff(PROGRAMME)

    html = client.get(seats_page(booking.show), {"booking": booking.pk}).content.decode()

    assert "Seat 5: booked</title>" in html
    assert booking.reference not in html
    assert booking.user.username not in html
    assert (
        client.get(reverse("admin:cinema_show_seats_customers", args=[booking.show_id])).status_code
        == 403
    )
    for name in ("seats", "seats_picture"):
        url = reverse(f"admin:cinema_show_{name}", args=[booking.show_id])
        assert staff(["view_booking", "change_booking"]).get(url).status_code == 403, name
        assert Client().get(url).status_code == 302, name


def test_who_may_not_see_customers_is_suggested_none_and_asks_for_none():
    show, suggest = a_show(), "data-suggest="
    sells = ["view_show", "view_booking", "change_booking"]

    pages = [
        staff(more + sells).get(seats_page(show)).content.decode() for more in ([], ["view_user"])
    ]

    assert [('id="customer"' in html, suggest in html) for html in pages] == [
        (True, False),
        (True, True),
    ]


def test_the_box_office_does_not_cancel_a_whole_show():
    show, client = a_show(), staff(BOX_OFFICE)

    assert "Cancel the show…" not in client.get(seats_page(show)).content.decode()
    assert (
        client.post(seats_page(show), {"do": "cancel_show", "confirmed": "yes"}).status_code == 403
    )
    assert Show.objects.get().cancelled_at is None


def test_a_sale_wants_a_post_that_comes_from_our_own_page():
    show, client = a_show(), staff(BOX_OFFICE)
    client.handler.enforce_csrf_checks = True

    response = client.post(seats_page(show), {"do": "sell", "seats": "5", "confirmed": "yes"})

    assert response.status_code == 403
    assert (
        client.get(seats_page(show), {"do": "sell", "seats": "5", "confirmed": "yes"}).status_code
        == 200
    )
    assert not Booking.objects.exists()


def test_who_may_not_see_customers_sells_to_one_without_learning_the_mail():
    mia, show = a_customer("mia"), a_show()
    data = {"do": "sell", "seats": "5", "customer": "mia"}

    html = staff(["view_show", "change_booking"]).post(seats_page(show), data).content.decode()

    assert "A mail goes to the customer." in html
    assert mia.email not in html
    assert mia.email in staff(BOX_OFFICE).post(seats_page(show), data).content.decode()
