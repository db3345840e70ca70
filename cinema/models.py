"""Every table, by name: where Django looks for them.

Code imports each from the package that it belongs to.
"""

from cinema.people.models import AuthSession, PasswordReset, User
from cinema.programme.models import Movie, Screen, Show
from cinema.sales.models import Booking, BookingEvent, BookingSeat, IdempotencyKey

__all__ = [
    "AuthSession",
    "Booking",
    "BookingEvent",
    "BookingSeat",
    "IdempotencyKey",
    "Movie",
    "PasswordReset",
    "Screen",
    "Show",
    "User",
]
