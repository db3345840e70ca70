"""How long the sweep takes over a crowd of stale holds, by one worker and by two, and its longest
statement.

    .venv/bin/python tests/bench/sweep.py [--holds 100000] [--history 400000] [--rounds 3]

DATABASE_URL names an empty PostgreSQL database of its own, which is filled and emptied. A worker
does what the beat's task has it do, in batches of HOLDS_PER_BATCH; the time runs from the first
batch to the end of the last.
"""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import growth

SHOWS = 2_000
STALE = """
INSERT INTO cinema_booking (user_id, show_id, status, holding, reference, expires_at)
  SELECT 1 + n / {shows}, 1 + n % {shows}, 'pending', true, 't' || n, now() - n * interval '1 millisecond'
  FROM generate_series(0, {holds} - 1) n;
INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken, held_until)
  SELECT id, show_id, 200 + substr(reference, 2)::int / {shows}, true, expires_at FROM cinema_booking WHERE holding;
INSERT INTO cinema_bookingevent (booking_id, kind, mail_attempts, mail_error)
  SELECT id, 'held', 0, '' FROM cinema_booking WHERE holding;
"""


def begin(barrier) -> None:
    """In a worker's process."""
    global together
    together = barrier
    growth.set_up()


def sweep() -> tuple[float, float, list[float]]:
    """When this worker began and ended, and the seconds of each batch."""
    from cinema.sales import bookings
    from workers.tasks import HOLDS_PER_BATCH

    bookings.expire_stale(0)  # connects
    together.wait()
    began, batches, full = time.time(), [], True
    while full:
        started = time.perf_counter()
        full = bookings.expire_stale(HOLDS_PER_BATCH) == HOLDS_PER_BATCH
        batches.append(time.perf_counter() - started)
    return began, time.time(), batches


def measure(workers: int, holds: int, history: int) -> tuple[float, float]:
    """The seconds of the whole, and of its longest statement."""
    from django.db import connection

    given = {"shows": SHOWS, "seats": 300, "customers": holds // SHOWS + 1, "history": history}
    growth.load(connection, given, STALE.format(shows=SHOWS, holds=holds))
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, begin, (context.Barrier(workers),)) as pool:
        told = [task.result() for task in [pool.submit(sweep) for _ in range(workers)]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cinema_booking WHERE status = 'expired'")
        assert cursor.fetchone() == (holds,)
    connection.close()
    took = max(ended for _, ended, _ in told) - min(began for began, _, _ in told)
    return took, max(batch for _, _, batches in told for batch in batches)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("holds", 100_000), ("history", 400_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    growth.set_up()
    for workers in (1, 2):
        runs = [measure(workers, asked.holds, asked.history) for _ in range(asked.rounds)]
        whole, longest = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"{workers} worker(s): {whole:.2f} s, longest statement {1000 * longest:.0f} ms, of {asked.rounds} runs"
        )
