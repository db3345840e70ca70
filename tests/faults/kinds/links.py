"""Faults of the links to PostgreSQL: a call is wholly done or not at all, and a repeat by its key
learns which.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.kinds.postgres import BACK_SECONDS
from tests.faults.run.journal import Call
from tests.faults.run.waiting import every
from tests.faults.stage.stage import Stage

SALE, CHANGE = b"in_the_way AS", b"found AS"  # what only they have
SLOWER_SECONDS = 0.1  # each way


@contextmanager
def silent(stage: Stage) -> Iterator[None]:
    """Every byte is swallowed; then the links are reset, as by a server that knows nothing of them."""
    assert stage.database_proxy
    stage.database_proxy.silence()
    try:
        yield
    finally:
        stage.database_proxy.heal()


def somebody_waited(stage: Stage, window: Window) -> list[str]:
    if window.slowest < 2:
        raise DidNotHappen("No call met the silence.")
    return []


@contextmanager
def slow(stage: Stage) -> Iterator[None]:
    assert stage.database_proxy
    stage.database_proxy.slow(SLOWER_SECONDS)
    try:
        yield
    finally:
        stage.database_proxy.heal()


def still_answered(stage: Stage, window: Window) -> list[str]:
    sales = [
        call for call in window.calls if call.act in {"book", "hold"} and call.status in {200, 201}
    ]
    if any(call.seconds < 2 * SLOWER_SECONDS for call in sales if call.sent_at > window.start):
        raise DidNotHappen("A sale was as fast as ever.")
    failed = [call for call in window.calls if call.status and call.status >= 500]
    return [
        f"call {call.number} ({call.act}) was answered {call.status} by a slow database."
        for call in failed
    ]


@contextmanager
def cut_behind_commit(stage: Stage) -> Iterator[list[Call]]:
    """Also of what is one statement, whose end is its commit. Yields keyed calls of a guest's,
    until one met it.
    """
    proxy = stage.database_proxy
    assert proxy
    before, calls = proxy.cuts, []

    def set_traps() -> None:
        proxy.cut_behind(b"COMMIT")
        proxy.cut_behind(SALE)
        proxy.cut_behind(CHANGE)

    with every(0.7, set_traps):
        deadline = time.monotonic() + 20
        while (
            not any(_done_and_not_told(stage, call) for call in calls)
            and time.monotonic() < deadline
        ):
            calls.append(_keyed_sale(stage))
        while (unkeyed := _unkeyed_sale(stage)).outcome == "ok" and time.monotonic() < deadline:
            # nobody repeats one that lost its answer, neither the customer nor the product
            continue
        yield calls
    proxy.heal()
    met = unkeyed.outcome != "ok" and any(_done_and_not_told(stage, call) for call in calls)
    if proxy.cuts - before < 4 or not met:
        raise DidNotHappen("No commit lost its answer.")


def repeat_learns_it(stage: Stage, window: Window) -> list[str]:
    """The same call again gets the booking that the first one made."""
    told = []
    for call in [call for call in window.evidence if _done_and_not_told(stage, call)]:
        client = stage.guest.twin()
        again = client.call(call.act, "POST", call.path, call.body, call.key)
        if again.status != 201:
            told.append(
                f"a repeat of call {call.number} by its key was answered {again.status} {again.code}."
            )
    return told


@contextmanager
def replies_cut(stage: Stage) -> Iterator[None]:
    proxy, random = stage.database_proxy, Random(stage.options.seed)
    assert proxy
    before = proxy.cuts
    with every(0.4, lambda: proxy.cut_next_reply(random.randint(1, 30))):
        yield
    proxy.heal()
    if proxy.cuts - before < 5:
        raise DidNotHappen("No reply was cut.")


def _keyed_sale(stage: Stage) -> Call:
    seat = stage.free_seat()
    path, key = f"/api/shows/{stage.roomy_show}/book/", f"behind-commit-{stage.options.seed}-{seat}"
    return stage.guest.twin().call("book", "POST", path, {"seat_number": seat}, key)


def _done_and_not_told(stage: Stage, call: Call) -> bool:
    if call.outcome == "ok" or not call.key:
        return False
    digest = hashlib.sha256(call.key.encode()).hexdigest()
    return bool(stage.query(f"SELECT 1 FROM cinema_idempotencykey WHERE key_sha256 = '{digest}'"))


def _unkeyed_sale(stage: Stage) -> Call:
    path = f"/api/shows/{stage.roomy_show}/book/"
    return stage.guest.twin().call("book", "POST", path, {"seat_number": stage.free_seat()})


FAULTS = [
    Fault(
        "postgres-silent",
        "PostgreSQL accepts connections and says nothing.",
        silent,
        recovery_limit=BACK_SECONDS,
        mail_limit=60,
        expect=somebody_waited,
    ),
    Fault(
        "postgres-slow",
        "Every round trip to PostgreSQL takes 200 ms more.",
        slow,
        recovery_limit=BACK_SECONDS,
        expect=still_answered,
    ),
    Fault(
        "cut-behind-commit",
        "Links to PostgreSQL are cut when it has committed and not yet said so.",
        cut_behind_commit,
        seconds=3,
        recovery_limit=BACK_SECONDS,
        expect=repeat_learns_it,
    ),
    Fault(
        "postgres-reply-cut",
        "Links to PostgreSQL are cut inside its replies.",
        replies_cut,
        recovery_limit=BACK_SECONDS,
    ),
]
