"""What customers do together: a rush for one seat, one booking changed from two sides, a crowd
before a taken seat.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.faults.kinds.fault import REDIS, DidNotHappen, Fault, Window
from tests.faults.kinds.redis import killed as redis_killed
from tests.faults.run.journal import Call
from tests.faults.stage.client import Client
from tests.faults.stage.stage import Stage

ROUNDS = 3
RUSH = 8
CLICKS = [
    ("confirm", "confirm"),
    ("confirm", "cancel"),
    ("cancel", "confirm"),
    ("cancel", "cancel"),
]
CROWD, CROWD_SECONDS = 4, 0.4  # before the cancel, and behind it
# codes; a confirm behind the cancel is told that the booking is closed
WON = {
    None,
    "seat_contended",
}


@contextmanager
def double_clicks(stage: Stage) -> Iterator[list[Call]]:
    """Without a key, as from two windows of one browser."""
    calls, overlapped = [], 0
    for acts in CLICKS * ROUNDS:
        seat = {"seat_number": stage.free_seat()}
        made = stage.guest.twin().call("hold", "POST", f"/api/shows/{stage.roomy_show}/hold/", seat)
        if made.status != 201 or not made.answer:
            raise DidNotHappen(f"There is no hold to click at: {made.status} {made.code}.")
        both = at_once([_click(stage, act, made.answer["id"]) for act in acts])
        overlapped += both[1].sent_at < (both[0].ended_at or 0) and both[0].sent_at < (
            both[1].ended_at or 0
        )
        calls += both
        stage.guest.twin().call("cancel", "POST", f"/api/bookings/{made.answer['id']}/cancel/", {})
    yield calls
    if overlapped < len(CLICKS):
        raise DidNotHappen(f"Only {overlapped} pairs of clicks were under way at one time.")


def one_click_wins(stage: Stage, window: Window) -> list[str]:
    closed = ("confirm", "booking_closed")
    lost = [
        call for call in window.evidence if call.code not in WON and (call.act, call.code) != closed
    ]
    odd = [*lost, *(call for call in window.evidence if call.outcome == "unknown")]
    return [
        f"a {call.act} that met another click was answered {call.status} {call.code}."
        for call in odd
    ]


@contextmanager
def rush_without_redis(stage: Stage) -> Iterator[list[list[Call]]]:
    """No seat lock keeps anybody back: the database alone has to say who is first. Yields the calls
    of each rush.
    """
    with redis_killed(stage):
        rushes = []
        for _ in range(ROUNDS):
            seat = {"seat_number": stage.free_seat()}
            clients = [(stage.guest, stage.other)[number % 2].twin() for number in range(RUSH)]
            rushes.append(at_once([_book(client, stage, seat) for client in clients]))
        yield rushes
    if not any(
        sorted(call.sent_at for call in rush)[1] < min(call.ended_at or 0 for call in rush)
        for rush in rushes
    ):
        raise DidNotHappen("No two calls of a rush were under way at one time.")


def one_gets_it(stage: Stage, window: Window) -> list[str]:
    sold = [sum(call.status == 201 for call in rush) for rush in window.evidence]
    return [f"{count} of {RUSH} in a rush got the one seat." for count in sold if count != 1]


@contextmanager
def seat_returned(stage: Stage) -> Iterator[list[Call]]:
    """Yields, of each round, the first try of the crowd behind the cancel."""
    firsts = [_return_a_seat(stage) for _ in range(ROUNDS)]
    yield firsts


def is_sold_at_once(stage: Stage, window: Window) -> list[str]:
    odd = [call for call in window.evidence if call.status != 201]
    return [
        f"a seat that had just been given back was refused: {call.status} {call.code}."
        for call in odd
    ]


def at_once(acts: Sequence[Callable[[], Call]]) -> list[Call]:
    """The calls in the order of the acts, all let go together."""
    barrier, calls = threading.Barrier(len(acts)), {}

    def run(number: int) -> None:
        barrier.wait(10)
        calls[number] = acts[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [calls[number] for number in range(len(acts))]


def _book(client: Client, stage: Stage, seat: dict[str, int]) -> Callable[[], Call]:
    return lambda: client.call("book", "POST", f"/api/shows/{stage.roomy_show}/book/", seat)


def _click(stage: Stage, act: str, booking: int) -> Callable[[], Call]:
    client = stage.guest.twin()
    return lambda: client.call(act, "POST", f"/api/bookings/{booking}/{act}/", {})


def _return_a_seat(stage: Stage) -> Call:
    """A crowd asks for a booked seat until it is cancelled; the very next try must get it."""
    path, seat = f"/api/shows/{stage.roomy_show}/book/", {"seat_number": stage.free_seat()}
    made = stage.guest.twin().call("book", "POST", path, seat)
    if made.status != 201 or not made.answer:
        raise DidNotHappen(f"There is no booking to cancel: {made.status} {made.code}.")
    refused = at_once([_ask(stage.other.twin(), path, seat) for _ in range(CROWD)])
    if {call.code for call in refused} != {"seat_taken"}:
        raise DidNotHappen("The crowd was not refused.")
    stage.guest.twin().call("cancel", "POST", f"/api/bookings/{made.answer['id']}/cancel/", {})
    return stage.other.twin().call("book", "POST", path, seat)


def _ask(client: Client, path: str, seat: dict[str, int]) -> Callable[[], Call]:
    """Again and again, so that a mark is set and seen; the last answer."""

    def ask() -> Call:
        until = time.monotonic() + CROWD_SECONDS
        while True:
            call = client.call("book", "POST", path, seat)
            if time.monotonic() > until or call.status == 201:
                return call

    return ask


FAULTS = [
    Fault(
        "rush-without-redis",
        "Redis is killed, and eight customers at once want the same seat.",
        rush_without_redis,
        seconds=0,
        expect=one_gets_it,
        needs_own=frozenset({REDIS}),
    ),
    Fault(
        "double-clicks",
        "A hold is confirmed and cancelled from two connections at once.",
        double_clicks,
        seconds=0,
        expect=one_click_wins,
    ),
    Fault(
        "seat-returned",
        "A booked seat with a crowd before it is cancelled.",
        seat_returned,
        seconds=0,
        expect=is_sold_at_once,
    ),
]
