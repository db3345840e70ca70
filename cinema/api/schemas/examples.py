"""What the documentation shows: the README's walk, at its end."""

from pydantic.config import JsonDict

SIGN_UP: JsonDict = {
    "username": "testuser",
    "email": "test@example.com",
    "password": "testpass123",
    "password_confirm": "testpass123",
    "first_name": "Test",
    "last_name": "User",
}
USER: JsonDict = {
    "id": 1,
    "username": "testuser",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "User",
}
TOKENS: JsonDict = {"access": "eyJhbGciOiJIUzI1NiIsInR5…", "refresh": "eyJhbGciOiJIUzI1NiIsInR5…"}
MOVIE: JsonDict = {
    "id": 1,
    "title": "Metropolis",
    "duration_minutes": 153,
    "created_at": "2026-12-01T08:00:00+00:00",
    "updated_at": "2026-12-01T08:00:00+00:00",
}
SHOW_IN_BOOKING: JsonDict = {
    "id": 1,
    "movie_id": 1,
    "movie_title": "Metropolis",
    "screen_name": "Screen 1",
    "date_time": "2026-12-24T20:00:00+01:00",
    "ends_at": "2026-12-24T22:33:00+01:00",
    "total_seats": 120,
    "cancelled": False,
}
SHOW: JsonDict = SHOW_IN_BOOKING | {"available_seats": 117}
SEAT_MAP: JsonDict = {"show_id": 1, "total_seats": 120, "available_seats": 117, "taken": [5, 6, 7]}
BOOKING: JsonDict = {
    "id": 10,
    "reference": "KVNKXJH3EH",
    "show": SHOW_IN_BOOKING,
    "seat_number": 6,
    "seat_numbers": [6, 7],
    "status": "pending",
    "expires_at": "2026-12-20T12:10:00+01:00",
    "expires_in_seconds": 600,
    "created_at": "2026-12-20T12:00:00+01:00",
    "updated_at": "2026-12-20T12:00:00+01:00",
}
