"""One breaker for everything that asks Redis in a request: locks and throttles.

Redis may only say "no, not now". When it is down, silent or confused, three failures open the breaker and nobody asks
for five seconds; then one call per process probes. Every question has an answer for the time without Redis.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

FAILURES = 3
OPEN_SECONDS = 5.0
Answer = TypeVar("Answer")


class Breaker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._asks_again_at = 0.0

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
        self._failures = 0
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


redis = Breaker()
