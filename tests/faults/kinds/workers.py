"""Faults of the worker and the beat: a mail may come late, and twice only where its worker died
behind the yes.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.run.waiting import wait_until
from tests.faults.stage import machine
from tests.faults.stage.proxy import HOST, TcpProxy
from tests.faults.stage.smtp_sink import Mail
from tests.faults.stage.stage import Stage

MAIL_SECONDS = 90  # until mails go again behind a worker's death
DEAD_SECONDS, LONG_DEAD_SECONDS = 20, 60
LEFT = "left to another worker"  # what a worker logs of a mail that it did not send
OWED_SECONDS = 20  # until a customer has booked, the beat has ticked and a mail begins


@contextmanager
def killed_before_send(stage: Stage) -> Iterator[None]:
    done = threading.Event()

    def kill(port: int) -> None:
        if not done.is_set():
            stage.worker.kill()
            done.set()

    stage.smtp.on_greeting = kill
    try:
        yield
        wait_until(done.is_set, OWED_SECONDS, "a mail to kill the worker before")
    finally:
        stage.smtp.heal()


@contextmanager
def killed_after_yes(stage: Stage) -> Iterator[list[Mail]]:
    """Stopped first: between the yes and the stamp there is less than a millisecond."""
    caught: list[Mail] = []

    def stop(mail: Mail) -> None:
        if not caught:
            stage.worker.freeze()
            caught.append(mail)

    stage.smtp.on_yes = stop
    try:
        yield caught
        wait_until(lambda: caught, OWED_SECONDS, "a mail to kill the worker behind")
        time.sleep(0.3)  # the yes is in the worker's socket by now
        stage.worker.kill()
        event = re.match(r"<event-(\d+)-", caught[0].message_id)
        if not event or stage.query(_unstamped(int(event[1]))) != [(1,)]:
            raise DidNotHappen("The mail was stamped before the worker died.")
        wait_until(lambda: _copies(stage, caught[0]) > 1, MAIL_SECONDS, "the second copy")
    finally:
        stage.smtp.heal()
        stage.worker.wake()


@contextmanager
def frozen_past_lease(stage: Stage) -> Iterator[None]:
    """Before its last look at the lease. Another worker sends the mail, and the woken one leaves it
    alone.
    """
    other = stage.start_another("worker-2", stage.worker)
    frozen: list[float] = []
    said = len(stage.worker.log.read_text())

    def freeze(port: int) -> None:
        child = None if frozen else machine.owner_of(port, stage.worker.children)
        if child:  # it and its parent; its sister may be behind her last look, and finishes
            for pid in (stage.worker.pid, child):
                os.kill(pid, signal.SIGSTOP)
            frozen.append(time.time())

    try:
        wait_until(lambda: "ready." in other.log.read_text(), 30, "the second worker")
        stage.smtp.on_greeting = freeze
        yield
        wait_until(lambda: frozen, OWED_SECONDS, "a mail to freeze the worker before")
        patience = 3 * stage.lease_seconds + OWED_SECONDS
        wait_until(lambda: _taken_over(stage, frozen[0]), patience, "the other worker's claim")
    finally:
        stage.smtp.heal()
        for child in stage.worker.children:
            os.kill(child, signal.SIGCONT)
        # for it to find its lease lost, before its parent can end a task that has run too long
        time.sleep(1)
        stage.worker.wake()
        stage.stop_another(other)
    if LEFT not in stage.worker.log.read_text()[said:]:
        raise DidNotHappen("The woken worker did not find its lease lost.")


@contextmanager
def all_dead(stage: Stage) -> Iterator[int | None]:
    """Yields the status of a sale over a hold that ran out meanwhile, which nobody has swept."""
    for program in (stage.worker, stage.beat):
        program.drop()
    died = time.monotonic()
    try:
        yield _sale_over_a_stale_hold(stage)
        time.sleep(
            max(
                0.0,
                died
                + (LONG_DEAD_SECONDS if stage.options.full else DEAD_SECONDS)
                - time.monotonic(),
            )
        )
    finally:
        for program in (stage.worker, stage.beat):
            program.start(stage.guardian)


def stale_hold_is_free(stage: Stage, window: Window) -> list[str]:
    if window.evidence == 201:
        return []
    return [f"a stale hold blocked its seat while the workers were dead: {window.evidence}."]


@contextmanager
def two_beats(stage: Stage) -> Iterator[None]:
    """The second behind a proxy of its own, which sees its ticks."""
    proxy, ticks = TcpProxy(stage.redis.address), []
    proxy.watch = _counter(b"sweep_mail", ticks)
    url = stage.redis_url.replace(str(stage.redis_proxy.port), str(proxy.port))
    other = stage.start_another("beat-2", stage.beat, REDIS_URL=url)
    try:
        yield
        wait_until(lambda: len(ticks) >= 3, 30, f"the third tick of the second beat on {HOST}")
    finally:
        stage.stop_another(other)
        proxy.close()


def _sale_over_a_stale_hold(stage: Stage) -> int | None:
    seat, path = {"seat_number": stage.free_seat()}, f"/api/shows/{stage.roomy_show}"
    if stage.guest.call("hold", "POST", f"{path}/hold/", seat).status != 201:
        raise DidNotHappen("There is no hold to run out.")
    time.sleep(stage.hold_seconds + 0.5)
    if not stage.query(
        f"SELECT 1 FROM cinema_booking WHERE status = 'pending' AND show_id = {stage.roomy_show}"
    ):
        raise DidNotHappen("The stale hold was swept, with every worker dead.")
    return stage.other.call("book", "POST", f"{path}/book/", seat).status


def _counter(word: bytes, found: list[float]) -> Callable[[bytes], None]:
    def watch(data: bytes) -> None:
        if word in data:
            found.append(time.time())

    return watch


def _unstamped(event: int) -> str:
    return f"SELECT count(*) FROM cinema_bookingevent WHERE id = {event} AND mail_sent_at IS NULL"


def _copies(stage: Stage, mail: Mail) -> int:
    return sum(one.message_id == mail.message_id for one in list(stage.smtp.mails))


def _taken_over(stage: Stage, since: float) -> bool:
    """A mail that was claimed a second time and sent since then, with no failure between."""
    claimed = f"mail_attempts > 1 AND mail_error = '' AND mail_sent_at > to_timestamp({since})"
    return bool(stage.query(f"SELECT 1 FROM cinema_bookingevent WHERE {claimed}"))


FAULTS = [
    Fault(
        "worker-killed-before-send",
        "The Celery worker is killed -9 when it has claimed a mail and not yet sent it.",
        killed_before_send,
        seconds=1,
        mail_limit=MAIL_SECONDS,
    ),
    Fault(
        "worker-killed-after-yes",
        "The worker is killed -9 between the mail server's yes and its stamp: the one moment of a second copy.",
        killed_after_yes,
        seconds=1,
        mail_limit=MAIL_SECONDS,
        second_mail_allowed=True,
    ),
    Fault(
        "worker-frozen",
        "A worker is frozen past its lease and woken, while another sends its mail.",
        frozen_past_lease,
        seconds=1,
        mail_limit=MAIL_SECONDS,
    ),
    Fault(
        "workers-dead",
        "All workers and the beat are dead for 20 s (--full: a minute); holds run out meanwhile.",
        all_dead,
        seconds=0,
        mail_limit=MAIL_SECONDS,
        expect=stale_hold_is_free,
    ),
    Fault(
        "two-beats",
        "A second beat ticks beside the first.",
        two_beats,
        seconds=1,
        mail_limit=MAIL_SECONDS,
    ),
]
