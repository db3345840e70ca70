"""Redis in a request: `ask` and `tell`, over this thread's own connection and behind one breaker.

Redis may only say "no, not now". When it is down, silent or confused, three failures open the
breaker and nobody asks for five seconds; then one call per process probes. Every question has an
answer for the time without Redis.

What it bypasses of redis-py: the client, its pool and its retries. A connection of the pool's class
is kept for each thread and a command is packed by hiredis. The pool's bookkeeping cost a sale more
than its commands do, and the client's retries would block for seconds. To go back, let `call` ask
`get_redis_connection("default").execute_command(*command)`.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import hiredis
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import NoScriptError, RedisError

from cinema.infra import metrics

FAILURES = 3
OPEN_SECONDS = 5.0
Answer = TypeVar("Answer")
Otherwise = TypeVar("Otherwise")
P = ParamSpec("P")
Word = str | int | bytes
_thread = threading.local()
if hasattr(os, "register_at_fork"):
    # A worker's child on its parent's connection would read the parent's answers.
    os.register_at_fork(after_in_child=lambda: _thread.__dict__.clear())


class Breaker:
    """Stops asking after FAILURES failures in a row, and probes again after OPEN_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._asks_again_at = 0.0
        metrics.BREAKER_OPEN.set(0)

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def run(
        self,
        question: Callable[P, Answer],
        otherwise: Otherwise,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Answer | Otherwise:
        """Return the answer to `question(*args)`, or `otherwise` while open or if Redis fails."""
        if self.is_open and not self._may_probe():
            return otherwise
        try:
            answer = question(*args, **kwargs)
        except (RedisError, ConnectionInterrupted, OSError):
            self._count_failure()
            return otherwise
        if self._failures:
            self._close()
        return answer

    def _may_probe(self) -> bool:
        with self._lock:  # of the threads that find the time has come, one probes
            if time.monotonic() < self._asks_again_at:
                return False
            self._asks_again_at = time.monotonic() + OPEN_SECONDS
            return True

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1
            self._asks_again_at = time.monotonic() + OPEN_SECONDS
            metrics.BREAKER_OPEN.set(self.is_open)
        metrics.REDIS_FAILURES.inc()

    def _close(self) -> None:
        with self._lock:
            self._failures = 0
            metrics.BREAKER_OPEN.set(0)


breaker = Breaker()


class Script:
    """A Lua script that Redis keeps under its hash, so that its text is sent once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def call(self, *words: Word) -> Any:
        """Run it past the breaker. Raises RedisError."""
        try:
            return call("EVALSHA", self.sha, *words)
        except NoScriptError:  # a Redis that was restarted or flushed
            return call("EVAL", self.text, *words)


def ask(*command: Word, otherwise: Any = None) -> Any:
    """Return Redis's answer in one round trip, or `otherwise` where there is none.

    Without REDIS_URL there is never one.
    """
    if not settings.REDIS_URL:
        return otherwise
    return breaker.run(call, otherwise, *command)


def ask_script(script: Script, *words: Word, otherwise: Any = None) -> Any:
    """Return the script's answer, as `ask` does. `words` are the number of keys, keys, arguments."""
    if not settings.REDIS_URL:
        return otherwise
    return breaker.run(script.call, otherwise, *words)


def tell(*command: Word) -> None:
    """Send a command whose answer nobody waits for."""
    if settings.REDIS_URL:
        breaker.run(_send_unanswered, None, *command)


def call(*command: Word) -> Any:
    """Ask past the breaker. Raises RedisError, a time-out too; the next call connects anew."""
    connection = _connection()
    connection.send_packed_command([_pack(*command)])
    return connection.read_response()


def _send_unanswered(*command: Word) -> None:
    _connection().send_packed_command([SKIP_REPLY + _pack(*command)])


def _pack(*words: Word) -> bytes:
    """Pack in C; the client's own way to it costs more than the packing."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub takes one word
    return packed


SKIP_REPLY = _pack("CLIENT", "REPLY", "SKIP")  # of the command after it


def _connection() -> Any:
    """Return this thread's connection, made at its first use."""
    if not hasattr(_thread, "connection"):
        pool = get_redis_connection("default").connection_pool
        # Not the pool's make_connection: it counts what it made, and never hears that a thread
        # has ended.
        _thread.connection = pool.connection_class(**pool.connection_kwargs)
    return _thread.connection
