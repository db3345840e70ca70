"""Demo data: a week's programme from today on, some bookings and the logins to look around with.

It only ever adds rows. Run again, on any later day, it tops the programme up to seven days ahead
and leaves alone what stands: also what staff have moved, cancelled or put in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localtime, make_aware, now

from cinema.people.models import User
from cinema.programme.models import Movie, Screen, Show, lock_screens
from cinema.sales.models import Booking, BookingEvent, BookingSeat

PASSWORD = "popcorn-and-tickets"  # noqa: S105 - of the demo logins, which exist with DEBUG on alone
DEMO_LOGINS: list[tuple[str, str, str]] = [
    ("admin", PASSWORD, "superuser: everything in the admin"),
    ("boxoffice", PASSWORD, "box office: bookings in the admin"),
    ("programme", PASSWORD, "programme: films and shows in the admin"),
    ("customer", PASSWORD, "a customer of the API"),
]
STAFF: dict[str, dict[str, bool]] = {
    "admin": {"is_staff": True, "is_superuser": True},
    "boxoffice": {"is_staff": True},
    "programme": {"is_staff": True},
}
GROUP_OF = {"boxoffice": "Box office", "programme": "Programme"}

FILMS = {
    "Metropolis": 153,
    "Nosferatu": 94,
    "The General": 79,
    "Safety Last!": 74,
    "The Gold Rush": 95,
    "Battleship Potemkin": 75,
}
SCREENS = {"Screen 1": 120, "Screen 2": 80, "Screen 3": 60, "Screen 4": 40}
# of Screen 1, the others follow by a quarter of an hour each
FIRST_STARTS = [time(11), time(14), time(17), time(20)]
STAGGER = timedelta(minutes=15)
DAYS_AHEAD = 7
FIRST_SHOW_AHEAD = timedelta(hours=25)  # a day, and an hour for whoever starts the walk later

SOLD_DAYS = 14  # as many as the front page of the staff sums up
BOOKED, CANCELLED = Booking.Status.BOOKED, Booking.Status.CANCELLED

Seats = tuple[int, ...]
BOOKED_SEATS: list[tuple[int, Seats]] = [
    (1, (10, 11)),
    (2, (20,)),
    (4, (14, 15, 16)),
    (6, (30,)),
    (9, (12, 13)),
    (15, (21,)),
]
CANCELLED_SEATS: list[tuple[int, Seats]] = [(2, (33, 34)), (5, (18,))]


class Sale(NamedTuple):
    made_at: datetime
    user: User
    actor: User | None
    show: Show
    seats: Seats
    status: str

    @property
    def changes(self) -> list[tuple[str, datetime]]:
        """Return what became of it, and when."""
        booked = (str(BookingEvent.Kind.BOOKED), self.made_at)
        cancelled = (str(BookingEvent.Kind.CANCELLED), self.made_at + timedelta(hours=1))
        if self.status == BOOKED:
            return [booked]
        return [booked, cancelled]


class Slot(NamedTuple):
    title: str
    screen: str
    start: datetime


def slots(day: date) -> Iterator[Slot]:
    """The plan of a day: it follows from the date alone, so that every run means the same shows."""
    titles = list(FILMS)
    for row, screen in enumerate(SCREENS):
        for column, first in enumerate(FIRST_STARTS):
            title = titles[(day.toordinal() + row * len(FIRST_STARTS) + column) % len(titles)]
            yield Slot(title, screen, make_aware(datetime.combine(day, first) + row * STAGGER))


class Command(BaseCommand):
    help = "Load the demo data into an empty database, or top its programme up to seven days ahead."

    def handle(self, *_: object, **__: object) -> None:
        if not settings.DEBUG:
            raise CommandError("Demo data is for development: it is loaded with DEBUG on only.")
        with transaction.atomic():
            self.stdout.write(seed(now()))


def seed(moment: datetime) -> str:
    """Add what is missing at this moment, and say what that was. Wants a transaction."""
    empty = not Movie.objects.exists()
    if not empty and not Movie.objects.filter(title__in=FILMS).exists():
        return "Demo data: nothing added, the films here are your own."
    logins = sum(add_login(username, password) for username, password, _ in DEMO_LOGINS)
    if empty:
        Movie.objects.bulk_create(
            Movie(title=title, duration_minutes=minutes) for title, minutes in FILMS.items()
        )
        have = set(Screen.objects.values_list("name", flat=True))
        Screen.objects.bulk_create(Screen(name=name) for name in SCREENS if name not in have)
    shows = add_shows(moment, first_show=empty)
    bookings = add_bookings(shows, moment) if empty else 0
    return f"Demo data: {len(shows)} shows, {bookings} bookings and {logins} logins added."


def add_login(username: str, password: str) -> bool:
    email = f"{username}@example.com"
    if User.objects.filter(Q(username=username) | Q(email=email)).exists():
        return False
    user = User.objects.create_user(username, email, password, **STAFF.get(username, {}))
    user.groups.set(Group.objects.filter(name=GROUP_OF.get(username)))
    return True


def add_shows(moment: datetime, *, first_show: bool) -> list[Show]:
    """Add the shows of the plan that are still to come and for which the screen is free."""
    films = Movie.objects.select_for_update().filter(title__in=FILMS).order_by("pk")
    movies = {film.title: film for film in films}
    screens = {screen.name: screen for screen in Screen.objects.filter(name__in=SCREENS)}
    lock_screens(screen.pk for screen in screens.values())
    today = localtime(moment).date()
    recent = Show.objects.filter(date_time__gt=moment - timedelta(days=3))
    standing = list(recent.select_related("movie"))
    added: list[Show] = []
    for slot in plan(today, moment, first_show=first_show):
        if slot.title not in movies or slot.screen not in screens:
            continue
        show = Show(
            movie=movies[slot.title],
            screen=screens[slot.screen],
            date_time=slot.start,
            total_seats=SCREENS[slot.screen],
        )
        if not any(in_the_way(other, show) for other in standing):
            standing.append(show)
            added.append(show)
    Show.objects.bulk_create(added)
    return added


def plan(today: date, moment: datetime, *, first_show: bool) -> list[Slot]:
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    ahead = [slot for day in days for slot in slots(day) if slot.start > moment]
    if first_show:  # show 1: of film 1, and a day ahead
        film = next(iter(FILMS))
        earliest = moment + FIRST_SHOW_AHEAD
        first = next(slot for slot in ahead if slot.title == film and slot.start >= earliest)
        ahead.sort(key=lambda slot: slot is not first)
    return ahead


def in_the_way(other: Show, show: Show) -> bool:
    """Return whether the other show keeps this one from being added.

    A cancelled show leaves its screen to others, but its own place in the plan is not filled again.
    """
    if other.screen_id != show.screen_id:
        return False
    if other.cancelled_at:
        return other.date_time == show.date_time
    cleaning = timedelta(minutes=settings.CLEANING_MINUTES)
    return other.date_time < show.ends_at + cleaning and show.date_time < other.ends_at + cleaning


def add_bookings(shows: list[Show], moment: datetime) -> int:
    """Add what was sold in the last days: none is pending, and none still owes a mail."""
    customer = User.objects.filter(username="customer").first()
    if customer is None:
        return 0
    past = [*customer_sales(customer, shows, moment), *counter_sales(shows, moment)]
    past.sort(key=lambda sale: sale.made_at)
    bookings = Booking.objects.bulk_create(
        Booking(
            user=sale.user,
            show=sale.show,
            status=sale.status,
            created_at=sale.made_at,
            updated_at=sale.changes[-1][1],
        )
        for sale in past
    )
    rows = list(zip(bookings, past, strict=True))
    BookingSeat.objects.bulk_create(seat for row in rows for seat in booked_seats(*row))
    BookingEvent.objects.bulk_create(event for row in rows for event in events(*row))
    return len(bookings)


def customer_sales(customer: User, shows: list[Show], moment: datetime) -> Iterator[Sale]:
    chosen = [(BOOKED, place, seats) for place, seats in BOOKED_SEATS]
    chosen += [(CANCELLED, place, seats) for place, seats in CANCELLED_SEATS]
    for back, (status, place, seats) in enumerate(chosen, 1):
        if place < len(shows):
            made_at = moment - timedelta(days=back)
            yield Sale(made_at, customer, customer, shows[place], seats, status)


def counter_sales(shows: list[Show], moment: datetime) -> Iterator[Sale]:
    """Yield walk-ins in every hall but that of show 1, the more the sooner its show."""
    walk_in = User.objects.walk_in()
    clerk = User.objects.filter(username="boxoffice").first()
    customer_sales = {place: set(seats) for place, seats in BOOKED_SEATS}
    for place, show in enumerate(shows[1:], 1):
        chance = Random(place)  # noqa: S311 - the same halls at every start
        taken = customer_sales.get(place, set())
        many = chance.randint(show.total_seats // 20, show.total_seats // 8)
        for _ in range(many // (1 + (show.date_time - moment).days)):
            first = chance.randint(1, show.total_seats - 3)
            wanted = range(first, first + chance.randint(1, 4))
            if seats := tuple(seat for seat in wanted if seat not in taken):
                taken |= set(seats)
                back = timedelta(days=chance.triangular(0, SOLD_DAYS, 3))
                yield Sale(moment - back, walk_in, clerk, show, seats, BOOKED)


def booked_seats(booking: Booking, sale: Sale) -> Iterator[BookingSeat]:
    taken = True if sale.status == BOOKED else None  # NULL once it is given back
    for number in sale.seats:
        yield BookingSeat(booking=booking, show=sale.show, seat_number=number, taken=taken)


def events(booking: Booking, sale: Sale) -> Iterator[BookingEvent]:
    for kind, at in sale.changes:
        event = BookingEvent(booking=booking, kind=kind, at=at, actor=sale.actor)
        if not sale.user.is_walk_in:  # who is owed no mail
            event.mail_attempts = 1
            event.mail_sent_at = at
        yield event
