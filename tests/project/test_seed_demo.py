"""The demo data: a programme to walk through, that only ever grows."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime, make_aware

from cinema.people.models import User
from cinema.programme.models import Movie, Screen, Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from project.management.commands import seed_demo
from project.management.commands.seed_demo import DEMO_LOGINS
from tests.support.factories import PASSWORD, a_caller, a_customer, a_movie, a_screen, a_show

MODELS = Movie, Screen, Show, Booking, BookingSeat, BookingEvent, User
DAY = timedelta(days=1)


def local(moment: str) -> datetime:
    return make_aware(datetime.fromisoformat(moment))


MORNING = local("2030-06-03 08:00")


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True


def run() -> str:
    out = StringIO()
    call_command("seed_demo", stdout=out)
    return out.getvalue()


def everything() -> dict:
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in MODELS}


def assert_kept(before: dict) -> None:
    """Every row that stood is as it was."""
    after = everything()
    for name, kept in before.items():
        assert [row for row in after[name] if row["id"] in {old["id"] for old in kept}] == kept


def days_with_shows() -> list:
    return sorted({localtime(show.date_time).date() for show in Show.objects.all()})


def overlaps() -> list[Show]:
    return [show for show in Show.objects.select_related("movie") if show.overlapping()]


@pytest.mark.django_db
def test_an_empty_database_gets_a_week_of_six_films_on_four_screens():
    said = run()

    today = localtime().date()
    days = days_with_shows()
    assert days[-8:] == [today + n * DAY for n in range(8)][-len(days) :]
    assert days[0] in (today, today + DAY)  # late in the evening nothing of today is still to come
    assert (Movie.objects.count(), Screen.objects.count()) == (6, 4)
    for day in days[1:]:
        shows = Show.objects.on(day)
        films, screens = {show.movie_id for show in shows}, {show.screen_id for show in shows}
        assert (shows.count(), len(films), len(screens)) == (16, 6, 4)
    assert not Show.objects.filter(date_time__lte=timezone.now()).exists()
    assert overlaps() == []
    assert (
        said
        == f"Demo data: {Show.objects.count()} shows, {Booking.objects.count()} bookings and 4 logins added.\n"
    )


@pytest.mark.django_db
@pytest.mark.parametrize("hour", range(24))
def test_show_1_is_of_film_1_and_a_day_ahead_at_any_hour(hour):
    moment = MORNING.replace(hour=hour, minute=59)

    seed_demo.seed(moment)

    movie, show = Movie.objects.order_by("pk").first(), Show.objects.order_by("pk").first()
    assert show.movie == movie
    assert show.date_time >= moment + DAY
    assert show.total_seats >= 5
    assert not show.seats.exists()


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_on_a_fresh_database_film_and_show_are_number_1_and_seat_5_is_free():
    run()

    show = Show.objects.get(pk=1)
    assert show.movie == Movie.objects.get(pk=1)
    assert show.date_time >= timezone.now() + DAY
    assert bookings.book(a_caller(), 1, [5]).booking.seat_numbers == [5]


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"])
def test_the_times_are_the_cinemas_own(settings, zone):
    settings.TIME_ZONE = zone

    run()

    starts = {f"{localtime(show.date_time):%H:%M}" for show in Show.objects.all()}
    assert starts == {
        f"{hour}:{minute:02}" for hour in (11, 14, 17, 20) for minute in (0, 15, 30, 45)
    }
    assert days_with_shows()[-1] == localtime().date() + 7 * DAY


@pytest.mark.django_db
def test_a_second_run_adds_nothing_and_changes_nothing():
    run()
    before = everything()

    said = run()

    assert said == "Demo data: 0 shows, 0 bookings and 0 logins added.\n"
    assert everything() == before


@pytest.mark.django_db
def test_a_later_hour_of_the_day_adds_nothing():
    seed_demo.seed(MORNING)
    before = everything()

    for hour in (12, 15, 23):
        seed_demo.seed(MORNING.replace(hour=hour))

    assert everything() == before


@pytest.mark.django_db
def test_three_days_later_three_days_are_added():
    seed_demo.seed(MORNING)
    before = everything()
    assert days_with_shows() == [MORNING.date() + n * DAY for n in range(8)]

    said = seed_demo.seed(MORNING + 3 * DAY)

    assert said == "Demo data: 48 shows, 0 bookings and 0 logins added."
    assert days_with_shows() == [MORNING.date() + n * DAY for n in range(11)]
    assert_kept(before)
    assert overlaps() == []


@pytest.mark.django_db
def test_a_month_later_there_is_a_whole_week_again():
    seed_demo.seed(MORNING)

    said = seed_demo.seed(MORNING + 30 * DAY)

    assert said == "Demo data: 128 shows, 0 bookings and 0 logins added."


@pytest.mark.django_db
def test_a_place_that_staff_have_filled_is_left_out():
    seed_demo.seed(MORNING)
    screen = Screen.objects.get(name="Screen 2")
    own = a_show(
        movie=a_movie(duration_minutes=100), screen=screen, date_time=local("2030-06-11 13:00")
    )

    said = seed_demo.seed(MORNING + DAY)

    assert said == "Demo data: 15 shows, 0 bookings and 0 logins added."
    that_day = Show.objects.on(own.date_time.date()).filter(screen=screen)
    assert [f"{localtime(show.date_time):%H:%M}" for show in that_day] == [
        "11:15",
        "13:00",
        "17:15",
        "20:15",
    ]
    assert overlaps() == []


@pytest.mark.django_db
def test_what_staff_have_moved_and_cancelled_stays_as_it_is():
    seed_demo.seed(MORNING)
    moved, cancelled = Show.objects.all()[:2]
    moved.date_time -= timedelta(minutes=30)
    moved.save()
    Show.objects.filter(pk=cancelled.pk).update(cancelled_at=timezone.now())
    before = everything()

    said = seed_demo.seed(MORNING)

    assert said == "Demo data: 0 shows, 0 bookings and 0 logins added."
    assert everything() == before


@pytest.mark.django_db
def test_a_long_cleaning_makes_fewer_shows_and_no_overlap(settings):
    settings.CLEANING_MINUTES = 300

    seed_demo.seed(MORNING)
    before = everything()

    assert 0 < Show.objects.count() < 128
    assert overlaps() == []
    assert seed_demo.seed(MORNING) == "Demo data: 0 shows, 0 bookings and 0 logins added."
    assert everything() == before


@pytest.mark.django_db
def test_the_bookings_are_final_and_owe_no_mail():
    run()

    assert set(Booking.objects.values_list("status", flat=True)) == {"booked", "cancelled"}
    assert not BookingEvent.objects.owed().exists()
    assert {(event.booking.user.username, event.mail_state) for event in BookingEvent.objects.all()} == {
        ("customer", "sent"), ("walk-in", "none"),
    }  # fmt: skip
    for booking in Booking.objects.all():
        assert booking.events.count() == (2 if booking.status == "cancelled" else 1)
        assert booking.seat_numbers
        assert max(booking.seat_numbers) <= booking.show.total_seats
        taken = {seat.taken for seat in booking.seats.all()}
        assert taken == ({None} if booking.status == "cancelled" else {True})


@pytest.mark.django_db
def test_the_bookings_were_made_on_each_of_the_last_14_days_in_the_order_of_their_numbers():
    seed_demo.seed(MORNING)

    made = list(Booking.objects.order_by("pk").values_list("created_at", flat=True))
    days = {(MORNING - at) // DAY for at in made}
    assert days == set(range(14))
    assert made == sorted(made)
    assert max(made) <= MORNING
    assert len(Booking.objects.filter(user__username="customer")) == 8
    for event in BookingEvent.objects.filter(kind="booked").select_related("booking"):
        assert event.at == event.booking.created_at
    for event in BookingEvent.objects.filter(kind="cancelled").select_related("booking"):
        assert MORNING > event.at == event.booking.updated_at > event.booking.created_at


@pytest.mark.django_db
def test_the_halls_of_tonight_are_partly_sold():
    seed_demo.seed(MORNING)

    for show in Show.objects.on(MORNING.date()):
        assert 2 <= show.seats.live().count() < show.total_seats / 2


@pytest.mark.django_db
def test_the_demo_logins_open_what_they_say():
    run()

    sees = {}
    for username, password, _ in DEMO_LOGINS:
        validate_password(password, User.objects.get(username=username))
        client = Client()
        assert client.login(username=username, password=password)
        pages = [reverse("admin:cinema_booking_changelist"), reverse("admin:cinema_show_add")]
        sees[username] = [client.get(page).status_code for page in pages]
    superuser = User.objects.get(is_superuser=True)
    assert sees["admin"] == [200, 200]
    assert sees["customer"] == [302, 302]
    assert superuser.username == "admin"


@pytest.mark.django_db
def test_the_clerks_are_in_their_groups():
    run()

    for username, group in [("boxoffice", "Box office"), ("programme", "Programme")]:
        assert list(User.objects.get(username=username).groups.values_list("name", flat=True)) == [
            group
        ]


@pytest.mark.django_db
def test_a_name_or_mail_that_somebody_has_stays_theirs():
    first, second = a_customer("admin"), a_customer("else")
    User.objects.filter(pk=second.pk).update(email="boxoffice@example.com")
    before = everything()

    said = run()

    assert said.endswith("and 2 logins added.\n")
    assert_kept(before)
    first.refresh_from_db()
    assert (first.is_staff, first.is_superuser, first.check_password(PASSWORD)) == (
        False,
        False,
        True,
    )


@pytest.mark.django_db
def test_the_names_of_the_readme_walk_are_free():
    run()

    assert not User.objects.filter(username__in=["testuser", "john_doe"]).exists()
    assert not User.objects.filter(email__in=["test@example.com", "john@example.com"]).exists()


@pytest.mark.django_db
def test_a_cinema_of_its_own_is_left_alone():
    a_show()
    before = everything()

    said = run()

    assert said == "Demo data: nothing added, the films here are your own.\n"
    assert everything() == before


@pytest.mark.django_db
def test_a_screen_that_is_there_is_used():
    screen = a_screen()
    Screen.objects.filter(pk=screen.pk).update(name="Screen 3")

    run()

    assert Screen.objects.count() == 4
    assert screen.shows.exists()


@pytest.mark.django_db
def test_without_debug_it_refuses_with_a_sentence(settings):
    settings.DEBUG = False

    with pytest.raises(
        CommandError, match=r"^Demo data is for development: it is loaded with DEBUG on only\.$"
    ):
        run()

    assert {name: rows for name, rows in everything().items() if rows} == {}
