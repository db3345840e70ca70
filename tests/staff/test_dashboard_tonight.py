"""Tonight on the front page of the staff: what stands, what is cancelled, and how an open page
follows it.
"""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db.models import DateTimeField, Value
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime

from cinema.programme import days, models
from cinema.sales import bookings
from cinema.staff import dashboard
from tests.staff.test_dashboard import AGAIN, DAY, HOME, HOUR, being_cancelled
from tests.support.factories import a_booking, a_show, move_start
from tests.support.staff import page, rows, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("zone", "clock"), [("Europe/Berlin", "20:00"), ("America/New_York", "01:30"), ("UTC", "04:00")]
)
def test_tonight_ends_at_four_in_the_morning(settings, monkeypatch, zone, clock):
    settings.TIME_ZONE = zone
    moment = datetime.combine(localtime().date() + DAY, time.fromisoformat(clock), ZoneInfo(zone))
    monkeypatch.setattr(
        days, "localtime", lambda at=None: (at or moment).astimezone(ZoneInfo(zone))
    )
    ends = datetime.combine(
        moment.date() + (DAY if clock >= "04:00" else 0 * DAY), time(4), ZoneInfo(zone)
    )
    last, next_day = a_show(date_time=ends - timedelta(minutes=1)), a_show(date_time=ends)

    told = dashboard.tonight()

    assert [row["show"] for row in told["shows"]] == [last]
    assert told["title"] == "Tonight"
    assert rows(superuser().get(page("show_changelist"), {"day": "tonight"})) == [last]
    last.delete()
    told = dashboard.tonight()
    assert ([row["show"] for row in told["shows"]], told["title"]) == ([next_day], "Next shows")


def test_what_is_over_is_not_tonight():
    over, running = a_show(), a_show()
    move_start(over, -HOUR)
    move_start(running, timedelta(minutes=-10))

    assert [row["show"] for row in dashboard.tonight()["shows"]] == [running]


@pytest.fixture
def evening(monkeypatch, settings) -> datetime:
    """It is 21:00; the database's clock, which decides what is over, stands two hours before it."""
    settings.TIME_ZONE = "UTC"
    moment = datetime.combine(timezone.now().date() + 2 * DAY, time(21), ZoneInfo("UTC"))
    monkeypatch.setattr(days, "localtime", lambda at=None: at or moment)
    for module in (dashboard, models):
        monkeypatch.setattr(module, "Now", lambda: Cast(Value(moment), DateTimeField()))
    return moment


def test_a_cancelled_show_stays_for_its_night_and_says_so(evening):
    off = {"cancelled_at": timezone.now()}
    last_night, afternoon = (
        a_show(date_time=evening - 18 * HOUR, **off),
        a_show(date_time=evening - 4 * HOUR, **off),
    )
    over, to_come = a_show(date_time=evening - 4 * HOUR), a_show(date_time=evening + HOUR)
    night = a_show(date_time=evening + 2 * HOUR, **off)
    a_show(date_time=evening + 8 * HOUR, **off)  # of the next night
    assert last_night.date_time < over.date_time

    told = dashboard.tonight()

    assert [(row["show"], row["in"], row["open"]) for row in told["shows"]] == [
        (afternoon, "cancelled", False),
        (to_come, "in 1 h 00 min", True),
        (night, "cancelled", False),
    ]
    assert told["title"] == "Tonight"


def test_where_all_of_tonight_is_cancelled_what_comes_next_is_told_too(evening):
    off = {"cancelled_at": timezone.now()}
    cancelled, tomorrow = a_show(date_time=evening + HOUR, **off), a_show(date_time=evening + DAY)
    a_show(date_time=evening + DAY, **off)

    told = dashboard.tonight()

    assert ([row["show"] for row in told["shows"]], told["title"]) == (
        [cancelled, tomorrow],
        "Next shows",
    )


def test_a_cancelled_show_is_marked_in_the_row_of_its_film():
    soon = timedelta(minutes=1)
    a_show(soon), a_show(soon, cancelled_at=timezone.now())

    html = page_of(superuser())
    rows = re.findall(r'<a class="desk-show( desk-off)?".*?<small>(.*?)</small>', html, re.DOTALL)

    assert sorted(rows) == [("", "in 1 min"), (" desk-off", "cancelled")]
    assert (html.count("nothing is sold"), html.count("</b> free")) == (1, 1)


def page_of(client, path: str = HOME) -> str:
    return client.get(path).content.decode()


def test_an_open_page_fetches_tonight_and_what_is_being_cancelled_as_the_page_has_them():
    show, cancelled, client = a_show(2 * DAY), being_cancelled(), staff(["view_show"])
    part = page_of(client, AGAIN).strip()

    assert part in page_of(client)
    a_booking(show=show, seats=(1, 2))
    bookings.cancel_bookings_of_cancelled_shows(1)

    changed = page_of(client, AGAIN)
    assert ("<b>0</b> sold" in part, "<b>2</b> sold" in part) == (True, False)
    assert "<b>2</b> sold" in changed
    assert ("0 of 3 bookings are done" in part, "1 of 3 bookings are done" in changed) == (
        True,
        True,
    )
    assert f'data-show="{cancelled.pk}"' not in changed  # it is not of tonight
    assert "<html" not in changed


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(minutes=-12), "started 12 min ago"),
        (timedelta(minutes=45), "in 45 min"),
        (timedelta(minutes=65), "in 1 h 05 min"),
        (timedelta(days=2, hours=3), "in 2 d 3 h"),
    ],
)
def test_the_time_to_the_start_is_told_as_one_says_it(left, told):
    assert dashboard.until(left) == told


def test_what_does_not_fit_into_tonight_is_told(monkeypatch):
    shows, client = [a_show(minutes * timedelta(minutes=1)) for minutes in (5, 6, 7)], superuser()
    monkeypatch.setattr(dashboard, "MOST_SHOWS", 2)

    response = client.get(HOME)

    assert [row["show"] for row in response.context["tonight"]["shows"]] == shows[:2]
    assert re.search(
        rf'And 1 more: <a href="{reverse("admin:cinema_show_changelist")}\?day=tonight">',
        response.content.decode(),
    )
    shows[0].delete()
    assert " more: <a" not in client.get(HOME).content.decode()
