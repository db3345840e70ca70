"""Asking Redis in a request: over this thread's own connection, behind one breaker for locks and
throttles.

Redis may only say "no, not now". When it is down, silent or confused, three failures open the
breaker and nobody asks for five seconds; then one call per process probes. Every question has an
answer for the time without Redis.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import hiredis
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from cinema.infra import metrics

FAILURES = 3
OPEN_SECONDS = 5.0
Answer = TypeVar("Answer")
Word = str | int | bytes
_thread = threading.local()
if hasattr(
    os, "register_at_fork"
):  # a worker's child on its parent's connection would read the parent's answers
    os.register_at_fork(after_in_child=lambda: _thread.__dict__.clear())


class Breaker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._asks_again_at = 0.0
        metrics.BREAKER_OPEN.set(0)

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def ask(self, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Redis's answer, or `otherwise` while the breaker is open or when Redis fails."""
        if self.is_open and not self._may_probe():
            return otherwise
        try:
            answer = question()
        except (RedisError, ConnectionInterrupted, OSError):
            self._failed()
            return otherwise
        if self._failures:
            self._closes()
        return answer

    def _may_probe(self) -> bool:
        with self._lock:  # of the threads that find the time has come, one probes
            if time.monotonic() < self._asks_again_at:
                return False
            self._asks_again_at = time.monotonic() + OPEN_SECONDS
            return True

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._asks_again_at = time.monotonic() + OPEN_SECONDS
            metrics.BREAKER_OPEN.set(self.is_open)
        metrics.REDIS_FAILURES.inc()

    def _closes(self) -> None:
        with self._lock:
            self._failures = 0
            metrics.BREAKER_OPEN.set(0)


redis = Breaker()


def call(*command: Word) -> Any:
    """One round trip. Raises RedisError, a time-out too, and then the next call connects anew."""
    connection = _connection()
    connection.send_packed_command([_packed(*command)])
    return connection.read_response()


def tell(*command: Word) -> None:
    """Send a command that nobody waits for. Raises RedisError if it cannot even be sent."""
    _connection().send_packed_command([UNANSWERED + _packed(*command)])


def _packed(*words: Word) -> bytes:
    """In C; the client's own way to it costs more than the packing."""
    # its stub knows of one word alone
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed


UNANSWERED = _packed("CLIENT", "REPLY", "SKIP")  # the command behind it


def distrust_key(user_id: int) -> str:
    return f"login-ended:{user_id}"


def distrust(user_id: int) -> None:
    """A login of this customer ended: while its access token lives, no mark answers in the
    database's place.
    """
    if settings.REDIS_URL:
        seconds = int(settings.NINJA_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds())
        redis.ask(lambda: call("SET", distrust_key(user_id), 1, "EX", seconds), otherwise=None)


def _connection() -> Any:
    """The pool's bookkeeping would cost a booking more than its commands do."""
    if not hasattr(_thread, "connection"):
        pool = get_redis_connection("default").connection_pool
        # not the pool's make_connection: it counts what it made, and never hears that a thread has
        # ended
        _thread.connection = pool.connection_class(**pool.connection_kwargs)
    return _thread.connection
