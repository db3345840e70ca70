"""Faults that customers make themselves: one key sent twenty times at once, and more calls than are
allowed.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from project.up.embedded_redis import free_port
from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.run.journal import Call
from tests.faults.run.waiting import wait_until
from tests.faults.stage.client import Client
from tests.faults.stage.stage import Stage

TWINS, BURSTS = 20, 3
ALLOWED = 10  # calls a minute


@contextmanager
def key_twins(stage: Stage) -> Iterator[list[list[Call]]]:
    """Yields the calls of every burst."""
    bursts = []
    for number in range(BURSTS):
        body = {"seat_number": stage.free_seat()}
        act = ("book", "hold", "book")[number]
        path = f"/api/shows/{stage.roomy_show}/{act}/"
        burst = _at_once(
            stage.guest, act, path, body, key=f"twins-{stage.options.seed}-{body['seat_number']}"
        )
        bursts.append(burst)
        made = next((call.answer for call in burst if call.status == 201), None)
        if act == "hold" and made:
            stage.guest.twin().call("cancel", "POST", f"/api/bookings/{made['id']}/cancel/", {})
    yield bursts
    if not any(_overlap(burst) for burst in bursts):
        raise DidNotHappen("No two twins were under way at one time.")


def one_answer(stage: Stage, window: Window) -> list[str]:
    """The first attempt's for every twin, or "in progress"; and the first did get one."""
    told = []
    for burst in window.evidence:
        good = [call.answer for call in burst if call.outcome == "ok"]
        odd = {call.code for call in burst if call.outcome == "refused"}
        if not good or any(answer != good[0] for answer in good):
            told.append(f"{TWINS} twins of one key got {len(good)} answers that are not one.")
        if odd - {"idempotency_in_progress", "seat_contended"}:
            told.append(f"twins of one key were refused: {', '.join(sorted(map(str, odd)))}.")
    return told


@contextmanager
def throttled(stage: Stage) -> Iterator[list[Call]]:
    """An API with a throttle beside the other one; yields the calls of a customer who wants too
    much.
    """
    port = free_port()
    other = stage.start_another(
        "api-throttled", stage.api, PORT=str(port), THROTTLE_BOOKING=f"{ALLOWED}/min"
    )
    try:
        wait_until(lambda: stage.answers(port), 30, "the second API's first answer")
        client, calls = stage.guest.twin(), []
        client.move_to(port)
        for _ in range(3 * ALLOWED):
            body = {"seat_number": stage.free_seat()}
            calls.append(client.call("book", "POST", f"/api/shows/{stage.roomy_show}/book/", body))
        yield calls
    finally:
        stage.stop_another(other)


def throttle_counts(stage: Stage, window: Window) -> list[str]:
    """One window may end and the next begin between the calls, so twice as many may pass, and never
    more.
    """
    sold = sum(call.status == 201 for call in window.evidence)
    refused = sum(call.status == 429 for call in window.evidence)
    if sold + refused != len(window.evidence) or not ALLOWED <= sold <= 2 * ALLOWED:
        return [
            f"of {len(window.evidence)} calls {sold} were answered 201 and {refused} 429, with {ALLOWED} allowed."
        ]
    return []


def _at_once(client: Client, act: str, path: str, body: dict[str, int], key: str) -> list[Call]:
    barrier, calls = threading.Barrier(TWINS), []

    def run() -> None:
        twin = client.twin()
        barrier.wait(10)
        calls.append(twin.call(act, "POST", path, body, key))
        twin.close()

    threads = [threading.Thread(target=run) for _ in range(TWINS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return calls


def _overlap(calls: list[Call]) -> bool:
    first = min(calls, key=lambda call: call.sent_at)
    return any(call.sent_at < (first.ended_at or 0) for call in calls if call is not first)


FAULTS = [
    Fault(
        "key-twins",
        "Twenty twins of one key are sent at once.",
        key_twins,
        seconds=1,
        expect=one_answer,
    ),
    Fault(
        "throttled",
        "A customer calls three times as often as THROTTLE_BOOKING allows.",
        throttled,
        seconds=1,
        expect=throttle_counts,
    ),
]
