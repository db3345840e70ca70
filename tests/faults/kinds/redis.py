"""Faults of Redis: it may only say "not now", so sales go on without it, and mails come later."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.faults.kinds.fault import REDIS, DidNotHappen, Fault, Window
from tests.faults.run.waiting import every, wait_until
from tests.faults.stage.stage import Stage

OWN = frozenset({REDIS})
MAIL_SECONDS = 60
SLOWEST_SECONDS = 1.0  # of any call while Redis is out
# when every breaker has opened; what a call may then cost more
OPEN_SECONDS, OVER_NORMAL_SECONDS = (
    2.5,
    0.05,
)
PROCESSES, PROBE_EVERY_SECONDS = 2, 5
QUEUES = ("celery", "mail")
QUEUED_SECONDS = 20  # until a sweep has queued several mails at once
JUNK = "x" * 4096
DOUBLE = """
local all = redis.call('LRANGE', 'mail', 0, -1)
for _, one in ipairs(all) do redis.call('RPUSH', 'mail', one) end
return #all
"""


@contextmanager
def flushed(stage: Stage) -> Iterator[None]:
    with every(1, lambda: stage.redis.ask("FLUSHALL")) as failed:
        yield
    if failed:
        raise DidNotHappen(f"Redis was not flushed: {failed[0]}.")


@contextmanager
def killed(stage: Stage) -> Iterator[None]:
    stage.redis.kill()
    try:
        yield
    finally:
        stage.redis.start()


@contextmanager
def restarted(stage: Stage) -> Iterator[None]:
    """Killed and back at once, with nothing in it."""
    stage.redis.kill()
    stage.redis.start()
    if stage.redis.ask("GET", "anything") != "$-1":
        raise DidNotHappen("Redis did not come back empty.")
    yield


@contextmanager
def silent(stage: Stage) -> Iterator[None]:
    stage.redis_proxy.silence()
    try:
        yield
    finally:
        stage.redis_proxy.heal()


@contextmanager
def read_only(stage: Stage) -> Iterator[None]:
    """A replica of a master that is not there, as behind a failover to the wrong side."""
    stage.redis.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        if not stage.redis.ask("SET", "drill", 1).startswith("-READONLY"):
            raise DidNotHappen("Redis took a write.")
        yield
    finally:
        stage.redis.ask("REPLICAOF", "NO", "ONE")


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    with _limited(stage, 1, "noeviction"):
        if not stage.redis.ask("SET", "drill", JUNK).startswith("-OOM"):
            raise DidNotHappen("Redis took a write.")
        yield


@contextmanager
def evicting(stage: Stage) -> Iterator[None]:
    """Room for little, and others write: any key of ours may be gone, locks, marks and queues."""
    count = iter(range(10**9))
    limit = stage.redis.number("memory", "used_memory") + 256 * 1024
    before = stage.redis.number("stats", "evicted_keys")
    with _limited(stage, limit, "allkeys-random"):
        with every(0.01, lambda: stage.redis.ask("SET", f"junk:{next(count) % 400}", JUNK)):
            yield
        if stage.redis.number("stats", "evicted_keys") - before < 20:
            raise DidNotHappen("Redis evicted nothing.")
    for number in range(400):
        stage.redis.ask("DEL", f"junk:{number}")


@contextmanager
def replies_cut(stage: Stage) -> Iterator[None]:
    before = stage.redis_proxy.cuts
    with every(0.3, lambda: stage.redis_proxy.cut_next_reply(2)):
        yield
    stage.redis_proxy.heal()
    if stage.redis_proxy.cuts - before < 3:
        raise DidNotHappen("No reply was cut.")


@contextmanager
def queue_deleted(stage: Stage) -> Iterator[None]:
    with _mails_in_queue(stage):
        stage.redis.ask("DEL", *QUEUES, "unacked", "unacked_index")
    yield


@contextmanager
def delivered_twice(stage: Stage) -> Iterator[None]:
    with _mails_in_queue(stage):
        stage.redis.ask("EVAL", DOUBLE, 0)
    yield


@contextmanager
def _mails_in_queue(stage: Stage) -> Iterator[None]:
    """The worker is frozen while it sends one mail of a sweep, with others behind it in the queue."""

    def freeze(_port: int) -> None:
        if int(stage.redis.ask("LLEN", "mail")[1:]):
            stage.worker.freeze()
            frozen.set()
            stage.smtp.on_greeting = None

    frozen = threading.Event()
    stage.smtp.on_greeting = freeze
    try:
        wait_until(frozen.is_set, QUEUED_SECONDS, "a sweep that queues some mails")
        yield
    finally:
        stage.smtp.on_greeting = None
        stage.worker.wake()


@contextmanager
def _limited(stage: Stage, memory: int, policy: str) -> Iterator[None]:
    stage.redis.ask("CONFIG", "SET", "maxmemory-policy", policy)
    stage.redis.ask("CONFIG", "SET", "maxmemory", memory)
    try:
        yield
    finally:
        with suppress(OSError):
            stage.redis.ask("CONFIG", "SET", "maxmemory", 0)
            stage.redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


def nobody_waits(stage: Stage, window: Window) -> list[str]:
    """Not above a second, and with the breaker open hardly more than before but for its probes."""
    late = [call for call in window.calls if call.seconds > SLOWEST_SECONDS + window.lag]
    told = [
        f"call {call.number} ({call.act}) took {call.seconds:.2f} s without Redis." for call in late
    ]
    limit = window.normal + OVER_NORMAL_SECONDS + window.lag
    opened = [call for call in window.calls if call.sent_at > window.start + OPEN_SECONDS]
    slow = [call.seconds for call in opened if call.seconds > limit]
    if len(slow) > PROCESSES * (1 + (window.healed - window.start) // PROBE_EVERY_SECONDS):
        told.append(
            f"{len(slow)} calls took more than {limit:.2f} s with the breaker open, up to {max(slow):.2f} s."
        )
    return told


def _fault(name: str, about: str, during: object, **more: object) -> Fault:
    return Fault(name, about, during, **{"mail_limit": MAIL_SECONDS, "needs_own": OWN, **more})  # type: ignore[arg-type]


FAULTS = [
    _fault("redis-flushed", "Redis is flushed each second: locks, marks and queues.", flushed),
    _fault("redis-killed", "Redis is killed and away.", killed, seconds=8, expect=nobody_waits),
    _fault(
        "redis-restarted", "Redis is killed and comes back empty at once.", restarted, seconds=3
    ),
    _fault(
        "redis-silent",
        "Redis accepts connections and says nothing.",
        silent,
        seconds=8,
        expect=nobody_waits,
        needs_own=frozenset(),
    ),
    _fault(
        "redis-read-only",
        "Redis refuses every write: it has become a replica.",
        read_only,
        expect=nobody_waits,
    ),
    _fault("redis-full", "Redis is out of memory and evicts nothing.", full, expect=nobody_waits),
    _fault("redis-evicting", "Redis is out of memory and evicts any key.", evicting),
    _fault(
        "redis-reply-cut",
        "Links to Redis are cut inside its replies.",
        replies_cut,
        needs_own=frozenset(),
    ),
    _fault(
        "queue-deleted",
        "The broker's queues are deleted, with the mails in them.",
        queue_deleted,
        seconds=1,
    ),
    _fault("task-twice", "Every queued task is delivered twice.", delivered_twice, seconds=3),
]
