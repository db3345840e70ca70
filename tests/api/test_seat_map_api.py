"""The seat map: always current, and a 304 for who has it."""

import pytest

from cinema.sales import bookings
from cinema.sales.models import Booking, BookingSeat
from tests.support.factories import a_booking, a_caller, a_hold, a_show, make_stale

pytestmark = pytest.mark.django_db(transaction=True)


def seats(api, show, **headers):
    return api.get(f"/api/shows/{show.pk}/seats/", **headers)


def test_the_map_of_an_empty_hall(anonymous):
    show = a_show(total_seats=80)

    response = seats(anonymous, show)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "show_id": show.pk,
        "total_seats": 80,
        "available_seats": 80,
        "taken": [],
    }


def test_booked_and_held_seats_are_taken_and_sorted(anonymous):
    show = a_show(total_seats=80)
    a_booking(show=show, seats=(70, 7))
    a_hold(show=show, seats=(12,))
    a_booking(show=a_show(), seats=(1,))

    assert seats(anonymous, show).json() == {
        "show_id": show.pk,
        "total_seats": 80,
        "available_seats": 77,
        "taken": [7, 12, 70],
    }


def test_stale_holds_and_cancelled_seats_are_free(anonymous):
    show, caller = a_show(), a_caller()
    make_stale(a_hold(show=show, seats=(1,)))
    bookings.cancel(caller, a_booking(caller, show, (2,)).pk)

    assert seats(anonymous, show).json()["taken"] == []


def test_who_has_the_map_gets_304_without_a_body(anonymous):
    show = a_show()
    etag = seats(anonymous, show).headers["ETag"]

    for tags in (etag, f"W/{etag}", f'"other", {etag}', "*", f' {etag} , "x"'):
        response = seats(anonymous, show, If_None_Match=tags)
        assert (response.status_code, response.content) == (304, b""), tags
        assert response.headers["ETag"] == etag
        assert response.headers["Cache-Control"] == "no-cache"


def test_any_other_tag_gets_the_map(anonymous):
    show = a_show()
    etag = seats(anonymous, show).headers["ETag"]

    for tags in (
        '"other"',
        "nonsense",
        "",
        etag.strip('"'),
        '"',
        'W/"',
        "é",
        '"' + "x" * 5000 + '"',
    ):
        assert seats(anonymous, show, If_None_Match=tags).status_code == 200, tags


def test_the_tag_is_strong_and_the_answer_may_not_be_reused_unasked(anonymous):
    response = seats(anonymous, a_show())

    assert response.headers["ETag"].startswith('"')
    assert response.headers["Cache-Control"] == "no-cache"


def test_the_tag_follows_every_sale(anonymous):
    show, caller = a_show(), a_caller()
    empty = seats(anonymous, show).headers["ETag"]
    booking = a_booking(caller, show)
    sold = seats(anonymous, show, If_None_Match=empty)
    bookings.cancel(caller, booking.pk)

    again = seats(anonymous, show, If_None_Match=sold.headers["ETag"])

    assert (sold.status_code, again.status_code) == (200, 200)
    assert again.headers["ETag"] == empty != sold.headers["ETag"]


def test_a_hold_that_runs_out_changes_the_tag_without_a_write(anonymous, settings):
    settings.HOLD_SECONDS = 1
    show = a_show()
    hold = a_hold(show=show, seats=(5,))
    held = seats(anonymous, show)
    make_stale(hold)

    free = seats(anonymous, show, If_None_Match=held.headers["ETag"])

    assert (held.json()["taken"], free.status_code, free.json()["taken"]) == ([5], 200, [])
    assert Booking.objects.get().status == "pending"
    assert BookingSeat.objects.get().taken is True


def test_two_shows_never_share_a_tag(anonymous):
    assert seats(anonymous, a_show()).headers["ETag"] != seats(anonymous, a_show()).headers["ETag"]


def test_head_is_refused_with_what_is_allowed(anonymous):
    response = anonymous("HEAD", f"/api/shows/{a_show().pk}/seats/")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_the_map_holds_a_whole_sold_out_hall(anonymous):
    show = a_show(total_seats=30)
    for first in (1, 11, 21):
        a_booking(show=show, seats=tuple(range(first, first + 10)))

    told = seats(anonymous, show).json()

    assert (told["available_seats"], told["taken"]) == (0, list(range(1, 31)))
