"""What the business counts for Prometheus; `project.serving.metrics` exposes it.

Counting stands in the way of a sale, so it costs a microsecond or two: labels are looked up once
and their child kept.
"""

import os

from prometheus_client import Counter, Gauge, Histogram, values

_process = os.getpid()


def _process_id() -> int:
    return _process


def _forked() -> None:
    global _process
    _process = os.getpid()


if values.ValueClass is not values.MutexValue:
    # Several processes count together, and the library asks the system who it is at every count: 8
    # % of a sale.
    os.register_at_fork(after_in_child=_forked)
    values.ValueClass = values.MultiProcessValue(_process_id)

BOOKINGS = Counter(
    "marquee_bookings",
    "Calls that want to change a booking, by how they ended: done, same, kept (a repeat), or the refusal's code",
    ["action", "outcome"],
)
SEAT_LOCK_SECONDS = Histogram(
    "marquee_seat_lock_seconds",
    "Seconds in which Redis answered for the seat locks of a sale",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25),
)
SEAT_LOCK_CONTENDED = Counter(
    "marquee_seat_lock_contended", "Sales refused because another customer had a seat's lock"
)
SEAT_MARKS = Counter(
    "marquee_seat_mark_refusals", "Sales refused by the marks of taken seats, without the database"
)
BREAKER_OPEN = Gauge(
    "marquee_breaker_open",
    "Processes that have stopped asking Redis for a while",
    multiprocess_mode="livesum",
)
REDIS_FAILURES = Counter("marquee_redis_failures", "Questions that Redis did not answer")
MAILS = Counter("marquee_mails", "Attempts to send a mail", ["kind", "outcome"])
TASK_SECONDS = Histogram(
    "marquee_task_seconds",
    "Seconds that a task took",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120),
)
TASK_FAILURES = Counter("marquee_task_failures", "Tasks that ended with an error", ["task"])

# what workers count, too
OF_WORKERS = (
    BOOKINGS,
    MAILS,
    TASK_SECONDS,
    TASK_FAILURES,
    REDIS_FAILURES,
)

_bookings: dict[tuple[str, str], Counter] = {}


def booking(action: str, outcome: str, times: int = 1) -> None:
    child = _bookings.get((action, outcome))
    if child is None:
        child = _bookings[action, outcome] = BOOKINGS.labels(action, outcome)
    child.inc(times)


for _action in ("hold", "book", "confirm", "cancel", "expire"):
    booking(_action, "done", 0)  # a rate needs a zero to begin with
for _kind in ("event", "reset"):
    for _outcome in ("sent", "put off", "refused for good"):
        MAILS.labels(_kind, _outcome)
