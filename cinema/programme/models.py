"""Films, screens and shows, and the rules of a programme that no constraint can hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from cinema.programme.days import bounds_of_day

LONGEST_FILM_MINUTES = 24 * 60
# near the calendar's ends, times have no time zone and no end of the film
FIRST_YEAR, LAST_YEAR = (
    1900,
    2999,
)
MOST_SEATS = 10_000


class Movie(models.Model):
    title = models.CharField(max_length=200, unique=True)
    duration_minutes = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_FILM_MINUTES)]
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.CheckConstraint(
                name="movie_duration",
                condition=models.Q(duration_minutes__range=(1, LONGEST_FILM_MINUTES)),
            )
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            self.clean()
            super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse a duration that would run into another show (ValidationError). Locks the film,
        then its screens.
        """
        if not self.pk or not self.duration_minutes:
            return
        with transaction.atomic():
            Movie.objects.select_for_update().get(pk=self.pk)
            yesterday = timezone.now() - timedelta(minutes=LONGEST_FILM_MINUTES)
            shows = Show.objects.filter(
                movie=self, cancelled_at=None, date_time__gt=yesterday
            ).select_related("screen")
            lock_screens({show.screen_id for show in shows})
            for show in shows:
                show.movie = self
                if show.ends_at > timezone.now() and (other := show.overlapping()):
                    raise ValidationError(
                        {
                            "duration_minutes": f"The {show.description} would run into the {other.description}."
                        }
                    )


class Screen(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


def lock_screens(ids: Iterable[int]) -> None:
    """Lock these screens in the order of their ids, so that two clerks who save never deadlock."""
    list(Screen.objects.select_for_update().filter(pk__in=sorted(ids)).order_by("pk"))


class Progress(NamedTuple):
    """Of `total` bookings that were live when their show was cancelled, `done` are cancelled."""

    done: int
    total: int


class ShowQuerySet(models.QuerySet["Show"]):
    def with_clock(self) -> Self:
        """Annotate with `now`, the database's clock."""
        return self.annotate(now=Now())

    def upcoming(self) -> Self:
        return self.filter(cancelled_at=None, date_time__gt=Now())

    def on(self, day: date) -> Self:
        """The shows of that day in the cinema's own time zone."""
        start, end = bounds_of_day(day)
        return self.filter(cancelled_at=None, date_time__gte=start, date_time__lt=end)


class Show(models.Model):
    now: datetime  # by `with_clock`
    sold: int  # this and the next by the seat map's `with_counts`
    held: int

    movie = models.ForeignKey(Movie, models.CASCADE, related_name="shows", db_index=False)
    screen = models.ForeignKey(Screen, models.PROTECT, related_name="shows", db_index=False)
    date_time = models.DateTimeField("starts at")
    total_seats = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_SEATS)]
    )
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        db_index=False,
    )
    # how many bookings were
    live_when_cancelled = models.PositiveIntegerField(null=True, editable=False)
    cancel_request_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShowQuerySet.as_manager()

    class Meta:
        ordering = ["date_time", "id"]
        indexes = [
            models.Index(name="show_movie_time", fields=["movie", "date_time"]),
            models.Index(name="show_screen_time", fields=["screen", "date_time"]),
            models.Index(name="show_time", fields=["date_time"]),
            # for the sweep of what is cancelled, every few seconds; MariaDB, which has no such
            # index, reads all shows
            models.Index(
                name="show_cancelled",
                fields=["cancelled_at"],
                condition=models.Q(cancelled_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="show_total_seats", condition=models.Q(total_seats__range=(1, MOST_SEATS))
            )
        ]

    def __str__(self) -> str:
        return self.description

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            self.clean()
            super().save(*args, **kwargs)
            # a hold never outlives the start, also of a show that is moved
            self.bookings.filter(holding=True, expires_at__gt=self.date_time).update(
                expires_at=self.date_time
            )
            self.seats.filter(taken=True, held_until__gt=self.date_time).update(
                held_until=self.date_time
            )

    @property
    def progress(self) -> Progress | None:
        """How far the bookings of a cancelled show are; None of another."""
        if self.cancelled_at is None:
            return None
        left = self.live_bookings()
        total = max(self.live_when_cancelled or 0, left)
        return Progress(total - left, total)

    def live_bookings(self) -> int:
        """Counted by their seats, which have an index by show."""
        count: int = self.seats.live().order_by().values("booking").distinct().count()
        return count

    @property
    def ends_at(self) -> datetime:
        return self.date_time + timedelta(minutes=self.movie.duration_minutes)

    @property
    def screen_name(self) -> str:
        return self.screen.name

    @property
    def movie_title(self) -> str:
        return self.movie.title

    @property
    def description(self) -> str:
        """The show as a sentence names it."""
        starts = timezone.localtime(self.date_time)
        return f"show of {self.movie.title} on {self.screen.name}, {starts:%Y-%m-%d %H:%M}"

    def overlapping(self) -> Show | None:
        """Another show on this screen before this one's audience is out and the hall is clean."""
        cleaning = timedelta(minutes=settings.CLEANING_MINUTES)
        longest = timedelta(minutes=LONGEST_FILM_MINUTES)
        near = Show.objects.filter(
            screen=self.screen_id,
            cancelled_at=None,
            date_time__gt=self.date_time - longest - cleaning,
            date_time__lt=self.ends_at + cleaning,
        )
        for other in near.exclude(pk=self.pk).select_related("movie", "screen"):
            if other.movie_id == self.movie_id:
                other.movie = self.movie  # its duration may be the edit that is being checked
            if other.ends_at + cleaning > self.date_time:
                return other
        return None

    def clean(self) -> None:
        """Refuse an overlap, and a hall cut below a sold seat (ValidationError).

        Locks film, screen and show in this order and FOR UPDATE, which conflicts with the FOR KEY
        SHARE of a sale under way: without it a seat was sold in a hall that had just been cut.
        """
        if not (self.movie_id and self.screen_id and self.date_time and self.total_seats):
            return
        if not FIRST_YEAR <= self.date_time.year <= LAST_YEAR:
            raise ValidationError(
                {"date_time": f"The year must be from {FIRST_YEAR} to {LAST_YEAR}."}
            )
        with transaction.atomic():
            self.movie = Movie.objects.select_for_update().get(pk=self.movie_id)
            lock_screens([self.screen_id])
            Show.objects.select_for_update().filter(pk=self.pk).first()
            if self.cancelled_at is None and (other := self.overlapping()):
                raise ValidationError(
                    {"date_time": f"This overlaps the {other.description}, cleaning included."}
                )
            highest = (
                self.seats.live().aggregate(highest=models.Max("seat_number"))["highest"]
                if self.pk
                else None
            )
            if highest and highest > self.total_seats:
                raise ValidationError(
                    {"total_seats": f"Seat {highest} is sold or held: {highest} is the least."}
                )
