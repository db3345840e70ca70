"""Throttles: so many calls in a window of time, counted in one atomic step for all processes together.

Without Redis each process counts for itself, and by half, so that two of them do not let more through than before.
"""

import hashlib
import time

from django.conf import settings
from django.core.cache import caches
from django_redis import get_redis_connection

from cinema import breaker
from cinema.errors import Throttled

COUNT = """
local calls = redis.call('INCR', KEYS[1])
if calls == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return calls
"""


def check(scope: str, *who: object) -> None:
    """Count this call against each of `who` (an account, an address). Raises Throttled with the seconds to wait."""
    rate = settings.THROTTLES[scope]
    if rate is None:
        return
    calls, period = rate
    window, into = divmod(time.time(), period)
    for name in who:
        digest = hashlib.sha256(str(name).encode()).hexdigest()[:32]  # no address or name in a key
        key = f"throttle:{scope}:{digest}:{int(window)}"
        count = _in_redis(key, period)
        limit = calls if count is not None or not settings.REDIS_URL else max(1, calls // 2)
        if (count or _locally(key, period)) > limit:
            raise Throttled(retry_after=int(period - into) + 1)


def _in_redis(key: str, period: int) -> int | None:
    if not settings.REDIS_URL:
        return None
    return breaker.redis.ask(lambda: int(get_redis_connection("default").eval(COUNT, 1, key, period)), otherwise=None)


def _locally(key: str, period: int) -> int:
    caches["local"].add(key, 0, timeout=period)
    return caches["local"].incr(key)
