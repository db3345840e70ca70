"""What the API tells of a row: the contract's fields as plain values, the same for every way that leads to them."""

from datetime import datetime
from math import ceil
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.timezone import localtime

from cinema.models import Booking, Movie, Show

Answer = dict[str, Any]


def movie(row: Movie) -> Answer:
    return {
        "id": row.pk,
        "title": row.title,
        "duration_minutes": row.duration_minutes,
        "created_at": localtime(row.created_at),
        "updated_at": localtime(row.updated_at),
    }


def show(row: Show) -> Answer:
    """Wants the row with movie and screen."""
    return {
        "id": row.pk,
        "movie_id": row.movie_id,
        "movie_title": row.movie_title,
        "screen_name": row.screen_name,
        "date_time": localtime(row.date_time),
        "ends_at": localtime(row.ends_at),
        "total_seats": row.total_seats,
        "cancelled": row.cancelled_at is not None,
    }


def show_with_seats(row: Show, available_seats: int) -> Answer:
    return show(row) | {"available_seats": available_seats}


def booking_rows() -> QuerySet[Booking]:
    """Bookings with all that `booking` tells, in two queries, and the database's clock to read their expiry by."""
    rows = Booking.objects.select_related("show__movie", "show__screen").prefetch_related("seats")
    return rows.annotate(now=Now())


def booking(row: Booking) -> Answer:
    """Wants a row of `booking_rows`. A stale hold reads as expired, swept or not."""
    now: datetime = row.now  # type: ignore[attr-defined] # annotated
    seat_numbers = row.seat_numbers
    stale = row.status == Booking.Status.PENDING and row.expires_at is not None and row.expires_at <= now
    pending = row.status == Booking.Status.PENDING and not stale
    return {
        "id": row.pk,
        "reference": row.reference,
        "show": show(row.show),
        "seat_number": seat_numbers[0],
        "seat_numbers": seat_numbers,
        "status": "expired" if stale else str(row.status),
        "expires_at": localtime(row.expires_at) if row.expires_at and row.status != Booking.Status.CANCELLED else None,
        "expires_in_seconds": ceil((row.expires_at - now).total_seconds()) if pending and row.expires_at else None,
        "created_at": localtime(row.created_at),
        "updated_at": localtime(row.updated_at),
    }
