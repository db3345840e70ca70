"""Faults of PostgreSQL itself: what is down is said plainly, and bookings are back when it is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tests.faults.kinds.fault import DATABASE, DidNotHappen, Fault, Window
from tests.faults.run.journal import Call
from tests.faults.run.waiting import every, wait_until
from tests.faults.stage.stage import Stage

OWN = frozenset({DATABASE})
BACK_SECONDS = 5  # until bookings go again behind the moment in which the server accepts
TERMINATE = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = 'marquee' AND application_name <> 'hog'"""
WAITING = (
    """SELECT 1 FROM pg_stat_activity WHERE usename = 'marquee' AND wait_event_type = 'Lock'"""
)
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'marquee'"


@contextmanager
def restarted(stage: Stage) -> Iterator[None]:
    assert stage.database
    stage.database.stop(signal.SIGQUIT)
    try:
        yield
    finally:
        stage.database.start()


@contextmanager
def backends_terminated(stage: Stage) -> Iterator[None]:
    ended: list[int] = []
    with every(2, lambda: ended.append(stage.query(TERMINATE)[0][0])):
        yield
    if sum(ended) < 4:
        raise DidNotHappen(f"Only {sum(ended)} backends were there to be terminated.")


@contextmanager
def connections_used_up(stage: Stage) -> Iterator[None]:
    """A foreign program takes every connection that the role may have; the product has lost its
    own.
    """
    hogs: list[psycopg.Connection[Any]] = []

    def hog() -> None:
        assert stage.database
        stage.query(TERMINATE)
        with suppress(psycopg.OperationalError):
            while True:
                hogs.append(stage.database.connect(user="marquee", application_name="hog"))

    try:
        with every(0.5, hog):
            yield
    finally:
        for connection in hogs:
            connection.close()


def refused_plainly(stage: Stage, window: Window) -> list[str]:
    if not any(call.status == 503 for call in window.calls):
        raise DidNotHappen("No call was refused.")
    return []


@contextmanager
def deadlocked(stage: Stage) -> Iterator[list[Call]]:
    """A foreign session has a seat's row and wants its booking's; a cancel has the booking's and
    wants the seat's.
    """
    before, cancels = stage.query(DEADLOCKS)[0][0], []
    for _ in range(3):
        cancels.append(_deadlock(stage))
    yield cancels
    wait_until(
        lambda: stage.query(DEADLOCKS)[0][0] >= before + 3,
        5,
        "the server's count of three deadlocks",
    )


def cancelled_all_the_same(stage: Stage, window: Window) -> list[str]:
    odd = [call for call in window.evidence if call.status != 200]
    return [f"a cancel that met a deadlock was answered {call.status} {call.code}." for call in odd]


def _deadlock(stage: Stage) -> Call:
    assert stage.database
    path = f"/api/shows/{stage.roomy_show}/book/"
    made = stage.guest.twin().call("book", "POST", path, {"seat_number": stage.free_seat()})
    if not made.answer or made.status != 201:
        raise DidNotHappen(f"There is no booking to cancel: {made.status}.")
    booking, calls = made.answer["id"], []
    with stage.database.connect(autocommit=False) as foreign:
        # so that the product is the one that finds it
        foreign.execute("SET deadlock_timeout = '20s'")
        foreign.execute(f"SELECT 1 FROM cinema_bookingseat WHERE booking_id = {booking} FOR UPDATE")
        cancel = threading.Thread(target=lambda: calls.append(_cancel(stage, booking)))
        cancel.start()
        wait_until(lambda: calls or stage.query(WAITING), 5, "the cancel's wait for the seat")
        if calls:  # by a thread whose connection a fault before this one has cut, for one
            raise DidNotHappen(
                f"The cancel did not wait for the seat: {calls[0].status} {calls[0].code}."
            )
        foreign.execute(f"SELECT 1 FROM cinema_booking WHERE id = {booking} FOR UPDATE")
    cancel.join()
    call: Call = calls[0]
    return call


def _cancel(stage: Stage, booking: int) -> Call:
    return stage.guest.twin().call("cancel", "POST", f"/api/bookings/{booking}/cancel/", {})


FAULTS = [
    Fault(
        "postgres-restarted",
        "PostgreSQL is stopped immediately, without a shutdown, and started 3 s later.",
        restarted,
        seconds=3,
        recovery_limit=BACK_SECONDS,
        mail_limit=60,
        needs_own=OWN,
    ),
    Fault(
        "backends-terminated",
        "PostgreSQL terminates every connection every 2 s.",
        backends_terminated,
        recovery_limit=BACK_SECONDS,
        needs_own=OWN,
    ),
    Fault(
        "postgres-full",
        "A foreign program uses up PostgreSQL's connections.",
        connections_used_up,
        recovery_limit=BACK_SECONDS,
        expect=refused_plainly,
        needs_own=OWN,
    ),
    Fault(
        "deadlock",
        "A foreign session locks our rows in another order.",
        deadlocked,
        seconds=0,
        expect=cancelled_all_the_same,
        needs_own=OWN,
    ),
]
