"""What a drill sells: shows with few seats to quarrel about, and a roomy one for what must find a free seat."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.faults.databases import Rows

SHOWS, SEATS = 4, 12
ROOMY_SEATS = 10_000


def fill(query: Callable[[str], Rows]) -> list[int]:
    """The ids of the shows, the roomy one last. By SQL that every database takes."""
    at = datetime.now(UTC)
    now, tomorrow = (f"'{moment:%Y-%m-%d %H:%M:%S.%f}'" for moment in (at, at + timedelta(days=1)))
    query(f"INSERT INTO cinema_movie (title, duration_minutes, updated_at) VALUES ('Drill', 90, {now})")
    movie = query("SELECT max(id) FROM cinema_movie")[0][0]
    for number in range(SHOWS + 1):
        query(f"INSERT INTO cinema_screen (name) VALUES ('Drill {number}')")
        screen = query("SELECT max(id) FROM cinema_screen")[0][0]
        seats = SEATS if number < SHOWS else ROOMY_SEATS
        query(
            "INSERT INTO cinema_show (movie_id, screen_id, date_time, total_seats, updated_at) "
            f"VALUES ({movie}, {screen}, {tomorrow}, {seats}, {now})"
        )
    return [row[0] for row in query("SELECT id FROM cinema_show ORDER BY id")]
