"""What is on: films and their shows, over HTTP."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.conftest import refusal
from tests.support.factories import a_movie, a_show

pytestmark = pytest.mark.django_db

ODD_NUMBERS = [
    "-1",
    "1.0",
    "true",
    "١",
    " 1",
    "1 ",
    "+1",
    "1e1",
    "0x1",
    "1_0",
    "",
    "null",
    "9" * 30,
    "9" * 5000,
    "5\x00",
]


def titles(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [movie["title"] for movie in response.json()["items"]]


def ids(response) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def ask(api, path, **query):
    return api.client.get(path, query)


def at(day: str, hour: int = 12) -> datetime:
    """That hour of that day in the cinema's time zone."""
    return timezone.make_aware(datetime.fromisoformat(f"{day}T{hour:02}:00"))


def test_films_are_listed_by_title(anonymous):
    a_movie(title="Metropolis", duration_minutes=153)
    first = a_movie(title="M", duration_minutes=111)

    response = anonymous.get("/api/movies/")

    told = response.json()
    assert titles(response) == ["M", "Metropolis"]
    assert told["count"] == 2
    movie = told["items"][0]
    assert sorted(movie) == ["created_at", "duration_minutes", "id", "title", "updated_at"]
    assert (movie["id"], movie["duration_minutes"]) == (first.pk, 111)
    assert datetime.fromisoformat(movie["created_at"]).utcoffset() == timedelta(0)


def test_an_empty_list_is_a_list(anonymous):
    assert anonymous.get("/api/movies/").json() == {"items": [], "count": 0}


def test_search_finds_any_part_in_any_case(anonymous):
    for title in ("Metropolis", "The Metro", "M"):
        a_movie(title=title)

    assert titles(ask(anonymous, "/api/movies/", search="METRO")) == ["Metropolis", "The Metro"]
    assert titles(ask(anonymous, "/api/movies/", search="")) == ["M", "Metropolis", "The Metro"]
    assert ask(anonymous, "/api/movies/", search="nosferatu").json() == {"items": [], "count": 0}


@pytest.mark.parametrize(
    ("search", "found"),
    [("%", ["100% Wolf"]), ("_", ["Snake_Eyes"]), ("\\", ["A\\B"]), ("'", ["It's"])],
)
def test_search_takes_every_sign_as_it_is(anonymous, search, found):
    for title in ("100% Wolf", "Snake_Eyes", "A\\B", "It's", "Plain"):
        a_movie(title=title)

    assert titles(ask(anonymous, "/api/movies/", search=search)) == found


def test_search_refuses_what_no_title_holds(anonymous):
    assert refusal(anonymous.get("/api/movies/?search=a%00b")) == (422, "invalid")
    assert anonymous.get("/api/movies/?search=%ff%fe").status_code in {200, 422}
    assert anonymous.get("/api/movies/?search=%ed%a0%80").status_code in {200, 422}
    assert refusal(anonymous.get("/api/movies/?search=" + "x" * 201)) == (422, "invalid")


def test_showing_on_keeps_the_films_of_that_day(anonymous):
    shown, _ = a_movie(title="Shown"), a_movie(title="Never shown")
    a_show(movie=shown, date_time=at("2031-05-01"))
    a_show(movie=shown, date_time=at("2031-05-01", 20))
    a_show(
        movie=a_movie(title="Cancelled"), date_time=at("2031-05-01"), cancelled_at=timezone.now()
    )

    assert ask(anonymous, "/api/movies/", showing_on="2031-05-01").json()["count"] == 1
    assert titles(ask(anonymous, "/api/movies/", showing_on="2031-05-01")) == ["Shown"]
    assert titles(ask(anonymous, "/api/movies/", showing_on="2031-05-02")) == []


def test_a_page_is_part_of_the_list_and_count_is_the_whole(anonymous):
    for number in range(5):
        a_movie(title=f"Film {number}")

    def page(**query):
        response = ask(anonymous, "/api/movies/", **query)
        return titles(response), response.json()["count"]

    assert page(limit="2") == (["Film 0", "Film 1"], 5)
    assert page(limit="2", offset="4") == (["Film 4"], 5)
    assert page(limit="5") == ([f"Film {number}" for number in range(5)], 5)
    assert page(limit="100", offset="5") == ([], 5)
    assert page(offset="1000000") == ([], 5)


def test_a_list_shows_fifty_unless_told_otherwise(anonymous):
    for number in range(51):
        a_movie(title=f"Film {number:02}")

    response = anonymous.get("/api/movies/")

    assert (len(response.json()["items"]), response.json()["count"]) == (50, 51)


@pytest.mark.parametrize("path", ["/api/movies/", "/api/movies/{id}/shows/"])
def test_odd_pages_are_refused(anonymous, path):
    path = path.format(id=a_movie().pk)

    for odd in (*ODD_NUMBERS, "0", "101", "1000000"):
        assert refusal(ask(anonymous, path, limit=odd)) == (422, "invalid"), odd
    for odd in ODD_NUMBERS:
        response = ask(anonymous, path, offset=odd)
        assert refusal(response) == (422, "invalid"), odd
        assert response.json()["errors"][0]["field"] == "offset"
    for fine in ("1", "100", "007"):
        assert ask(anonymous, path, limit=fine).status_code == 200


def test_odd_days_and_flags_are_refused(anonymous):
    shows = f"/api/movies/{a_movie().pk}/shows/"
    odd_days = ["2031-02-30", "2031-13-01",
                "20310501", "1900000000", "0", "today", "2031-05-01T00:00", "٢٠٣١-05-01", "",
                "0000-01-01", "2031-5-1", "31-05-2001", " 2031-05-01", "-031-05-01"]  # fmt: skip

    for odd in odd_days:
        assert refusal(ask(anonymous, "/api/movies/", showing_on=odd)) == (422, "invalid"), odd
        assert refusal(ask(anonymous, shows, date=odd)) == (422, "invalid"), odd
    for odd in ("1", "0", "yes", "TRUE", "", "null"):
        assert refusal(ask(anonymous, shows, available=odd)) == (422, "invalid"), odd


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-02", "9999-12-30", "9999-12-31"])
def test_the_first_and_last_days_are_days(anonymous, day):
    for zone in ("UTC", "Pacific/Auckland", "America/Lima"):
        with timezone.override(zone):
            assert ask(anonymous, "/api/movies/", showing_on=day).status_code in {200, 422}
            assert ask(anonymous, f"/api/movies/{a_movie().pk}/shows/", date=day).status_code in {
                200,
                422,
            }


def test_one_film(anonymous):
    movie = a_movie(title="M", duration_minutes=111)

    response = anonymous.get(f"/api/movies/{movie.pk}/")

    assert response.status_code == 200
    assert response.json() == anonymous.get("/api/movies/").json()["items"][0]


@pytest.mark.parametrize("path", ["movies/{}/", "movies/{}/shows/", "shows/{}/", "shows/{}/seats/"])
def test_what_is_not_there_is_not_found(anonymous, path):
    show = a_show()

    for odd in (
        show.pk + 999,
        0,
        "abc",
        2**63,
        2**63 - 1,
        10**30,
        -1,
        "1.0",
        "true",
        "%00",
        "1%20",
        "٣",
        "1" * 5000,
    ):
        assert refusal(anonymous.get("/api/" + path.format(odd))) == (404, "not_found"), odd
