"""Where Django looks for the pages of the admin: each list registers its own."""

from cinema.staff.lists import bookings, people, programme

__all__ = ["bookings", "people", "programme"]
