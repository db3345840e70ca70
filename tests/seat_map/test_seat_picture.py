"""The hall as a picture: every seat drawn once and where the map says, for everybody to embed, and
always current.
"""

import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.seat_map import availability, picture
from cinema.seat_map.picture import Seat
from tests.conftest import refusal
from tests.support.factories import a_booking, a_caller, a_hold, a_show, make_stale, move_start

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> dict[str, list[int]]:
    """Seats by their kind, as the picture tells them."""
    told = [
        re.fullmatch(r"Seat (\d+): (\w+)", title.text)
        for title in ElementTree.fromstring(text).iter(f"{SVG}title")
    ]
    kinds: dict[str, list[int]] = {}
    for match in told:
        kinds.setdefault(match[2], []).append(int(match[1]))
    return kinds


def fetch(api, show, **headers):
    return api.get(f"/api/shows/{show.pk}/seats.svg", **headers)


def test_of_a_show_that_is_deleted_while_it_is_drawn_there_is_no_picture(api, monkeypatch):
    show = a_show()

    def read_and_deleted(show_id: int) -> availability.SeatMap:
        Show.objects.filter(pk=show_id).delete()
        return availability.SeatMap(show_id, 10, 10, [])

    monkeypatch.setattr(availability, "seat_map", read_and_deleted)

    assert refusal(fetch(api, show)) == (404, "not_found")


@pytest.mark.parametrize("total", [1, 7, 8, 40, 120, 999, 10_000])
def test_every_seat_has_a_place_of_its_own_inside_the_picture(total):
    text = picture.draw(total, lambda number: Seat("free", f"Seat {number}: free"), ["free"])

    assert drawn(text) == {"free": list(range(1, total + 1))}
    root = ElementTree.fromstring(text)
    right, bottom = map(int, root.get("viewBox").split()[2:])
    seats = [path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    places = {tuple(map(int, re.match(r"M(\d+) (\d+)", path.get("d")).groups())) for path in seats}
    assert len(places) == total
    assert all(x + 20 <= right and y + 20 <= bottom for x, y in places)
    assert picture.row_width(total) <= 60


def test_a_kind_is_told_by_its_shape_and_not_by_its_colour_alone():
    shapes = {picture.SHAPES[kind] for kind in ("free", "chosen", "held", "booked")}

    assert len(shapes) == 4


def test_what_is_told_cannot_become_markup():
    text = picture.draw(1, lambda _: Seat("free", "<script>&\"'", '?seats=1&b="><x>'), ["free"])

    ElementTree.fromstring(text)
    assert "<script>" not in text
    assert '"><x>' not in text


@pytest.mark.django_db(transaction=True)
def test_it_shows_what_the_map_says_and_nothing_of_customers(anonymous):
    show, caller = a_show(total_seats=12), a_caller()
    a_booking(caller, show, (3, 4))
    a_hold(show=show, seats=(9,))
    make_stale(a_hold(show=show, seats=(1,)))
    bookings.cancel(caller, a_booking(caller, show, (2,)).pk)

    response = fetch(anonymous, show)

    assert response.status_code == 200
    text = response.content.decode()
    assert (
        drawn(text)["taken"]
        == anonymous.get(f"/api/shows/{show.pk}/seats/").json()["taken"]
        == [3, 4, 9]
    )
    assert len(drawn(text)["free"]) == 9
    assert "held" not in drawn(text)
    assert "9 free" in text
    assert "3 taken" in text
    assert show.bookings.first().reference not in text
    assert show.bookings.first().user.username not in text


@pytest.mark.django_db(transaction=True)
def test_it_can_be_embedded_and_loads_and_runs_nothing(anonymous):
    show = a_show()

    response = fetch(anonymous, show)

    headers = response.headers
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert (
        headers["Content-Security-Policy"]
        == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *"
    )
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    unchanged = fetch(anonymous, show, If_None_Match=headers["ETag"])
    assert unchanged.status_code == 304
    # `<object>` and `<iframe>` may show it
    assert "X-Frame-Options" not in {
        *headers,
        *unchanged.headers,
    }
    assert anonymous.get(f"/api/shows/{show.pk}/").headers["X-Frame-Options"] == "DENY"
    text = response.content.decode()
    assert "<a " not in text
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]


@pytest.mark.django_db(transaction=True)
def test_who_has_it_gets_304_until_a_seat_is_sold_or_a_hold_runs_out(anonymous):
    show = a_show()
    empty = fetch(anonymous, show)
    etag = empty.headers["ETag"]

    same = fetch(anonymous, show, If_None_Match=etag)
    hold = a_hold(show=show, seats=(5,))
    held = fetch(anonymous, show, If_None_Match=etag)
    make_stale(hold)

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert same.headers["Cache-Control"] == empty.headers["Cache-Control"] == "no-cache"
    assert (held.status_code, drawn(held.content.decode())["taken"]) == (200, [5])
    assert fetch(anonymous, show, If_None_Match=held.headers["ETag"]).headers["ETag"] == etag


@pytest.mark.django_db(transaction=True)
def test_of_a_show_that_is_not_there_nothing_is_drawn(anonymous):
    for show_id in (10**9, 2**63 - 1, 2**70):
        assert refusal(anonymous.get(f"/api/shows/{show_id}/seats.svg")) == (404, "not_found"), (
            show_id
        )


@pytest.mark.django_db(transaction=True)
def test_head_is_refused_with_what_is_allowed(anonymous):
    head = anonymous("HEAD", f"/api/shows/{a_show().pk}/seats.svg")

    assert (head.status_code, head.headers.get("Allow")) == (405, "GET")


def whole(*, alone: bool) -> ElementTree.Element:
    return ElementTree.fromstring(
        picture.draw(9, lambda _: Seat("free", "free"), ["free"], alone=alone)
    )


def test_alone_it_stands_on_a_ground_of_its_own_in_light_and_in_dark():
    """A page that is light although its reader's system is dark would else have light text on
    white.
    """
    ground = next(child for child in whole(alone=True) if child.tag != f"{SVG}style")

    assert (ground.tag, ground.get("class")) == (f"{SVG}rect", "back")
    assert (ground.get("width"), ground.get("height")) == ("100%", "100%")
    assert whole(alone=False).find(f"{SVG}rect") is None  # the staff's page has its own
    assert "--back:#fff" in picture.STYLE
    assert "--back:#111827" in picture.DARK


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("starts", "cancelled", "told"),
    [(1, False, "SCREEN"), (1, True, "CANCELLED"), (-1, False, "STARTED"), (-1, True, "CANCELLED")],
)
def test_a_show_of_which_nothing_is_sold_says_why(anonymous, starts, cancelled, told):
    show = a_show()
    move_start(show, timedelta(hours=starts))
    Show.objects.filter(pk=show.pk).update(cancelled_at=timezone.now() if cancelled else None)

    root = ElementTree.fromstring(fetch(anonymous, show).content)

    (text,) = [text for text in root.iter(f"{SVG}text") if text.get("class") in {"name", "note"}]
    assert text.text == told
    ending = "" if told == "SCREEN" else f"; {told.lower()}"
    assert root.get("aria-label") == f"Seats: 100 free, 0 taken{ending}"
