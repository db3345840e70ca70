"""Bookings, their seats and their history.

The seat row decides: one unique constraint over show, seat and `taken` on every database. `taken`
is NULL once the seat is given back (a conditional constraint would be skipped on MariaDB), so the
history keeps its seats.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from cinema.infra.database.constraints import UniqueWhile
from cinema.infra.outbox import OwedMail
from cinema.people.models import User
from cinema.programme.models import Show

REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that are read as another


def new_reference() -> str:
    number, letters = secrets.randbits(64), []
    for _ in range(10):
        number, letter = divmod(number, len(REFERENCE_LETTERS))
        letters.append(REFERENCE_LETTERS[letter])
    return "".join(letters)


class BookingQuerySet(models.QuerySet["Booking"]):
    def with_clock(self) -> Self:
        """Annotate with `now`, the database's clock."""
        return self.annotate(now=Now())

    def live(self) -> Self:
        return self.filter(
            Q(status=Booking.Status.BOOKED) | Q(status=Booking.Status.PENDING, expires_at__gt=Now())
        )

    def stale(self) -> Self:
        return self.filter(holding=True, expires_at__lte=Now())

    def with_status(self, status: str) -> Self:
        """Filter by the status that customers read: a stale hold is expired, swept or not.

        A hold is indexed by `holding`.
        """
        if status == Booking.Status.EXPIRED:
            return self.filter(Q(status=status) | Q(holding=True, expires_at__lte=Now()))
        if status == Booking.Status.PENDING:
            return self.filter(holding=True, expires_at__gt=Now())
        return self.filter(status=status)

    def with_reads_as(self) -> Self:
        """Annotate with `reads_as`, the status that customers read."""
        stale = models.When(
            status=Booking.Status.PENDING, expires_at__lte=Now(), then=Value(Booking.Status.EXPIRED)
        )
        return self.annotate(reads_as=models.Case(stale, default=F("status")))


class Booking(models.Model):
    now: datetime  # by `with_clock`
    reads_as: str  # by `with_reads_as`

    class Status(models.TextChoices):
        PENDING = "pending"
        BOOKED = "booked"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    user = models.ForeignKey(User, models.PROTECT, related_name="bookings", db_index=False)
    show = models.ForeignKey(Show, models.PROTECT, related_name="bookings", db_index=False)
    status = models.CharField(max_length=9, choices=Status)
    # NULL unless pending: one hold a customer and show
    holding = models.BooleanField(null=True, editable=False)
    reference = models.CharField(max_length=10, default=new_reference, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = BookingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(name="booking_of_user", fields=["user", "-id"]),
            # Of the holds alone, so that it stays small and no sale writes it; MariaDB, which
            # ignores the condition, finds them by the first column.
            models.Index(
                name="booking_stale", fields=["holding", "expires_at"], condition=Q(holding=True)
            ),
        ]
        # unique=True made two indexes
        constraints = [
            models.UniqueConstraint(name="booking_reference", fields=["reference"]),
            UniqueWhile(
                name="booking_one_hold",
                fields=["show", "user", "holding"],
                condition=Q(holding=True),
            ),
            models.CheckConstraint(
                name="booking_status",
                condition=Q(
                    status="pending", holding__isnull=False, holding=True, expires_at__isnull=False
                )
                | Q(status="booked", holding=None, expires_at=None)
                | Q(status="cancelled", holding=None)
                | Q(status="expired", holding=None, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_stale(self) -> bool:
        """True for a hold past its time, by the clock of `with_clock`."""
        if self.status != self.Status.PENDING or self.expires_at is None:
            return False
        return self.expires_at <= self.now

    @property
    def seat_numbers(self) -> list[int]:
        return sorted(seat.seat_number for seat in self.seats.all())


class SeatQuerySet(models.QuerySet["BookingSeat"]):
    def live(self) -> Self:
        return self.filter(Q(held_until=None) | Q(held_until__gt=Now()), taken=True)


class BookingSeat(models.Model):
    booking = models.ForeignKey(Booking, models.PROTECT, related_name="seats")
    show = models.ForeignKey(Show, models.PROTECT, related_name="seats", db_index=False)
    seat_number = models.PositiveIntegerField()
    taken = models.BooleanField(null=True, default=True)
    # the booking's expires_at, so that counting seats needs no join
    held_until = models.DateTimeField(null=True)

    objects = SeatQuerySet.as_manager()

    class Meta:
        ordering = ["seat_number"]
        # maps and counts read no more: in the table a show's seats lie scattered
        constraints = [
            UniqueWhile(
                name="seat_sold_once",
                fields=["show", "taken", "seat_number"],
                condition=Q(taken=True),
                include=["held_until"],
            ),
            models.CheckConstraint(name="seat_number_from_one", condition=Q(seat_number__gte=1)),
            models.CheckConstraint(
                name="seat_taken_or_null", condition=Q(taken=True) | Q(taken=None)
            ),
        ]

    def __str__(self) -> str:
        return f"Seat {self.seat_number}"


class BookingEvent(OwedMail):
    """One change of a booking's status, written in its transaction.

    A booked or cancelled one owes a mail.
    """

    mail_kind = "event"

    class Kind(models.TextChoices):
        HELD = "held"
        BOOKED = "booked"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    booking = models.ForeignKey(Booking, models.PROTECT, related_name="events")
    kind = models.CharField(max_length=9, choices=Kind)
    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    # When a whole show is cancelled, one event of each customer owes the mail of all, and all of
    # them name it here.
    mailed_with = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="mailed_together",
        db_index=False,
    )

    class Meta(OwedMail.Meta):
        ordering = ["id"]
        indexes = [
            *OwedMail.Meta.indexes,
            models.Index(
                name="event_mailed_with",
                fields=["mailed_with"],
                condition=models.Q(mailed_with__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="event_kind", condition=Q(kind__in=["held", "booked", "cancelled", "expired"])
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M:%S}"


class IdempotencyKey(models.Model):
    """An answer kept for 24 h.

    The key is stored as its SHA-256, which every database compares case-sensitively.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)
    key_sha256 = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(default="")
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="idempotency_key_once", fields=["user", "key_sha256"])
        ]

    def __str__(self) -> str:
        return f"Key {self.pk}"
