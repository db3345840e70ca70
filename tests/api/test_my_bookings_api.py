"""One's own bookings over HTTP: the list and its filters."""

from datetime import timedelta

import pytest

from cinema.api.schemas.bookings import BookingPage
from cinema.sales import bookings
from tests.conftest import refusal
from tests.support.factories import a_booking, a_hold, a_show, make_stale, move_start

pytestmark = pytest.mark.django_db(transaction=True)


def listed(api, **query) -> list[int]:
    response = api.client.get(
        "/api/my-bookings/", query, headers={"Authorization": f"Bearer {api.token}"}
    )
    assert response.status_code == 200, response.content
    BookingPage.model_validate_json(response.content)
    return [item["id"] for item in response.json()["items"]]


def odd(api, query: str) -> list[str]:
    response = api.get(f"/api/my-bookings/?{query}")
    assert refusal(response) == (422, "invalid"), query
    return [error["field"] for error in response.json()["errors"]]


def test_ones_own_bookings_come_newest_first(api, other):
    mine = [a_booking(api.caller), a_hold(api.caller), a_booking(api.caller)]
    a_booking(other.caller)

    response = api.get("/api/my-bookings/")

    assert [item["id"] for item in response.json()["items"]] == [
        booking.pk for booking in reversed(mine)
    ]
    assert response.json()["count"] == 3
    assert response.json()["items"][0] == api.get(f"/api/bookings/{mine[2].pk}/").json()


def test_who_has_booked_nothing_gets_an_empty_list(api, other):
    a_booking(other.caller)

    assert api.get("/api/my-bookings/").json() == {"items": [], "count": 0}


@pytest.mark.parametrize("swept", [False, True])
def test_the_status_filter_goes_by_what_customers_read(api, swept):
    live, booked, gone = a_hold(api.caller), a_booking(api.caller), a_booking(api.caller)
    stale = make_stale(a_hold(api.caller))
    bookings.cancel(api.caller, gone.pk)
    if swept:
        bookings.expire_stale()

    assert listed(api, status="pending") == [live.pk]
    assert listed(api, status="booked") == [booked.pk]
    assert listed(api, status="cancelled") == [gone.pk]
    assert listed(api, status="expired") == [stale.pk]
    assert listed(api) == [stale.pk, gone.pk, booked.pk, live.pk]


def test_upcoming_goes_by_the_start_of_the_show(api):
    past, future = a_booking(api.caller), a_booking(api.caller)
    move_start(past.show, timedelta(seconds=-1))

    assert listed(api, upcoming="true") == [future.pk]
    assert listed(api, upcoming="false") == [past.pk]
    assert listed(api, upcoming="true", status="cancelled") == []


def test_a_page_of_ones_bookings(api):
    show = a_show()
    mine = [a_booking(api.caller, show, (seat,)).pk for seat in range(1, 6)]

    assert listed(api, limit="2") == mine[:2:-1]
    assert listed(api, limit="2", offset="4") == [mine[0]]
    assert api.get("/api/my-bookings/?limit=1").json()["count"] == 5
    assert api.get("/api/my-bookings/?offset=5").json() == {"items": [], "count": 5}


def test_odd_filters_are_refused(api):
    for status in ("", "BOOKED", "held", "pending,booked", "1", "null"):
        assert odd(api, f"status={status}") == ["status"]
    for flag in ("", "1", "yes", "True", "null"):
        assert odd(api, f"upcoming={flag}") == ["upcoming"]
    for number in ("0", "101", "-1", "1.0", "true", "%D9%A1", "%201", "", "9" * 30):
        assert odd(api, f"limit={number}") == ["limit"]
    for number in ("-1", "1.0", "true", "9" * 30):
        assert odd(api, f"offset={number}") == ["offset"]


def test_an_unknown_booking_is_not_found(api):
    for odd_id in (0, 999, "abc", 2**63 - 1, 2**63, 10**30, -1, "1.0"):
        assert refusal(api.get(f"/api/bookings/{odd_id}/")) == (404, "not_found"), odd_id
        assert refusal(api.post(f"/api/bookings/{odd_id}/cancel/")) == (404, "not_found"), odd_id
        assert refusal(api.post(f"/api/shows/{odd_id}/book/", {"seat_number": 1})) == (
            404,
            "not_found",
        ), odd_id
