"""The front page of the staff: every figure is what SQL says, for who may see it, in few queries."""

import json
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime, make_aware

from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import Booking
from cinema.staff import dashboard
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_show,
    make_stale,
)
from tests.support.staff import BOX_OFFICE, PROGRAMME, queries, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)
HOME, AGAIN = "/admin/", "/admin/now/"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def sql(statement: str, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()


def made(booking: Booking, at: datetime) -> Booking:
    Booking.objects.filter(pk=booking.pk).update(created_at=at)
    return booking


def something_of_everything() -> list[Show]:
    film = a_movie()
    shows = [
        a_show(HOUR, total_seats=20),
        a_show(2 * HOUR, movie=film, total_seats=30),
        a_show(3 * DAY, movie=film),
    ]
    caller = a_caller()
    for number, show in enumerate(shows, 1):
        a_booking(show=show, seats=tuple(range(1, 2 + number)))
        a_hold(show=show, seats=(15, 16))
        make_stale(a_hold(show=show, seats=(18,)))
        bookings.cancel(caller, a_booking(caller, show, (19,)).pk)
    return shows


SEATS = """
    SELECT (SELECT count(*) FROM cinema_booking b JOIN cinema_bookingseat s ON s.booking_id = b.id
              WHERE b.show_id = %s AND b.status = 'booked'),
           (SELECT count(*) FROM cinema_booking b JOIN cinema_bookingseat s ON s.booking_id = b.id
              WHERE b.show_id = %s AND b.status = 'pending' AND b.expires_at > {now})"""
NOW = {"sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')", "mysql": "utc_timestamp(6)"}.get(
    connection.vendor, "now()"
)


def test_each_show_tells_the_seats_that_sql_counts():
    shows = something_of_everything()

    told = superuser().get(HOME).context["tonight"]["shows"]

    seen = {row["show"].pk: (row["show"].sold, row["show"].held, row["free"]) for row in told}
    assert {shows[0].pk, shows[1].pk} <= set(seen) | ({shows[1].pk} if len(seen) == 1 else set())
    for row in told:
        ((booked, held),) = sql(SEATS.format(now=NOW), row["show"].pk, row["show"].pk)
        assert seen[row["show"].pk] == (booked, held, row["show"].total_seats - booked - held)
        assert row["percent"]["sold"] == round(100 * booked / row["show"].total_seats, 1)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_the_sales_of_each_day_and_film_are_what_sql_counts(settings, zone):
    settings.TIME_ZONE = zone
    show, other, caller = a_show(), a_show(), a_caller()
    for back in (0, 1, 5, 13, 14, 20):
        midnight = make_aware(datetime.combine(localtime().date() - back * DAY, time.min))
        made(
            a_booking(show=show, seats=(back + 1, 80))
            if back == 5
            else a_booking(show=show, seats=(back + 1,)),
            midnight,
        )
        made(a_booking(show=other, seats=(back + 1,)), midnight - timedelta(seconds=1))
    bookings.cancel(caller, a_booking(caller, show, (90,)).pk)
    a_hold(show=other, seats=(91,))

    told = superuser().get(HOME).context["sales"]

    utc = {"Pacific/Auckland": ZoneInfo(zone), "America/Los_Angeles": ZoneInfo(zone)}.get(
        zone, ZoneInfo("UTC")
    )
    stood = sql("""SELECT b.created_at, m.title FROM cinema_booking b JOIN cinema_show s ON s.id = b.show_id
                   JOIN cinema_movie m ON m.id = s.movie_id WHERE b.status = 'booked'""")
    days: dict[date, int] = {}
    films: dict[str, int] = {}
    today = timezone.now().astimezone(utc).date()
    for at, title in stood:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        day = moment.replace(tzinfo=moment.tzinfo or ZoneInfo("UTC")).astimezone(utc).date()
        if today - 13 * DAY <= day <= today:
            days[day] = days.get(day, 0) + 1
            films[title] = films.get(title, 0) + 1
    expected = [days.get(today - back * DAY, 0) for back in range(13, -1, -1)]
    assert [count for _, count in told["days"]] == expected
    assert sum(expected) == told["total"] == 7
    assert dict(told["films"]) == films == {show.movie.title: 4, other.movie.title: 3}
    assert json.loads(told["day_chart"])["datasets"][0]["data"] == expected


def being_cancelled() -> Show:
    """Three bookings of it are left, one of them with two seats, and a hold has run out."""
    show, clerk = (
        a_show(),
        a_caller(a_customer(is_staff=True))._replace(session_id=None, staff=True),
    )
    (
        a_booking(show=show, seats=(1,)),
        a_booking(show=show, seats=(2, 3)),
        a_hold(show=show, seats=(4,)),
    )
    make_stale(a_hold(show=show, seats=(5,)))
    bookings.cancel_show(clerk, show.pk)
    return Show.objects.get(pk=show.pk)


def test_a_show_that_is_being_cancelled_tells_how_far_it_is():
    show = being_cancelled()
    bookings.cancel_bookings_of_cancelled_shows(1)

    response = superuser().get(HOME)
    told = [(row["show"], row["progress"]) for row in response.context["cancelling"]]

    assert told == [(show, show.progress)] == [(show, (1, 3))]
    assert "1 of 3 bookings are done" in response.content.decode()
    bookings.cancel_bookings_of_cancelled_shows(9)
    assert 'id="cancelling"' not in superuser().get(HOME).content.decode()


def test_five_shows_that_are_being_cancelled_are_asked_for_like_one():
    client = staff([*BOX_OFFICE, "view_passwordreset"])
    something_of_everything()
    shows = [being_cancelled()]
    one = queries(client, HOME)

    shows += [being_cancelled() for _ in range(4)]

    assert [(row["show"], row["progress"]) for row in client.get(HOME).context["cancelling"]] == [
        (show, (0, 3)) for show in shows
    ]
    assert queries(client, HOME) == one <= 20


@pytest.mark.parametrize(
    ("permissions", "seen"),
    [
        ([], set()),
        (PROGRAMME, {"tonight"}),
        (BOX_OFFICE, {"tonight", "summary", "health", "mails", "sales", "films", "find"}),
        (["view_booking"], {"summary", "health", "sales", "films", "find"}),
        (["view_bookingevent"], {"mails"}),
        (["view_passwordreset"], {"mails"}),
    ],
)
def test_what_a_person_may_not_see_is_not_there(permissions, seen):
    something_of_everything()

    html = staff(permissions).get(HOME).content.decode()

    assert parts_of(html) == seen
    again = staff(permissions).get(AGAIN)
    changing = seen - {"sales", "films", "find"}
    assert (again.status_code, parts_of(again.content.decode())) == (
        200 if changing else 403,
        changing,
    )


def parts_of(html: str) -> set[str]:
    parts = {"tonight", "cancelling", "summary", "health", "mails", "sales", "films", "find"}
    return {part for part in parts if f'id="{part}"' in html}


def test_the_front_page_leads_to_a_booking_by_reference_name_and_mail():
    booking = a_booking(a_caller(a_customer("mia.wong", first_name="Mia", last_name="Wong")))
    a_booking()
    client = staff(BOX_OFFICE)
    assert (
        f'action="{reverse("admin:cinema_booking_changelist")}"'
        in client.get(HOME).content.decode()
    )

    for typed in (
        booking.reference,
        booking.reference.lower(),
        "Mia",
        "wong",
        "mia.wong@example",
        "mia wong",
    ):
        found = client.get(reverse("admin:cinema_booking_changelist"), {"q": typed})
        assert list(found.context["cl"].result_list) == [booking], typed


def test_the_front_page_asks_little_however_much_there_is():
    client = superuser()
    something_of_everything()
    few = queries(client, HOME)

    something_of_everything()

    assert queries(client, HOME) == few <= 20


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="the others have no such time-out, and no such crowd"
)
def test_a_sum_that_takes_too_long_is_fetched_behind_the_page(monkeypatch):
    a_booking()
    monkeypatch.setattr(
        dashboard, "sold", lambda days: sql("SELECT 13, 'Film', 1 FROM pg_sleep(0.4)")
    )
    client = superuser()

    response = client.get(HOME)

    assert response.context["sales"] == {"later": True}
    assert f'data-later="{reverse("staff_sales")}"' in response.content.decode()
    part = client.get(reverse("staff_sales"))
    assert (part.context["sales"]["total"], "<html" in part.content.decode()) == (1, False)
    assert client.get(HOME).status_code == 200  # the time-out ended with the page
