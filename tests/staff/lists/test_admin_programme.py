"""The programme in the admin: counts, filters, refusals at the field, and two clerks who save at
once.
"""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime

from cinema.programme.models import Movie, Show
from cinema.sales import bookings
from cinema.sales.models import Booking
from tests.support.factories import (
    a_booking,
    a_caller,
    a_hold,
    a_movie,
    a_screen,
    a_show,
    make_stale,
)
from tests.support.racing import race
from tests.support.staff import (
    BOX_OFFICE,
    PROGRAMME,
    act,
    cells,
    errors,
    page,
    rows,
    sentences,
    show_form,
    staff,
    superuser,
)
from tests.support.suite.patience import PATIENCE_SECONDS

on_sqlite = connection.vendor == "sqlite"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_the_list_of_shows_counts_sold_held_and_free():
    show = a_show(total_seats=20)
    a_booking(show=show, seats=(1, 2, 3))
    a_hold(show=show, seats=(4, 5))
    make_stale(a_hold(show=show, seats=(6,)))
    caller = a_caller()
    bookings.cancel(caller, a_booking(caller, show=show, seats=(7,)).pk)

    response = staff(BOX_OFFICE).get(page("show_changelist"))

    (row,) = rows(response)
    assert (row.total_seats, row.sold, row.held) == (20, 3, 2)
    for name, number in {"total_seats": 20, "sold": 3, "held": 2, "free": 15}.items():
        assert cells(response, name) == [str(number)], name
    starts = f"{localtime(show.date_time):%a %d %b %Y %H:%M}".replace(" ", "\N{NO-BREAK SPACE}")
    assert cells(response, "starts") == [starts]
    assert f'href="{page("show_seats", show.pk)}"' in response.content.decode()


@pytest.mark.django_db
def test_the_list_of_shows_says_which_are_cancelled():
    for cancelled_at in (None, timezone.now()):
        a_show(cancelled_at=cancelled_at)

    response = staff(BOX_OFFICE).get(page("show_changelist"))

    assert sorted(cells(response, "cancelled")) == ["", "cancelled"]


@pytest.mark.django_db
def test_shows_are_filtered_by_day_screen_and_film():
    today = localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    show = a_show(date_time=today)
    tomorrow, past, later = (a_show(date_time=today + days * DAY) for days in (1, -1, 7))
    client = staff(PROGRAMME)

    def found(**query) -> set[Show]:
        return set(rows(client.get(page("show_changelist"), query)))

    assert found(day="today") == {show}
    assert found(day="tomorrow") == {tomorrow}
    assert found(day="week") == {show, tomorrow}
    assert found(day="later") == {later}
    assert found(day="past") == {past}
    assert found(day="no such day") == {show, tomorrow, past, later}
    assert found(screen__id__exact=show.screen_id) == {show}
    assert found(movie__id__exact=later.movie_id) == {later}
    assert found(q=past.movie.title) == {past}


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_a_day_is_the_cinemas_own(settings, zone):
    settings.TIME_ZONE = zone
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    last, first = a_show(date_time=midnight - timedelta(minutes=1)), a_show(date_time=midnight)
    client = staff(PROGRAMME)

    assert rows(client.get(page("show_changelist"), {"day": "today"})) == [last]
    assert rows(client.get(page("show_changelist"), {"day": "tomorrow"})) == [first]


@pytest.mark.django_db
def test_programme_staff_add_a_film_a_screen_and_a_show():
    client = staff(PROGRAMME)

    client.post(page("movie_add"), {"title": "Alraune", "duration_minutes": 108})
    client.post(page("screen_add"), {"name": "Balcony"})
    movie, screen = Movie.objects.get(title="Alraune"), a_screen()
    show = Show(
        movie=movie,
        screen=screen,
        date_time=timezone.now().replace(microsecond=0) + DAY,
        total_seats=9,
    )
    response = client.post(page("show_add"), show_form(show))

    assert response.status_code == 302
    saved = Show.objects.get()
    assert (saved.movie, saved.screen, saved.date_time, saved.total_seats) == (
        movie,
        screen,
        show.date_time,
        9,
    )


@pytest.mark.django_db
def test_foreign_keys_are_chosen_by_typing():
    show, client = a_show(), staff(PROGRAMME)
    query = {
        "app_label": "cinema",
        "model_name": "show",
        "field_name": "movie",
        "term": show.movie.title,
    }

    results = client.get(reverse("admin:autocomplete"), query).json()["results"]

    assert results == [{"id": str(show.movie_id), "text": show.movie.title}]
    assert "admin-autocomplete" in client.get(page("show_add")).content.decode()


@pytest.mark.django_db
def test_an_overlap_is_refused_at_the_start():
    show, client = a_show(), staff(PROGRAMME)

    response = client.post(page("show_add"), show_form(show, date_time=show.date_time + HOUR))

    assert errors(response) == {
        "date_time": [f"This overlaps the {show.description}, cleaning included."]
    }
    assert list(Show.objects.all()) == [show]


@pytest.mark.django_db(transaction=True)
def test_a_cut_below_a_sold_seat_is_refused_at_the_seats():
    show = a_booking(seats=(40,)).show

    response = staff(PROGRAMME).post(page("show_change", show.pk), show_form(show, total_seats=39))

    assert errors(response) == {"total_seats": ["Seat 40 is sold or held: 40 is the least."]}
    assert Show.objects.get().total_seats == 100


@pytest.mark.django_db
def test_a_film_that_gets_too_long_is_refused_at_the_duration():
    movie = a_movie(duration_minutes=100)
    show = a_show(movie=movie)
    a_show(movie=a_movie(), screen=show.screen, date_time=show.date_time + 2 * HOUR)

    response = staff(PROGRAMME).post(
        page("movie_change", movie.pk), {"title": movie.title, "duration_minutes": 110}
    )

    assert list(errors(response)) == ["duration_minutes"]
    assert Movie.objects.get(pk=movie.pk).duration_minutes == 100


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["show", "movie", "screen", "user"])
def test_what_has_bookings_is_protected_and_the_page_says_by_what(name):
    booking, client = a_booking(), superuser()
    row = {
        "show": booking.show,
        "movie": booking.show.movie,
        "screen": booking.show.screen,
        "user": booking.user,
    }[name]
    what = (
        page("show_change", booking.show_id)
        if name == "screen"
        else page("booking_change", booking.pk)
    )

    one = client.post(page(f"{name}_delete", row.pk), {"post": "yes"})
    several = act(client, name, "delete_selected", row, post="yes")

    for html in (one.content.decode(), several.content.decode()):
        assert "protected related objects" in html
        assert f'<a href="{what}">' in html
    row.refresh_from_db()
    assert Booking.objects.get() == booking


@pytest.mark.django_db
@pytest.mark.parametrize("start", ["0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31"])
def test_a_start_at_the_ends_of_the_calendar_is_refused_at_the_field(start):
    show, client = a_show(), superuser()

    answer = client.post(page("show_change", show.pk), show_form(show) | {"date_time_0": start})

    assert "The year must be from 1900 to 2999." in errors(answer)["date_time"]


# Two clerks at once


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_add_shows_at_once_one_reads_why_not():
    show = a_show()
    drafts = [show_form(show, date_time=show.date_time + DAY, movie=a_movie().pk) for _ in range(2)]
    clerks = [staff(PROGRAMME) for _ in drafts]

    answers = race(
        *[lambda c=c, d=d: c.post(page("show_add"), d) for c, d in zip(clerks, drafts, strict=True)]
    )

    refused, saved = sorted(answers, key=lambda answer: answer.status_code)
    assert saved.status_code == 302
    assert list(errors(refused)) == ["date_time"]
    assert Show.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_save_does_not_undo_what_another_writes_at_that_moment():
    show, clerk, written = a_show(), staff(PROGRAMME), threading.Event()

    def another():
        with transaction.atomic():
            Show.objects.select_for_update().filter(pk=show.pk).update(cancelled_at=timezone.now())
            written.set()
            time.sleep(0.3)  # the clerk's save is waiting by now

    def save():
        written.wait(PATIENCE_SECONDS)
        return clerk.post(page("show_change", show.pk), show_form(show, total_seats=120))

    _, answer = race(another, save)

    assert answer.status_code == 302
    show.refresh_from_db()
    assert (show.total_seats, show.cancelled_at is not None) == (120, True)


@pytest.mark.skipif(
    on_sqlite, reason="SQLite has one writer at a time: nothing slips in behind a check"
)
@pytest.mark.django_db(transaction=True)
def test_what_slips_in_behind_the_forms_check_is_told_and_not_a_fault(monkeypatch):
    checked, clerks = threading.Barrier(2), [staff(PROGRAMME), staff(PROGRAMME)]
    monkeypatch.setattr(
        Movie, "validate_constraints", lambda *_, **__: checked.wait(PATIENCE_SECONDS)
    )  # after the unique check
    form = {"title": "Alraune", "duration_minutes": 108}

    answers = race(*[lambda c=c: c.post(page("movie_add"), form) for c in clerks])

    assert [answer.status_code for answer in answers] == [302, 302]
    told = [sentence for clerk in clerks for sentence in sentences(clerk.get(page("movie_add")))]
    assert sum("at the same moment, so nothing was saved" in sentence for sentence in told) == 1
    assert Movie.objects.count() == 1
