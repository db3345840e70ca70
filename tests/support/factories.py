"""Things to sell and people to sell them to, with the least that a test has to say."""

from datetime import timedelta
from functools import cache
from itertools import count

from django.contrib.auth.hashers import get_hasher, make_password
from django.utils import timezone

from cinema.people.caller import Caller
from cinema.people.models import AuthSession, User
from cinema.programme.models import Movie, Screen, Show
from cinema.sales import bookings
from cinema.sales.models import Booking

numbers = count(1)
PASSWORD = "a long enough passphrase"


@cache
def hashed(_algorithm: str) -> str:
    """Once a process and hasher: it takes longer than the rest of most tests."""
    return make_password(PASSWORD)


def a_customer(name: str = "", **fields) -> User:
    name = name or f"customer{next(numbers)}"
    password = hashed(get_hasher().algorithm)
    return User.objects.create(
        username=name, email=f"{name}@example.com", password=password, **fields
    )


def a_movie(**fields) -> Movie:
    return Movie.objects.create(
        **{"title": f"Film {next(numbers)}", "duration_minutes": 100} | fields
    )


def a_screen() -> Screen:
    return Screen.objects.create(name=f"Screen {next(numbers)}")


def a_show(starts_in: timedelta = timedelta(days=1), **fields) -> Show:
    """On a screen of its own, so that it overlaps nothing."""
    movie, screen = fields.pop("movie", None) or a_movie(), fields.pop("screen", None) or a_screen()
    fields = {"total_seats": 100, "date_time": timezone.now() + starts_in} | fields
    return Show.objects.create(movie=movie, screen=screen, **fields)


def a_caller(user: User | None = None) -> Caller:
    """A logged-in customer as the core sees one."""
    user = user or a_customer()
    login = AuthSession.objects.create(
        user=user, refresh_jti="x" * 32, expires_at=timezone.now() + timedelta(days=7)
    )
    return Caller(user.pk, login.pk)


def a_booking(
    caller: Caller | None = None, show: Show | None = None, seats: tuple[int, ...] = (5,)
) -> Booking:
    told = bookings.book(caller or a_caller(), (show or a_show()).pk, seats).booking
    return Booking.objects.get(pk=told.id)


def a_hold(
    caller: Caller | None = None, show: Show | None = None, seats: tuple[int, ...] = (5,)
) -> Booking:
    told = bookings.hold(caller or a_caller(), (show or a_show()).pk, seats).booking
    return Booking.objects.get(pk=told.id)


def a_clerk(customer: User | None = None) -> Caller:
    """Staff in the admin, who sell to this customer."""
    return Caller(
        a_customer(is_staff=True).pk, staff=True, customer_id=customer.pk if customer else None
    )


def make_stale(hold: Booking) -> Booking:
    """As if HOLD_SECONDS had passed."""
    past = timezone.now() - timedelta(seconds=1)
    Booking.objects.filter(pk=hold.pk).update(expires_at=past)
    hold.seats.update(held_until=past)
    hold.refresh_from_db()
    return hold


def move_start(show: Show, to: timedelta) -> None:
    """As if time had passed: `to` from now, without the checks of an edit."""
    Show.objects.filter(pk=show.pk).update(date_time=timezone.now() + to)
