"""The bodies of the calls that sell: which forms are taken, and which are refused before anything
happens.
"""

import pytest

from cinema.sales.models import Booking
from tests.conftest import refusal
from tests.support.factories import a_booking, a_hold, a_show

pytestmark = pytest.mark.django_db(transaction=True)

ODD_BODIES = [
    {}, {"seat_number": None}, {"seat_number": True}, {"seat_number": 1.0}, {"seat_number": 1.5}, {"seat_number": "5"},
    {"seat_number": 0}, {"seat_number": -1}, {"seat_number": 2**31}, {"seat_number": 2**63}, {"seat_number": 2**70},
    {"seat_number": [5]}, {"seat_number": {"n": 5}}, {"seat_numbers": []}, {"seat_numbers": None}, {"seat_numbers": 5},
    {"seat_numbers": "5"}, {"seat_numbers": [5, 5]}, {"seat_numbers": [5, None]}, {"seat_numbers": [5, True]},
    {"seat_numbers": [5, 6.0]}, {"seat_numbers": ["5"]}, {"seat_numbers": [0]}, {"seat_numbers": [2**31]},
    {"seat_numbers": [[5]]}, {"seat_numbers": {"5": 5}}, {"seat_numbers": list(range(1, 12))},
    {"seat_numbers": list(range(1, 5000))}, {"seat_number": 5, "seat_numbers": [5]},
    {"seat_number": 5, "seat_numbers": None}, {"seat_number": None, "seat_numbers": [5]},
    {"seat_number": 5, "price": 0}, {"seat_number": 5, "user_id": 1}, {"seat_number": 5, "": 1}, {"Seat_Number": 5},
    {"seatNumber": 5}, {"seat": 5}, [], [5], 5, "5", None, True,
]  # fmt: skip


@pytest.mark.parametrize("call", ["book", "hold"])
def test_odd_seats_are_refused_and_nothing_is_sold(api, call):
    show = a_show()

    for body in ODD_BODIES:
        raw = b"null" if body is None else None
        response = api("POST", f"/api/shows/{show.pk}/{call}/", body, raw=raw)
        assert refusal(response) == (422, "invalid"), body
        assert response.json()["errors"], body
    assert not Booking.objects.exists()


def test_a_missing_body_is_refused(api):
    response = api.post(f"/api/shows/{a_show().pk}/book/")

    assert refusal(response)[0] in {400, 422}
    assert not Booking.objects.exists()


def test_the_errors_name_the_field(api):
    path = f"/api/shows/{a_show().pk}/book/"

    def named(body):
        return [error["field"] for error in api.post(path, body).json()["errors"]]

    assert named({"seat_number": "5"}) == ["seat_number"]
    assert named({"seat_numbers": [5, "6"]}) == ["seat_numbers.1"]
    assert named({"seat_number": 5, "price": 0}) == ["price"]


def test_as_many_seats_as_a_booking_may_have(api):
    response = api.post(f"/api/shows/{a_show().pk}/book/", {"seat_numbers": list(range(1, 11))})

    assert response.status_code == 201
    assert response.json()["seat_numbers"] == list(range(1, 11))


def test_a_body_needs_no_content_type(api):
    response = api(
        "POST", f"/api/shows/{a_show().pk}/book/", raw=b'{"seat_number": 5}', Content_Type=""
    )

    assert response.status_code == 201


@pytest.mark.parametrize(("call", "make"), [("confirm", a_hold), ("cancel", a_booking)])
@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"", None), (b"", ""), (b"", "application/json"), (b"", "text/plain"), (b"", "application/x-www-form-urlencoded"),
     (b"", "multipart/form-data"), (b"{}", "application/json"), (b"{}", ""),
     (b" {} ", "application/json; charset=utf-8")],
)  # fmt: skip
def test_no_body_is_needed(api, call, make, raw, kind):
    mine = make(api.caller)
    extra = {} if kind is None else {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(raw))}

    response = api.client.generic(
        "POST",
        f"/api/bookings/{mine.pk}/{call}/",
        raw,
        headers={"Authorization": f"Bearer {api.token}"},
        **extra,
    )

    assert response.status_code == 200, response.content
    mine.refresh_from_db()
    assert mine.status == {"confirm": "booked", "cancel": "cancelled"}[call]


@pytest.mark.parametrize(("call", "make"), [("confirm", a_hold), ("cancel", a_booking)])
def test_a_body_with_something_in_it_is_refused(api, call, make):
    mine = make(api.caller)
    before = mine.status

    for raw, kind, answer in (
        (b'{"force": true}', "application/json", (422, "invalid")),
        (b'{"booking_id": 1}', "", (422, "invalid")),
        (b"[]", "application/json", (422, "invalid")),
        (b"5", "application/json", (422, "invalid")),
        (b'"x"', "application/json", (422, "invalid")),
        (b"junk", "application/json", (400, "bad_json")),
        (b"{", "application/json", (400, "bad_json")),
        (b" ", "application/json", (400, "bad_json")),
        (b"\xff", "", (400, "bad_json")),
        (b"{}", "text/plain", (415, "unsupported_media_type")),
        (b"a=1", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b"<x/>", "application/xml", (415, "unsupported_media_type")),
    ):
        response = api("POST", f"/api/bookings/{mine.pk}/{call}/", raw=raw, Content_Type=kind)
        assert refusal(response) == answer, raw

    mine.refresh_from_db()
    assert mine.status == before
