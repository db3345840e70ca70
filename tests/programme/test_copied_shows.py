"""Shows copied to other days: at the same hour of the cinema's clock, and checked like a save."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from cinema.programme.copying import copy_shows
from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import BookingSeat
from tests.support.factories import a_booking, a_clerk, a_movie, a_show
from tests.support.racing import race
from tests.support.unchanged import nothing_changes

pytestmark = pytest.mark.django_db(transaction=True)
# from UTC+1 to UTC+2 on 29 March 2099 at 02:00, back on 25 October 2099 at 03:00
WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.fixture(autouse=True)
def in_warsaw(settings):
    settings.TIME_ZONE = "Europe/Warsaw"


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=WARSAW)


SATURDAY, SUNDAY, MONDAY = date(2099, 3, 28), date(2099, 3, 29), date(2099, 3, 30)


def starts(shows: list[Show]) -> list[str]:
    return [f"{timezone.localtime(show.date_time):%Y-%m-%d %H:%M %Z}" for show in shows]


def test_a_copy_starts_at_the_same_hour_across_the_change_of_the_clocks():
    show = a_show(date_time=at(SATURDAY, 20, 30), total_seats=42)

    copies = copy_shows([show], [MONDAY, SUNDAY, MONDAY])

    assert copies.refused == []
    assert starts(copies.copied) == ["2099-03-29 20:30 CEST", "2099-03-30 20:30 CEST"]
    assert [show.date_time.astimezone(UTC).hour for show in Show.objects.order_by("date_time")] == [
        19,
        18,
        18,
    ]
    assert {(copy.movie, copy.screen, copy.total_seats) for copy in copies.copied} == {
        (show.movie, show.screen, 42)
    }


def test_a_copy_is_a_new_show_with_every_seat_free():
    show = a_show(date_time=at(SATURDAY, 20))
    a_booking(show=show)

    (copy,) = copy_shows(Show.objects.all(), [SUNDAY]).copied

    assert copy.pk != show.pk
    assert BookingSeat.objects.get().show == show
    assert bookings.book(a_clerk(), copy.pk, [5]).created


def test_what_is_refused_stops_none_of_the_others():
    early, late = a_show(date_time=at(SATURDAY, 18)), a_show(date_time=at(SATURDAY, 21))
    in_the_way = a_show(
        date_time=at(SUNDAY, 17, 30), screen=early.screen, movie=a_movie(duration_minutes=60)
    )

    copies = copy_shows([late, early], [SUNDAY, MONDAY])

    assert starts(copies.copied) == [
        "2099-03-29 21:00 CEST",
        "2099-03-30 18:00 CEST",
        "2099-03-30 21:00 CEST",
    ]
    told = f"No show of {early.movie.title} on {early.screen.name}, 2099-03-29 18:00: "
    assert copies.refused == [
        f"{told}This overlaps the {in_the_way.description}, cleaning included."
    ]
    assert Show.objects.count() == 6


def test_again_it_copies_nothing_and_says_why():
    show = a_show(date_time=at(SATURDAY, 20))
    (copy,) = copy_shows([show], [SUNDAY]).copied

    with nothing_changes():
        again = copy_shows([show], [SATURDAY, SUNDAY])

    assert again.copied == []
    assert f"overlaps the {show.description}" in again.refused[0]
    assert f"overlaps the {copy.description}" in again.refused[1]


def test_two_clerks_who_copy_at_once_copy_once():
    show = a_show(date_time=at(SATURDAY, 20))

    results = race(*[lambda: copy_shows([show], [SUNDAY])] * 4)

    assert sorted(len(copies.copied) for copies in results) == [0, 0, 0, 1]
    assert Show.objects.count() == 2


def test_an_hour_that_the_clocks_leave_out_is_refused():
    show = a_show(date_time=at(SATURDAY, 2, 30))

    with nothing_changes():
        copies = copy_shows([show], [SUNDAY])

    assert copies.copied == []
    assert copies.refused[0].endswith(": The clocks are put forward over its hour.")


def test_an_hour_that_comes_twice_is_its_first():
    show = a_show(date_time=at(date(2099, 10, 24), 2, 30))

    (copy,) = copy_shows([show], [date(2099, 10, 25)]).copied

    assert copy.date_time == datetime(2099, 10, 25, 0, 30, tzinfo=UTC)


def test_a_cancelled_show_is_not_copied():
    show = a_show(date_time=at(SATURDAY, 20))
    cancelled = bookings.cancel_show(a_clerk(), show.pk)

    copies = copy_shows([cancelled], [SUNDAY])

    assert copies.copied == []
    assert copies.refused[0].endswith("2099-03-29 20:00: The one to copy is cancelled.")


def test_a_place_that_a_cancelled_show_has_left_is_free():
    show = a_show(date_time=at(SATURDAY, 20))
    Show.objects.filter(pk=a_show(date_time=at(SUNDAY, 20), screen=show.screen).pk).update(
        cancelled_at=timezone.now()
    )

    assert len(copy_shows([show], [SUNDAY]).copied) == 1


def test_a_day_beyond_the_calendar_is_refused():
    show = a_show(date_time=at(SATURDAY, 20) + timedelta(days=1))

    assert "The year must be" in copy_shows([show], [date(3001, 1, 1)]).refused[0]
