"""The shows of a film, over HTTP: which are told, when, and with how many seats."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from cinema.programme.models import Show
from cinema.sales import bookings
from tests.support.factories import a_booking, a_caller, a_hold, a_movie, a_show, make_stale

pytestmark = pytest.mark.django_db(transaction=True)


def ids(response) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def ask(api, path, **query):
    return api.client.get(path, query)


def at(day: str, hour: int = 12) -> datetime:
    """That hour of that day in the cinema's time zone."""
    return timezone.make_aware(datetime.fromisoformat(f"{day}T{hour:02}:00"))


def test_the_upcoming_shows_come_soonest_first(anonymous):
    movie = a_movie()
    later, sooner = (
        a_show(timedelta(days=2), movie=movie),
        a_show(timedelta(minutes=1), movie=movie),
    )
    a_show(timedelta(seconds=-1), movie=movie)
    a_show(timedelta(days=1), movie=movie, cancelled_at=timezone.now())
    a_show(timedelta(days=1))

    response = anonymous.get(f"/api/movies/{movie.pk}/shows/")

    assert ids(response) == [sooner.pk, later.pk]
    assert response.json()["count"] == 2


def test_a_show_is_told_with_its_times_and_seats(anonymous):
    movie = a_movie(title="M", duration_minutes=111)
    show = a_show(movie=movie, date_time=datetime(2031, 5, 1, 18, 30, tzinfo=UTC), total_seats=80)

    told = anonymous.get(f"/api/movies/{movie.pk}/shows/").json()["items"][0]

    assert {name: told[name] for name in told if name != "screen_name"} == {
        "id": show.pk,
        "movie_id": movie.pk,
        "movie_title": "M",
        "date_time": "2031-05-01T18:30:00+00:00",
        "ends_at": "2031-05-01T20:21:00+00:00",
        "total_seats": 80,
        "available_seats": 80,
        "cancelled": False,
    }
    assert told["screen_name"] == show.screen.name
    assert anonymous.get(f"/api/shows/{show.pk}/").json() == told


def test_the_shows_of_a_day_are_those_of_the_local_day(anonymous):
    with override_settings(TIME_ZONE="Pacific/Auckland"):
        movie = a_movie()
        # midnight of 1 May there
        first = a_show(movie=movie, date_time=datetime(2031, 4, 30, 12, 0, tzinfo=UTC))
        last = a_show(movie=movie, date_time=datetime(2031, 5, 1, 11, 59, tzinfo=UTC))
        a_show(movie=movie, date_time=datetime(2031, 4, 30, 11, 59, tzinfo=UTC))
        a_show(movie=movie, date_time=datetime(2031, 5, 1, 12, 0, tzinfo=UTC))

        response = ask(anonymous, f"/api/movies/{movie.pk}/shows/", date="2031-05-01")

        assert ids(response) == [first.pk, last.pk]
        assert response.json()["items"][0]["date_time"] == "2031-05-01T00:00:00+12:00"
        assert ids(ask(anonymous, "/api/movies/", showing_on="2031-05-01")) == [movie.pk]


def test_with_a_date_past_shows_are_told_too(anonymous):
    movie = a_movie()
    past = a_show(movie=movie, date_time=at("2021-05-01"))

    assert ids(ask(anonymous, f"/api/movies/{movie.pk}/shows/", date="2021-05-01")) == [past.pk]
    assert ids(ask(anonymous, f"/api/movies/{movie.pk}/shows/")) == []


def test_available_seats_are_those_that_can_be_sold_now(anonymous):
    show, caller = a_show(total_seats=10), a_caller()
    a_booking(show=show, seats=(1, 2))
    a_hold(show=show, seats=(3,))
    make_stale(a_hold(show=show, seats=(4,)))
    bookings.cancel(caller, a_booking(caller, show, (5,)).pk)

    assert anonymous.get(f"/api/shows/{show.pk}/").json()["available_seats"] == 7
    assert (
        anonymous.get(f"/api/movies/{show.movie_id}/shows/").json()["items"][0]["available_seats"]
        == 7
    )


def test_available_tells_full_shows_from_others(anonymous):
    movie = a_movie()
    full, free = a_show(movie=movie, total_seats=1), a_show(movie=movie, total_seats=2)
    a_booking(show=full, seats=(1,))
    a_booking(show=free, seats=(1,))

    assert ids(ask(anonymous, f"/api/movies/{movie.pk}/shows/", available="true")) == [free.pk]
    assert ids(ask(anonymous, f"/api/movies/{movie.pk}/shows/", available="false")) == [full.pk]


def test_a_cancelled_show_is_told_as_cancelled(anonymous):
    show = a_show()
    Show.objects.filter(pk=show.pk).update(cancelled_at=timezone.now())

    assert anonymous.get(f"/api/shows/{show.pk}/").json()["cancelled"] is True
