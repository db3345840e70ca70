"""How the cost of a call grows: measures it over growing tables, and draws one SVG for each way to grow.

    DATABASE_URL=postgres://…/marquee_growth python -m tests.bench.growth measure   # an empty database; minutes
    python -m tests.bench.growth plot                                               # docs/performance/*.svg

A figure is the median of 300 calls through the whole stack (WSGI entry to bytes), one after the other, in one process.
Only its shape counts: machines differ, and so does one machine from hour to hour.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "performance"
MEASURED = FOLDER / "growth.json"
CALLS, SEATS = 300, 300
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
os.environ |= {"THROTTLE_BOOKING": "", "LOG_LEVEL": "WARNING"}

# What each way to grow adds until there are that many.
GROWTH = {
    "shows": ([200, 2_000, 20_000], "shows in the programme"),
    "seats": ([30, 100, 300, 1_000, 3_000], "seats sold in a show"),
    "customers": ([50, 5_000, 200_000], "customers"),
    "history": ([0, 100_000, 1_000_000, 10_000_000], "cancelled bookings in the table"),
}
MORE = {
    "shows": """INSERT INTO cinema_show(movie_id, screen_id, date_time, total_seats, created_at, updated_at)
      SELECT 1 + n % (SELECT count(*) FROM cinema_movie), 1 + n % 8, now() + n * interval '1 hour', 3000, now(), now()
      FROM generate_series((SELECT count(*) FROM cinema_show) + 1, {n}) n""",
    "movies": """INSERT INTO cinema_movie(title, duration_minutes, created_at, updated_at)
      SELECT 'Movie ' || n, 90, now(), now() FROM generate_series((SELECT count(*) FROM cinema_movie) + 1, {n}) n""",
    "customers": """INSERT INTO cinema_user(username, email, password, is_active, is_staff, is_superuser, first_name,
        last_name, date_joined)
      SELECT 'more' || n, 'more' || n || '@example.com', '!', true, false, false, '', '', now()
      FROM generate_series((SELECT count(*) FROM cinema_user) + 1, {n}) n""",
    "history": """WITH b AS (INSERT INTO cinema_booking(show_id, user_id, status, reference, created_at, updated_at)
        SELECT 1 + n % 200, 1 + n % (SELECT count(*) FROM cinema_user), 'cancelled', 'H' || n, now(), now()
        FROM generate_series((SELECT count(*) FROM cinema_booking) + 1, {n}) n RETURNING id, show_id),
      s AS (INSERT INTO cinema_bookingseat(booking_id, show_id, seat_number) SELECT id, show_id, 1 + id % 300 FROM b)
      INSERT INTO cinema_bookingevent(booking_id, kind, mail_attempts, mail_error, mail_sent_at)
        SELECT id, 'cancelled', 1, '', now() FROM b""",
    "seats": """WITH b AS (INSERT INTO cinema_booking(show_id, user_id, status, reference, created_at, updated_at)
        SELECT 1, 1, 'booked', 'S' || n, now(), now()
        FROM generate_series((SELECT count(*) FROM cinema_bookingseat WHERE show_id = 1 AND taken) + 1, {n}) n
        RETURNING id, reference)
      INSERT INTO cinema_bookingseat(booking_id, show_id, seat_number, taken)
        SELECT id, 1, substr(reference, 2)::int, true FROM b""",
}


class Caller:
    """Calls the WSGI entry as the server does."""

    def __init__(self, tokens: list[str]) -> None:
        from project.wsgi import application  # noqa: PLC0415 # Django is set up by it, with the settings from above

        self.application, self.tokens = application, tokens

    def __call__(self, method: str, path: str, body: bytes = b"", who: int = 0) -> bytes:
        status: list[str] = []
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {self.tokens[who % len(self.tokens)]}", "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json", "wsgi.url_scheme": "http",
        }  # fmt: skip
        answer = b"".join(self.application(environ, lambda line, _headers: status.append(line)))
        if not status[0].startswith("2"):
            raise SystemExit(f"{method} {path}: {status[0]} {answer!r}")
        return answer


def calls(call: Caller, seats: Iterator[int]) -> dict[str, Callable[[int], bytes]]:
    def book(n: int) -> bytes:
        seat = next(seats)
        return call("POST", f"/api/shows/{2 + seat % 199}/book/", b'{"seat_number": %d}' % (1 + seat // 199), n)

    return {
        "book a seat": book,
        "seat map": lambda n: call("GET", "/api/shows/1/seats/"),
        "shows of a film": lambda n: call("GET", f"/api/movies/{1 + n % 20}/shows/"),
        "my bookings": lambda n: call("GET", "/api/my-bookings/", who=n),
    }


def median_ms(act: Callable[[int], bytes]) -> float:
    took = []
    for n in range(CALLS + 20):
        started = time.perf_counter()
        act(n)
        took.append(time.perf_counter() - started)
    return round(statistics.median(took[20:]) * 1000, 3)


def measure() -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    tokens = FOLDER / "tokens.tmp"
    call_command("bench_data", str(tokens))
    call = Caller(tokens.read_text().split())
    tokens.unlink()
    measured: dict[str, list[dict[str, float]]] = {}
    seats = iter(range(10**9))
    for way in ("seats", "customers", "shows", "history"):  # each on top of the last
        for size in GROWTH[way][0]:
            with connection.cursor() as cursor:
                if way == "shows":  # ten shows a film, as before
                    cursor.execute(MORE["movies"].format(n=size // 10))
                if way == "seats":
                    cursor.execute("UPDATE cinema_show SET total_seats = 3000")
                cursor.execute(MORE[way].format(n=size))
                cursor.execute("VACUUM ANALYZE")
            row = {name: median_ms(act) for name, act in calls(call, seats).items()}
            measured.setdefault(way, []).append({"size": size, **row})
            sys.stderr.write(f"{way} {size}: {row}\n")
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")


def plot() -> None:
    import matplotlib as mpl  # noqa: PLC0415 # only for this: `pip install matplotlib`

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "marquee"  # the same picture from the same figures
    from matplotlib import pyplot  # noqa: PLC0415

    for way, rows in json.loads(MEASURED.read_text()).items():
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for name in [name for name in rows[0] if name != "size"]:
            axes.plot([row["size"] for row in rows], [row[name] for row in rows], marker="o", label=name)
        axes.set(xlabel=GROWTH[way][1], ylabel="median ms a call", ylim=(0, None))
        axes.set_xscale("symlog", linthresh=max(1, rows[0]["size"] or rows[1]["size"] / 10))
        axes.set_xticks([row["size"] for row in rows], [f"{row['size']:,}" for row in rows])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(FOLDER / f"{way}.svg", metadata={"Date": None})
        pyplot.close(figure)


if __name__ == "__main__":
    {"measure": measure, "plot": plot}[sys.argv[1]]()
