"""Throttles: so many calls in a window of time, counted in one step for all processes.

Without Redis each process counts for itself, and by half, so that two of them do not let more
through than before.
"""

import hashlib
import time
from typing import NamedTuple

from django.conf import settings
from django.core.cache import caches

from cinema.errors import Throttled
from cinema.infra import redis

COUNT = """
local calls = redis.call('INCR', KEYS[1])
if calls == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return calls
"""


class Throttle(NamedTuple):
    """One account's or address's window: key, calls allowed, length, and the seconds left of it."""

    key: str
    calls: int
    period: int
    left: int

    def judge(self, count: int | None) -> None:
        """Raise Throttled if this call is one too many. `count` is Redis's; None without it."""
        limit = (
            self.calls if count is not None or not settings.REDIS_URL else max(1, self.calls // 2)
        )
        if (self._counted_here() if count is None else count) > limit:
            raise Throttled(retry_after=self.left)

    def _counted_here(self) -> int:
        caches["local"].add(self.key, 0, timeout=self.period)
        return caches["local"].incr(self.key)


def throttle(scope: str, who: object) -> Throttle | None:
    """The window that this call falls into; None where the throttle is off."""
    if not (rate := settings.THROTTLES[scope]):
        return None
    calls, period = rate
    window, into = divmod(time.time(), period)
    digest = hashlib.blake2b(
        str(who).encode(), digest_size=12
    ).hexdigest()  # no address or name in a key
    return Throttle(
        f"throttle:{scope}:{digest}:{int(window)}", calls, period, int(period - into) + 1
    )


def check(scope: str, *who: object) -> None:
    """Count this call against each of `who` (an account, an address). Raises Throttled."""
    for window in filter(None, (throttle(scope, name) for name in who)):
        window.judge(_count(window))


def _count(window: Throttle) -> int | None:
    count: int | None = redis.ask("EVAL", COUNT, 1, window.key, window.period)
    return count
