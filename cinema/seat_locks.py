"""Seat locks: what spares the database the crowd in front of one seat. They decide nothing.

* A lock is per seat, so two customers meet only where they want the same seat.
* All seats of a request are taken in one round trip, or none: no two requests can wait for each other. The same trip
  counts the customer's call against THROTTLE_BOOKING.
* The lock wraps the transaction, never the other way round, and is released behind the commit. Nobody waits for that.
* Its value is customer and random token. Another's refuses; the same customer's passes, so that an honest retry is
  not refused by its own first attempt, and the first attempt's release does not open the second's lock.
* It is dead after seconds, whatever became of its owner. Without Redis the database alone says who gets the seat.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from redis.exceptions import NoScriptError

from cinema import breaker
from cinema.errors import SeatContended
from cinema.throttles import Throttle

LOCK_SECONDS = 5  # longer than any booking transaction: the database gives up on a lock after 1 s

# KEYS: the throttle's, then the seats'. Answers the calls of this window and which seat, if any, is another's.
ACQUIRE = """
local period, limit, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local calls = 0
if period > 0 then
  calls = redis.call('INCR', KEYS[1])
  if calls == 1 then redis.call('EXPIRE', KEYS[1], period) end
  if calls > limit then return {calls, 0} end
end
for i = 2, #KEYS do
  local other = redis.call('GET', KEYS[i])
  if other and string.sub(other, 1, #owner) ~= owner then return {calls, i - 1} end
end
for i = 2, #KEYS do redis.call('SET', KEYS[i], owner .. ARGV[4], 'EX', ARGV[5]) end
return {calls, 0}
"""
ACQUIRE_SHA = hashlib.sha1(ACQUIRE.encode(), usedforsecurity=False).hexdigest()
RELEASE = "for _, k in ipairs(KEYS) do if redis.call('GET', k) == ARGV[1] then redis.call('DEL', k) end end"


def key_of(show_id: int, seat_number: int) -> str:
    return f"seat-lock:{show_id}:{seat_number}"


@contextmanager
def locked(show_id: int, seats: list[int], user_id: int, throttle: Throttle | None = None) -> Iterator[None]:
    """Hold the locks of these seats while the block runs.

    Raises SeatContended at once if another customer has one of them, and Throttled. With Redis down, or none at all,
    the block runs without locks and the call is counted in this process.
    """
    owner, token = f"{user_id}:", secrets.token_hex(8)
    keys = [key_of(show_id, seat) for seat in seats]
    answer = None
    if settings.REDIS_URL:
        answer = breaker.redis.ask(lambda: _acquire(keys, throttle, owner, token), otherwise=None)
    calls, loser = answer or (None, 0)
    if throttle:
        throttle.judge(calls)
    if loser:
        raise SeatContended(seats=[seats[loser - 1]])
    try:
        yield
    finally:
        if answer:
            breaker.redis.ask(lambda: breaker.tell("EVAL", RELEASE, len(keys), *keys, owner + token), otherwise=None)


def _acquire(keys: list[str], throttle: Throttle | None, owner: str, token: str) -> tuple[int, int] | None:
    key, limits = (throttle.key, (throttle.period, throttle.calls)) if throttle else ("", (0, 0))
    words: tuple[str | int, ...] = (1 + len(keys), key, *keys, *limits, owner, token, LOCK_SECONDS)
    try:
        calls, loser = breaker.call("EVALSHA", ACQUIRE_SHA, *words)
    except NoScriptError:  # a Redis that was restarted or flushed
        calls, loser = breaker.call("EVAL", ACQUIRE, *words)
    return int(calls), int(loser)
