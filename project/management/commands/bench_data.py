from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from cinema.people import tokens
from cinema.people.models import AuthSession, User, is_walk_in
from cinema.programme.models import Movie, Screen, Show

USERS, MOVIES, SHOWS, SEATS = 50, 20, 200, 300
JTI = "0" * 32


class Command(BaseCommand):
    help = "Loads the benchmark's data into an empty database and writes one bearer token a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="tokens",
            type=Path,
            help="the file that gets the tokens of the 50 customers",
        )

    @transaction.atomic
    def handle(self, *_: object, file: Path, **__: object) -> None:
        if User.objects.exclude(is_walk_in()).exists() or Movie.objects.exists():
            raise CommandError(
                "The database is not empty. The benchmark's data goes into a database of its own."
            )
        users = User.objects.bulk_create(
            [User(username=f"user{n}", email=f"user{n}@example.com") for n in range(1, USERS + 1)]
        )
        programme()
        until = timezone.now() + settings.NINJA_JWT["REFRESH_TOKEN_LIFETIME"]
        logins = AuthSession.objects.bulk_create(
            [AuthSession(user=user, refresh_jti=JTI, expires_at=until) for user in users]
        )
        signed = [tokens.sign(login.user_id, login.pk, JTI)["access"] for login in logins]
        file.write_text("\n".join(signed) + "\n")


def programme() -> None:
    """Add 20 films, and 200 shows of 300 seats: one an hour, from the next hour on."""
    movies = Movie.objects.bulk_create(
        [Movie(title=f"Movie {n}", duration_minutes=90 + n) for n in range(1, MOVIES + 1)]
    )
    screens = Screen.objects.bulk_create([Screen(name=f"Screen {n}") for n in range(1, 9)])
    starts = timezone.now() + timedelta(hours=1)
    shows = [
        Show(
            movie=movies[n % MOVIES],
            screen=screens[n % 8],
            date_time=starts + timedelta(hours=n),
            total_seats=SEATS,
        )
        for n in range(SHOWS)
    ]
    Show.objects.bulk_create(shows)
