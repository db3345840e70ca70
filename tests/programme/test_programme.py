"""The rules of a programme: what overlaps, what blocks nothing, what cannot be cut, and what is
never deleted.
"""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.timezone import localtime

from cinema.programme import models
from cinema.programme.models import Movie, Screen, Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingSeat
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_screen,
    a_show,
    make_stale,
)
from tests.support.racing import kinds, race
from tests.support.suite.patience import PATIENCE_SECONDS

on_sqlite = connection.vendor == "sqlite"
DAY = timedelta(days=1)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def refused(act) -> dict[str, list[str]]:
    """The sentences of a refusal, field by field."""
    with pytest.raises(ValidationError) as caught:
        act()
    return caught.value.message_dict


def next_to(show: Show, after: timedelta, **fields) -> Show:
    """Another show on the same screen, not saved."""
    values = {"movie": show.movie, "screen": show.screen, "total_seats": 50} | fields
    return Show(date_time=show.date_time + after, **values)


@pytest.mark.django_db
@pytest.mark.parametrize("after", [-114, -1, 0, 1, 114])
def test_a_show_before_the_hall_is_empty_and_clean_is_refused(after):
    show = a_show(movie=a_movie(duration_minutes=100))

    errors = refused(next_to(show, minutes(after)).save)

    starts = f"{localtime(show.date_time):%Y-%m-%d %H:%M}"
    told = f"show of {show.movie.title} on {show.screen.name}, {starts}"
    assert errors == {"date_time": [f"This overlaps the {told}, cleaning included."]}
    assert list(Show.objects.all()) == [show]


@pytest.mark.django_db
@pytest.mark.parametrize("after", [-115, 115])
def test_a_show_right_behind_the_cleaning_is_fine(after):
    show = a_show(movie=a_movie(duration_minutes=100))

    next_to(show, minutes(after)).save()

    assert Show.objects.filter(screen=show.screen).count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cleaning", "after", "shows"), [(0, 100, 2), (0, 99, 1), (60, 159, 1), (60, 160, 2)]
)
def test_the_cleaning_takes_as_long_as_the_setting_says(settings, cleaning, after, shows):
    settings.CLEANING_MINUTES = cleaning
    other = next_to(a_show(movie=a_movie(duration_minutes=100)), minutes(after))

    try:
        other.save()
    except ValidationError:
        assert shows == 1

    assert Show.objects.count() == shows


@pytest.mark.django_db
def test_the_same_time_on_another_screen_is_fine():
    show = a_show()

    next_to(show, minutes(0), screen=a_screen()).save()

    assert Show.objects.count() == 2


@pytest.mark.django_db
def test_a_show_does_not_overlap_itself():
    show = a_show()

    show.date_time += minutes(30)
    show.save()

    assert Show.objects.get().date_time == show.date_time


@pytest.mark.django_db
def test_a_cancelled_show_blocks_nothing():
    show = a_show(cancelled_at=timezone.now())

    next_to(show, minutes(0)).save()

    assert Show.objects.filter(screen=show.screen).count() == 2


@pytest.mark.django_db
def test_a_cancelled_show_comes_back_only_to_a_free_screen():
    show = a_show(cancelled_at=timezone.now())
    next_to(show, minutes(0)).save()

    show.cancelled_at = None
    errors = refused(show.save)

    assert list(errors) == ["date_time"]
    assert Show.objects.filter(cancelled_at=None).count() == 1


@pytest.mark.django_db
def test_moving_a_show_to_a_busy_screen_is_refused():
    show, other = a_show(), a_show()

    other.screen, other.date_time = show.screen, show.date_time + minutes(60)
    errors = refused(other.save)

    assert list(errors) == ["date_time"]
    assert Show.objects.get(pk=other.pk).screen_id != show.screen_id


@pytest.mark.django_db
def test_a_longer_film_that_runs_into_the_next_show_is_refused_and_names_it():
    movie, follower = a_movie(duration_minutes=100), a_movie()
    first = a_show(movie=movie)
    second = next_to(first, minutes(120), movie=follower)
    second.save()

    movie.duration_minutes = 106
    errors = refused(movie.save)

    assert errors == {
        "duration_minutes": [f"The {first.description} would run into the {second.description}."]
    }
    assert Movie.objects.get(pk=movie.pk).duration_minutes == 100


@pytest.mark.django_db
def test_a_longer_film_that_runs_into_its_own_next_show_is_refused():
    movie = a_movie(duration_minutes=100)
    next_to(a_show(movie=movie), minutes(120)).save()

    movie.duration_minutes = 106
    errors = refused(movie.save)

    assert list(errors) == ["duration_minutes"]
    assert Movie.objects.get().duration_minutes == 100


@pytest.mark.django_db
def test_a_longer_film_that_still_fits_is_saved():
    movie = a_movie(duration_minutes=100)
    next_to(a_show(movie=movie), minutes(120)).save()

    movie.duration_minutes = 105
    movie.save()

    assert Movie.objects.get().duration_minutes == 105


@pytest.mark.django_db
def test_shows_of_the_past_and_cancelled_ones_do_not_keep_a_film_short():
    movie = a_movie(duration_minutes=100)
    old, cancelled = a_show(movie=movie, starts_in=-2 * DAY), a_show(movie=movie)
    for show in (old, cancelled):
        next_to(show, minutes(120), movie=a_movie()).save()
    Show.objects.filter(pk=cancelled.pk).update(cancelled_at=timezone.now())

    movie.duration_minutes = 600
    movie.save()

    assert Movie.objects.get(pk=movie.pk).duration_minutes == 600


@pytest.mark.django_db(transaction=True)
def test_a_hall_is_not_cut_below_a_sold_seat():
    show = a_show(total_seats=50)
    a_booking(show=show, seats=(7, 40))

    show.total_seats = 39
    errors = refused(show.save)

    assert errors == {"total_seats": ["Seat 40 is sold or held: 40 is the least."]}
    assert Show.objects.get().total_seats == 50


@pytest.mark.django_db(transaction=True)
def test_a_hall_is_not_cut_below_a_held_seat():
    show = a_show(total_seats=50)
    a_hold(show=show, seats=(41,))

    show.total_seats = 40
    errors = refused(show.save)

    assert errors == {"total_seats": ["Seat 41 is sold or held: 41 is the least."]}
    assert Show.objects.get().total_seats == 50


@pytest.mark.django_db(transaction=True)
def test_a_hall_is_cut_down_to_the_highest_sold_seat():
    show = a_show(total_seats=50)
    a_booking(show=show, seats=(40,))

    show.total_seats = 40
    show.save()

    assert Show.objects.get().total_seats == 40


@pytest.mark.django_db(transaction=True)
def test_a_stale_hold_and_a_cancelled_booking_do_not_keep_a_hall_large():
    show, caller = a_show(total_seats=50), a_caller()
    make_stale(a_hold(show=show, seats=(50,)))
    bookings.cancel(caller, a_booking(caller, show=show, seats=(49,)).pk)

    show.total_seats = 10
    show.save()

    assert Show.objects.get().total_seats == 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [None, bookings.cancel])
def test_a_show_with_bookings_is_never_deleted(end):
    caller, show = a_caller(), a_show()
    booking = a_booking(caller, show=show)
    if end:
        end(caller, booking.pk)

    for row in (show, show.movie, show.screen, booking):
        with pytest.raises(ProtectedError):
            row.delete()

    assert [model.objects.count() for model in (Movie, Screen, Show, Booking)] == [1, 1, 1, 1]
    assert list(booking.seats.values_list("seat_number", flat=True)) == [5]


@pytest.mark.django_db
def test_a_film_without_bookings_goes_with_its_shows():
    show = a_show()

    show.movie.delete()

    assert (Movie.objects.count(), Show.objects.count(), Screen.objects.count()) == (0, 0, 1)


def booking_row(show: Show, **fields) -> Booking:
    return Booking.objects.create(user=a_customer(), show=show, **{"status": "booked"} | fields)


def seat_row(booking: Booking, number: int, **fields) -> BookingSeat:
    return BookingSeat.objects.create(
        booking=booking, show=booking.show, seat_number=number, **fields
    )


SOON = timezone.now() + DAY
FORBIDDEN = {
    "a film of no minutes": lambda show: Movie.objects.filter(pk=show.movie_id).update(
        duration_minutes=0
    ),
    "a film of more than a day": lambda show: Movie.objects.filter(pk=show.movie_id).update(
        duration_minutes=1441
    ),
    "a hall of no seats": lambda show: Show.objects.filter(pk=show.pk).update(total_seats=0),
    "a hall of too many seats": lambda show: Show.objects.filter(pk=show.pk).update(
        total_seats=10_001
    ),
    "a second film of that title": lambda show: Movie.objects.create(
        title=show.movie.title, duration_minutes=1
    ),
    "a second screen of that name": lambda show: Screen.objects.create(name=show.screen.name),
    "seat 0": lambda show: seat_row(booking_row(show), 0),
    "a seat taken twice": lambda show: [
        seat_row(booking_row(show), 5),
        seat_row(booking_row(show), 5),
    ],
    "a seat that is not taken, yet not given back": lambda show: seat_row(
        booking_row(show), 5, taken=False
    ),
    "a hold without an end": lambda show: booking_row(show, status="pending", holding=True),
    "a hold that is not marked as one": lambda show: booking_row(
        show, status="pending", expires_at=SOON
    ),
    "a booking that ends": lambda show: booking_row(show, expires_at=SOON),
    "a booking that is a hold": lambda show: booking_row(show, holding=True),
    "an expired one that never was a hold": lambda show: booking_row(show, status="expired"),
    "a status that there is not": lambda show: booking_row(show, status="paid"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_database_itself_refuses(what):
    show = a_show()

    with pytest.raises(IntegrityError), transaction.atomic():
        FORBIDDEN[what](show)

    show.refresh_from_db()
    assert (show.movie.duration_minutes, show.total_seats) == (100, 100)
    assert (Movie.objects.count(), Screen.objects.count(), Booking.objects.count()) == (1, 1, 0)


@pytest.mark.django_db
def test_a_seat_that_was_given_back_may_be_given_back_again():
    show = a_show()

    for taken in (None, None, True):
        seat_row(booking_row(show), 5, taken=taken)

    assert BookingSeat.objects.filter(show=show, seat_number=5).count() == 3


def clerks_save(first: Show, second: Show) -> dict[str, int]:
    return kinds(race(first.save, second.save))


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_save_at_once_one_is_refused():
    show = a_show()
    drafts = [
        next_to(show, DAY, movie=a_movie()),
        next_to(show, DAY + minutes(30), movie=a_movie()),
    ]

    ended = clerks_save(*drafts)

    assert ended == {"NoneType": 1, "ValidationError": 1}
    assert Show.objects.filter(screen=show.screen).count() == 2


@pytest.mark.skipif(on_sqlite, reason="SQLite has one writer at a time: there is no race to lose")
@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_of_the_screen_both_get_in(monkeypatch):
    show = a_show()
    drafts = [
        next_to(show, DAY, movie=a_movie()),
        next_to(show, DAY + minutes(30), movie=a_movie()),
    ]
    monkeypatch.setattr(models, "lock_screens", lambda ids: None)
    looked = threading.Barrier(2)
    monkeypatch.setattr(Show, "overlapping", at_the_same_moment(looked))

    ended = clerks_save(*drafts)

    assert ended == {"NoneType": 2}
    assert Show.objects.filter(screen=show.screen).count() == 3


def at_the_same_moment(looked: threading.Barrier):
    """Show.overlapping, whose answers two clerks have before either writes."""
    overlapping = Show.overlapping

    def meeting(show: Show) -> Show | None:
        other = overlapping(show)
        looked.wait(PATIENCE_SECONDS)
        return other

    return meeting


@pytest.mark.django_db(transaction=True)
def test_of_a_longer_film_and_a_new_show_at_once_one_is_refused():
    movie = a_movie(duration_minutes=100)
    first = a_show(movie=movie)
    follower = next_to(first, minutes(120), movie=a_movie())
    movie.duration_minutes = 110

    results = race(movie.save, follower.save)

    assert kinds(results) == {"NoneType": 1, "ValidationError": 1}
    longer, shows = Movie.objects.get(pk=movie.pk).duration_minutes == 110, Show.objects.count()
    assert (longer, shows) in {(True, 1), (False, 2)}
