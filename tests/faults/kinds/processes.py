"""Faults of the API's processes: killed, frozen, reloaded, and with a wrong clock."""

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from project.up.embedded_redis import free_port
from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.run.journal import UNKNOWN
from tests.faults.run.waiting import Late, wait_until
from tests.faults.stage import machine
from tests.faults.stage.proxy import Link
from tests.faults.stage.stage import Stage

# A confirm has changed the booking, and not yet committed.
IN_A_CONFIRM = b'UPDATE "cinema_bookingseat" SET "held_until"'
LAST_OF_A_CONFIRM = b'INSERT INTO "cinema_bookingevent"'
IDLE_SECONDS = 5  # idle_in_transaction_session_timeout
FROZEN_SECONDS = 8
FREEZES = 3
# a new worker's start; the longest time in which nobody may be answered
START_SECONDS, GAP_SECONDS = (
    3,
    2.5,
)
HOUR = 3600
SHIM = Path(__file__).parents[1] / "stage" / "clock_shim"


class Caught(NamedTuple):
    """A worker that was frozen: its process, the port of its connection, and when
    (time.monotonic()).
    """

    pid: int
    port: int
    at: float


@contextmanager
def worker_killed(stage: Stage) -> Iterator[None]:
    before = set(stage.api.children)

    def kill(link: Link) -> None:
        os.kill(_worker_of(stage, link), signal.SIGKILL)

    trap = stage.database_proxy.set_trap(IN_A_CONFIRM, kill)
    yield
    trap.wait(10, "a confirm to kill a worker in")
    wait_until(lambda: len(set(stage.api.children) - before) == 1, 20, "a new worker")


@contextmanager
def killed(stage: Stage) -> Iterator[None]:
    trap = stage.database_proxy.set_trap(IN_A_CONFIRM, lambda _: stage.api.kill())
    yield
    trap.wait(10, "a confirm to kill the API in")
    wait_until(lambda: stage.answers(stage.api_port), 30, "the API's return")


@contextmanager
def frozen(stage: Stage) -> Iterator[dict[str, float]]:
    """Yields how long its transaction kept its locks, in seconds."""
    evidence: dict[str, float] = {}
    caught: list[Caught] = []
    try:
        session, at = _frozen_in_a_transaction(stage, caught)
        yield evidence
        with suppress(Late):  # then it was kept too long, which is for the verdict
            wait_until(lambda: not stage.query(f"SELECT 1 {session}"), FROZEN_SECONDS, "its end")
        evidence["held"] = time.monotonic() - at
        time.sleep(max(0.0, at + FROZEN_SECONDS - time.monotonic()))
    finally:
        for frozen_worker in caught:
            os.kill(frozen_worker.pid, signal.SIGCONT)


def _frozen_in_a_transaction(stage: Stage, caught: list[Caught]) -> tuple[str, float]:
    """The session that a worker, the last of `caught`, keeps open, and since when.

    The statement that springs the trap may be refused by the database, or wait there for another's
    lock: then nothing is kept, and the next confirm is tried.
    """

    def freeze(link: Link) -> None:
        worker = _worker_of(stage, link)
        os.kill(worker, signal.SIGSTOP)
        assert link.server
        caught.append(Caught(worker, link.server.getsockname()[1], time.monotonic()))

    for _ in range(FREEZES):
        stage.database_proxy.set_trap(LAST_OF_A_CONFIRM, freeze).wait(
            10, "a confirm to freeze the API in"
        )
        worker = caught[-1]
        session = f"FROM pg_stat_activity WHERE client_port = {worker.port}"
        with suppress(Late):
            kept = f"SELECT 1 {session} AND state = 'idle in transaction'"
            wait_until(partial(stage.query, kept), 3, "its transaction")
            return session, worker.at
        os.kill(worker.pid, signal.SIGCONT)
    raise DidNotHappen(f"Of {FREEZES} frozen processes none held a transaction.")


def gives_locks_back(stage: Stage, window: Window) -> list[str]:
    held = window.evidence["held"]
    return (
        [f"a frozen process kept its row locks for {held:.1f} s."]
        if held > IDLE_SECONDS + 2
        else []
    )


@contextmanager
def reloaded(stage: Stage) -> Iterator[None]:
    before = set(stage.api.children)
    os.kill(stage.api.pid, signal.SIGHUP)
    yield
    wait_until(lambda: _all_new(stage, before), 60, "the last of the new workers")
    time.sleep(START_SECONDS)


def no_call_fails(stage: Stage, window: Window) -> list[str]:
    """A connection may be closed under a call, and nothing else: somebody always serves."""
    answered = sorted(call.ended_at for call in window.calls if call.status and call.ended_at)
    gap = max(
        (later - earlier for earlier, later in pairwise(answered)),
        default=window.healed - window.start,
    )
    failed = [call for call in window.calls if call.status and call.status >= 500]
    lost = [
        call
        for call in window.calls
        if call.outcome == UNKNOWN and call.seconds > stage.guest.patience - 1
    ]
    return [
        *(
            [f"for {gap:.1f} s nobody was answered in a rolling restart."]
            if gap > GAP_SECONDS + window.lag
            else []
        ),
        *(
            f"call {call.number} ({call.act}) was answered {call.status} in a rolling restart."
            for call in failed
        ),
        *(
            f"call {call.number} ({call.act}) was never answered in a rolling restart."
            for call in lost
        ),
    ]


@contextmanager
def clock_off(stage: Stage) -> Iterator[list[str]]:
    """A second API whose clock is an hour ahead; half of the customers go there. Yields what it did
    wrong.
    """
    port = free_port()
    path = os.pathsep.join([str(SHIM), stage.api.environment["PYTHONPATH"]])
    other = stage.start_another(
        "api-ahead", stage.api, PORT=str(port), PYTHONPATH=path, DRILL_CLOCK=str(HOUR)
    )
    try:
        wait_until(lambda: stage.answers(port), 30, "the second API's first answer")
        _move(stage, port)
        ahead = stage.guest.twin()
        ahead.move_to(port)
        ahead.log_in()
        _require_clock(ahead.token)
        wrong = _holds_by_one_clock(stage, ahead)
        yield wrong
        _move(stage, stage.api_port)
    finally:
        stage.stop_another(other)


def _holds_by_one_clock(stage: Stage, ahead: Any) -> list[str]:
    """A hold made, read and confirmed over either API lives by the database's clock."""
    near = stage.guest.twin()
    wrong = []
    for maker, reader in ((near, ahead), (ahead, near)):
        seat = {"seat_number": stage.free_seat()}
        made = maker.call("hold", "POST", f"/api/shows/{stage.roomy_show}/hold/", seat).answer or {}
        told = reader.call("booking", "GET", f"/api/bookings/{made.get('id', 0)}/").answer or {}
        if (
            told.get("status") != "pending"
            or not 0 < told["expires_in_seconds"] <= stage.hold_seconds
        ):
            wrong.append(
                f"a hold of {stage.hold_seconds} s reads as {told.get('status')} by the other clock."
            )
        if (
            reader.call("confirm", "POST", f"/api/bookings/{made.get('id', 0)}/confirm/", {}).status
            != 200
        ):
            wrong.append("a hold could not be confirmed by the other clock.")
    return wrong


def _move(stage: Stage, port: int) -> None:
    stage.crowd.pause()
    for customer in stage.crowd.customers[::2]:
        customer.client.move_to(port)
        customer.client.log_in()
    stage.crowd.resume()


def _require_clock(token: str) -> None:
    payload = token.split(".")[1]
    expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    if not HOUR + 25 * 60 < expires - time.time() < HOUR + 35 * 60:
        raise DidNotHappen("The second API's clock is not an hour ahead.")


def _worker_of(stage: Stage, link: Link) -> int:
    worker = machine.owner_of(link.peer_port, stage.api.children)
    if worker is None:
        raise DidNotHappen("The connection of the confirm is no worker's of the API.")
    return worker


def _all_new(stage: Stage, before: set[int]) -> bool:
    now = set(stage.api.children)
    return len(now) == len(before) and not now & before


FAULTS = [
    Fault(
        "api-worker-killed",
        "A worker of the API is killed -9 in the middle of a confirm; its parent starts another.",
        worker_killed,
    ),
    Fault(
        "api-killed",
        "The API's workers and their parent are killed -9 in the middle of a confirm.",
        killed,
    ),
    Fault(
        "api-frozen",
        "A worker of the API is frozen while its transaction holds row locks, and woken behind their end.",
        frozen,
        seconds=1,
        expect=gives_locks_back,
    ),
    Fault(
        "api-reloaded",
        "A rolling restart: the API's workers are replaced one by one under load.",
        reloaded,
        expect=no_call_fails,
    ),
    Fault(
        "api-clock-off",
        "One of two APIs has a clock that is an hour ahead.",
        clock_off,
        expect=lambda _, window: window.evidence,
    ),
]
