"""How the cost of a call grows with shows, seats per show, customers and history: measured, and
drawn.

    .venv/bin/python tests/bench/growth.py measure   writes docs/performance/growth.json
    .venv/bin/python tests/bench/growth.py plot      draws it: one SVG for each of the four

DATABASE_URL names an empty PostgreSQL database of its own, which is filled and emptied. The calls
go through the whole product in this process (middleware, parser, locks, database, answer), one
after the other, so a figure is what one call costs when nobody else is there. Of each, CALLS are
made in turn with the others, and the median counts.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs" / "performance"
CALLS, WARM_UP = 150, 20
SHOWS, SEATS, CUSTOMERS, HISTORY = 200, 300, 50, 5_000
AXES = {
    "shows": [200, 2_000, 20_000],
    "seats": [30, 100, 300, 1_000, 3_000],
    "customers": [50, 5_000, 200_000],
    "history": [5_000, 100_000, 1_000_000, 10_000_000],
}
TITLES = {
    "shows": "shows",
    "seats": "seats per show",
    "customers": "customers",
    "history": "bookings in the table",
}
TABLES = ", ".join(
    f"cinema_{name}"
    for name in ("bookingevent", "bookingseat", "booking", "show", "movie", "screen", "user")
)
MOVIES = 20

PROGRAMME = """
INSERT INTO cinema_movie (title, duration_minutes, updated_at)
  SELECT 'Film ' || n, 100, now() FROM generate_series(1, {movies}) n;
INSERT INTO cinema_screen (name) SELECT 'Screen ' || n FROM generate_series(1, {shows}) n;
INSERT INTO cinema_show (movie_id, screen_id, date_time, total_seats, updated_at)
  SELECT 1 + n % {movies}, n, now() + n * interval '1 minute' + interval '1 day', {seats}, now()
  FROM generate_series(1, {shows}) n;
INSERT INTO cinema_user (username, email, password, first_name, last_name, is_active, is_staff, is_superuser,
    date_joined)
  SELECT 'user' || n, 'user' || n || '@example.com', '', '', '', true, false, false, now()
  FROM generate_series(1, {customers}) n;
INSERT INTO cinema_authsession (user_id, refresh_jti, created_at, expires_at)
  SELECT n, '', now(), now() + interval '7 days' FROM generate_series(1, {customers}) n;
"""
# A third of every hall to come is sold, one seat a booking; the rest of the history are cancelled
# bookings, spread over all customers, in the order in which a cinema would have made them.
SALES = """
INSERT INTO cinema_booking (user_id, show_id, status, reference)
  SELECT 1 + n % {customers}, 1 + n % {shows}, 'cancelled', 'h' || n FROM generate_series(1, {history}) n;
INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken)
  SELECT id, show_id, 1 + id % {seats}, NULL FROM cinema_booking;
INSERT INTO cinema_booking (user_id, show_id, status, reference)
  SELECT 1 + n % {customers}, 1 + n % {shows}, 'booked', 's' || n FROM generate_series(0, {shows} * {seats} / 3 - 1) n;
INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken)
  SELECT id, show_id, 1 + substr(reference, 2)::int / {shows}, true FROM cinema_booking WHERE status = 'booked';
INSERT INTO cinema_bookingevent (booking_id, kind, mail_attempts, mail_error, mail_sent_at)
  SELECT id, status, 1, '', now() FROM cinema_booking;
"""


def set_up() -> None:
    """Django, and the tables."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "LOG_LEVEL": "WARNING",
        "THROTTLE_BOOKING": "",
    }
    sys.path.insert(0, str(ROOT))
    import django  # only now: the settings read the environment

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("DATABASE_URL must name a PostgreSQL database that may be emptied.")
    call_command("migrate", verbosity=0)


def measure() -> None:
    set_up()
    from django.db import connection

    OUT.mkdir(parents=True, exist_ok=True)
    told: dict[str, dict[str, dict[str, float]]] = {}
    for axis, sizes in AXES.items():
        for size in sizes:
            given = {
                "shows": SHOWS,
                "seats": SEATS,
                "customers": CUSTOMERS,
                "history": HISTORY,
                axis: size,
            }
            load(connection, given)
            told.setdefault(axis, {})[str(size)] = timed(given)
            print(axis, size, told[axis][str(size)], flush=True)
            (OUT / "growth.json").write_text(json.dumps(told, indent=1) + "\n")


def load(connection, given: dict[str, int], more: str = "") -> None:
    """Indexes and foreign keys are taken off while the rows come, and built anew behind them: ten
    times faster.
    """
    values = given | {"movies": MOVIES}
    with connection.cursor() as cursor:
        cursor.execute(
            "SET statement_timeout = 0; SET lock_timeout = 0; SET session_replication_role = replica"
        )
        cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
        cursor.execute("""SELECT indexdef, indexname FROM pg_indexes
            LEFT JOIN pg_constraint ON conname = indexname
            WHERE tablename IN ('cinema_booking', 'cinema_bookingseat', 'cinema_bookingevent') AND contype IS NULL""")
        indexes = cursor.fetchall()
        for _, name in indexes:
            cursor.execute(f"DROP INDEX {name}")
        for statement in ((PROGRAMME + SALES).format(**values) + more).split(";"):
            if statement.strip():
                cursor.execute(statement)
        for definition, _ in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    connection.close()  # its session settings were for loading alone


def timed(given: dict[str, int]) -> dict[str, float]:
    """Median milliseconds of each call."""
    from cinema.notifications import deliveries
    from cinema.people import tokens
    from cinema.sales import bookings

    chance = random.Random(7)
    signed = {user: tokens.sign(user, user, "")["access"] for user in range(1, 51)}
    shows, seats = given["shows"], given["seats"]
    free = [
        (show, seat)
        for seat in range(seats, seats // 3 + 1, -1)
        for show in range(1, min(shows, 400) + 1)
    ]
    free = iter(
        free[: CALLS + WARM_UP]
        if seats * min(shows, 400) < 10_000
        else chance.sample(free, CALLS + WARM_UP)
    )

    def book():
        show, seat = next(free)
        post(f"/api/shows/{show}/book/", {"seat_number": seat}, signed[chance.randint(1, 50)])

    calls = {
        "book a seat": book,
        "seat map": lambda: get(f"/api/shows/{chance.randint(1, shows)}/seats/"),
        "shows of a film": lambda: get(f"/api/movies/{chance.randint(1, MOVIES)}/shows/"),
        "my bookings": lambda: get("/api/my-bookings/", signed[chance.randint(1, 50)]),
        "sweep, nothing to do": lambda: bookings.expire_stale(1000),
        "owed mail, next 500": lambda: deliveries.queue_due(500),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(CALLS + WARM_UP):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= WARM_UP:
                taken[name].append(1000 * (time.perf_counter() - started))
    return {name: round(statistics.median(times), 3) for name, times in taken.items()}


def get(path: str, token: str = "") -> None:
    ask("GET", path, b"", token, "200")


def post(path: str, body: dict, token: str) -> None:
    ask("POST", path, json.dumps(body).encode(), token, "201")


def ask(method: str, path: str, body: bytes, token: str, wanted: str) -> None:
    from project.wsgi import application

    told = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json" if body else "", "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body), "wsgi.errors": sys.stderr,
    }  # fmt: skip
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    answer = application(environ, lambda status, headers, *_: told.append(status))
    text = b"".join(answer)
    answer.close()
    if not told[0].startswith(wanted):
        sys.exit(f"{method} {path}: {told[0]} {text.decode()}")


def plot() -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {
        "svg.fonttype": "none",
        "svg.hashsalt": "marquee",
        "font.family": "sans-serif",
    }
    from matplotlib import pyplot

    for axis, sizes in json.loads((OUT / "growth.json").read_text()).items():
        figure, panel = pyplot.subplots(figsize=(7, 4), layout="constrained")
        for name in next(iter(sizes.values())):
            panel.plot(
                [int(size) for size in sizes],
                [told[name] for told in sizes.values()],
                marker="o",
                label=name,
            )
        panel.set(
            xscale="log", ylim=(0, None), xlabel=TITLES[axis], ylabel="milliseconds a call (median)"
        )
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
        figure.savefig(OUT / f"{axis}.svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("act", choices=["measure", "plot"])
    {"measure": measure, "plot": plot}[parser.parse_args().act]()
