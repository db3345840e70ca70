"""Selling seats over HTTP: the answers, and the code of every refusal."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from cinema.api.schemas.bookings import BookingOut
from cinema.api.schemas.movies import ShowInBooking
from cinema.people.models import AuthSession
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.conftest import refusal
from tests.support.factories import a_booking, a_hold, a_show, make_stale, move_start

pytestmark = pytest.mark.django_db(transaction=True)


def book(api, show, seat=5, **headers):
    return api.post(f"/api/shows/{show.pk}/book/", {"seat_number": seat}, **headers)


def hold(api, show, *seats):
    return api.post(f"/api/shows/{show.pk}/hold/", {"seat_numbers": list(seats or (5,))})


def confirm(api, booking):
    return api.post(f"/api/bookings/{booking.pk}/confirm/")


def cancel(api, booking):
    return api.post(f"/api/bookings/{booking.pk}/cancel/")


def told(response, status: int = 200) -> dict:
    """The booking of a success, checked against its declared schema: the handlers that sell do not
    check it.
    """
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"].startswith("application/json")
    body = response.json()
    BookingOut.model_validate_json(response.content)
    assert set(body) == set(BookingOut.model_fields)
    assert set(body["show"]) == set(ShowInBooking.model_fields)
    for moment in (
        body["created_at"],
        body["updated_at"],
        body["show"]["date_time"],
        body["show"]["ends_at"],
    ):
        assert datetime.fromisoformat(moment).utcoffset() is not None
    return body


def everything() -> list:
    """All that a sale writes."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Booking, BookingSeat, BookingEvent)
    ]


def test_booking_a_seat(api):
    show = a_show(total_seats=50)

    body = told(book(api, show), 201)

    booking = Booking.objects.get()
    assert (body["id"], body["reference"], body["status"]) == (
        booking.pk,
        booking.reference,
        "booked",
    )
    assert (body["seat_number"], body["seat_numbers"]) == (5, [5])
    assert (body["expires_at"], body["expires_in_seconds"]) == (None, None)
    assert (body["show"]["id"], body["show"]["movie_title"]) == (show.pk, show.movie.title)
    assert booking.user == api.user


def test_booking_several_seats_answers_sorted(api):
    response = api.post(f"/api/shows/{a_show().pk}/book/", {"seat_numbers": [9, 3, 7]})

    assert told(response, 201)["seat_numbers"] == [3, 7, 9]
    assert response.json()["seat_number"] == 3


def test_a_hold_tells_when_it_runs_out(api, settings):
    settings.HOLD_SECONDS = 300

    body = told(hold(api, a_show(), 5, 6), 201)

    left = datetime.fromisoformat(body["expires_at"]) - timezone.now()
    assert body["status"] == "pending"
    assert timedelta(seconds=295) < left <= timedelta(seconds=301)
    assert 295 < body["expires_in_seconds"] <= 300


def test_the_same_hold_again_answers_200(api):
    show = a_show()
    first = told(hold(api, show, 5, 6), 201)

    again = told(hold(api, show, 6, 5), 200)

    assert {**again, "expires_in_seconds": 0} == {**first, "expires_in_seconds": 0}
    assert Booking.objects.count() == 1


def test_confirm_and_confirm_again(api):
    mine = a_hold(api.caller)

    first, again = told(confirm(api, mine)), told(confirm(api, mine))

    assert (first["status"], first["expires_at"]) == ("booked", None)
    assert again == first
    assert told(api.get(f"/api/bookings/{mine.pk}/")) == first


@pytest.mark.parametrize("make", [a_hold, a_booking])
def test_cancel_and_cancel_again(api, make):
    mine = make(api.caller)

    first, again = told(cancel(api, mine)), told(cancel(api, mine))

    assert (first["status"], first["expires_at"], first["expires_in_seconds"]) == (
        "cancelled",
        None,
        None,
    )
    assert first["seat_numbers"] == [5]
    assert again == first


def test_a_cancelled_seat_is_sold_again(api, other):
    show = a_show()
    mine = a_booking(api.caller, show)
    cancel(api, mine)

    assert told(book(other, show), 201)["seat_numbers"] == [5]
    assert told(api.get(f"/api/bookings/{mine.pk}/"))["seat_numbers"] == [5]


def test_a_taken_seat_is_refused_with_the_losing_ones(api):
    show = a_show()
    a_booking(show=show, seats=(5, 6))
    before = everything()

    response = api.post(f"/api/shows/{show.pk}/book/", {"seat_numbers": [4, 5, 6]})

    assert refusal(response) == (409, "seat_taken")
    assert response.json()["seats"] == [5, 6]
    assert refusal(hold(api, show, 5)) == (409, "seat_taken")
    assert everything() == before


def test_ones_own_held_seat_names_the_booking_to_confirm(api):
    show = a_show()
    mine = a_hold(api.caller, show)
    before = everything()

    response = book(api, show)

    assert refusal(response) == (409, "seat_taken")
    assert (response.json()["booking_id"], response.json()["seats"]) == (mine.pk, [5])
    assert everything() == before


def test_a_second_hold_is_refused_with_the_first(api):
    show = a_show()
    mine = a_hold(api.caller, show)
    before = everything()

    response = hold(api, show, 6)

    assert refusal(response) == (409, "hold_limit")
    assert response.json()["booking_id"] == mine.pk
    assert everything() == before


@pytest.mark.parametrize("verb", [book, hold])
def test_refusals_of_the_show(api, verb):
    started, cancelled = a_show(timedelta(seconds=-1)), a_show(cancelled_at=timezone.now())

    assert refusal(verb(api, started)) == (409, "show_started")
    assert refusal(verb(api, cancelled)) == (409, "show_cancelled")
    assert refusal(verb(api, Show(pk=cancelled.pk + 999))) == (404, "not_found")
    assert everything() == [[], [], []]


def test_a_seat_beyond_the_hall_is_refused(api):
    show = a_show(total_seats=100)

    response = api.post(f"/api/shows/{show.pk}/book/", {"seat_numbers": [100, 101, 2**31 - 1]})

    assert refusal(response) == (422, "seat_out_of_range")
    assert response.json()["seats"] == [101, 2**31 - 1]
    assert everything() == [[], [], []]


def test_what_an_expired_hold_refuses(api):
    unswept, swept = make_stale(a_hold(api.caller)), make_stale(a_hold(api.caller))
    Booking.objects.filter(pk=swept.pk).update(status="expired", holding=None)
    before = everything()

    for mine in (unswept, swept):
        assert refusal(confirm(api, mine)) == (410, "hold_expired")
        assert refusal(cancel(api, mine)) == (410, "hold_expired")
    assert everything() == before


def test_what_closed_bookings_and_shows_refuse(api):
    closed, late_hold, late, called_off = (
        make(api.caller) for make in (a_hold, a_hold, a_booking, a_hold)
    )
    cancel(api, closed)
    move_start(late_hold.show, timedelta(seconds=-1))
    move_start(late.show, timedelta(seconds=-1))
    Show.objects.filter(pk=called_off.show_id).update(cancelled_at=timezone.now())
    before = everything()

    assert refusal(confirm(api, closed)) == (409, "booking_closed")
    assert refusal(confirm(api, late_hold)) == (409, "show_started")
    assert refusal(cancel(api, late_hold)) == (409, "show_started")
    assert refusal(cancel(api, late)) == (409, "show_started")
    assert refusal(confirm(api, called_off)) == (409, "show_cancelled")
    assert everything() == before


def test_another_customers_booking_is_as_if_there_were_none(api, other):
    theirs = a_hold(other.caller)
    before = everything()

    for method, path in (("GET", "{}/"), ("POST", "{}/confirm/"), ("POST", "{}/cancel/")):
        real, none = (
            api(method, "/api/bookings/" + path.format(pk)) for pk in (theirs.pk, theirs.pk + 999)
        )
        assert refusal(real) == (404, "not_found")
        assert real.json() | {"request_id": ""} == none.json() | {"request_id": ""}
        assert set(real.headers) == set(none.headers)
    assert everything() == before


def test_an_ended_login_sells_and_tells_nothing(api):
    show, mine = a_show(), a_hold(api.caller)
    AuthSession.objects.update(revoked_at=timezone.now())
    before = everything()

    answers = [book(api, show), hold(api, show), confirm(api, mine), cancel(api, mine)]
    answers += [api.get("/api/my-bookings/"), api.get(f"/api/bookings/{mine.pk}/")]

    assert {refusal(answer) for answer in answers} == {(401, "token_invalid")}
    assert everything() == before


def test_a_stale_hold_reads_as_expired_and_keeps_its_seats(api):
    mine = make_stale(a_hold(api.caller, seats=(5, 6)))

    body = told(api.get(f"/api/bookings/{mine.pk}/"))

    assert (body["status"], body["seat_numbers"], body["expires_in_seconds"]) == (
        "expired",
        [5, 6],
        None,
    )
    swept = bookings.expire_stale()
    assert swept == 1
    assert told(api.get(f"/api/bookings/{mine.pk}/")) | {"updated_at": ""} == body | {
        "updated_at": ""
    }
