"""What a drill sells: shows with few seats to quarrel about, and a roomy one for what must find a
free seat.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.faults.stage.databases import Rows

SHOWS, SEATS = 4, 12
ROOMY_SEATS = 10_000


def fill(query: Callable[[str], Rows]) -> list[int]:
    """The ids of the shows, the roomy one last. By SQL that every database takes."""
    now, _ = _times()
    query(
        f"INSERT INTO cinema_movie (title, duration_minutes, updated_at) VALUES ('Drill', 90, {now})"
    )
    return [
        one_more_show(query, SEATS if number < SHOWS else ROOMY_SEATS)
        for number in range(SHOWS + 1)
    ]


def one_more_show(query: Callable[[str], Rows], seats: int) -> int:
    """Of the same film, on a screen of its own."""
    now, tomorrow = _times()
    query("INSERT INTO cinema_screen (name) SELECT 'Drill ' || count(*) FROM cinema_screen")
    query(
        "INSERT INTO cinema_show (movie_id, screen_id, date_time, total_seats, updated_at) "
        f"SELECT max(film.id), max(hall.id), {tomorrow}, {seats}, {now} FROM cinema_movie film, cinema_screen hall"
    )
    return int(query("SELECT max(id) FROM cinema_show")[0][0])


def _times() -> tuple[str, str]:
    at = datetime.now(UTC)
    return f"'{at:%Y-%m-%d %H:%M:%S.%f}'", f"'{at + timedelta(days=1):%Y-%m-%d %H:%M:%S.%f}'"
