"""Seat locks: what spares the database the crowd in front of one seat. They decide nothing.

* A lock is per seat, so two customers meet only where they want the same seat.
* All seats of a request are taken in one round trip, or none: no two requests can wait for each other. The same trip
  counts the customer's call against THROTTLE_BOOKING.
* The lock wraps the transaction, never the other way round, and is released after the commit. Nobody waits for that.
* Its value is customer and random token. Another's refuses; the same customer's passes, so that an honest retry is
  not refused by its own first attempt, and the first attempt's release does not open the second's lock.
* It is dead after seconds, whatever became of its owner. Without Redis the database alone says who gets the seat.

A mark remembers for a second that a seat is booked, so that the crowd in front of a full hall is
refused without the database. A refusal by the database sets it; a cancel deletes it before it
answers. So that a slow refusal cannot set it again after the cancel, it is set only if nothing of
the show was given back since the request began.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.conf import settings

from cinema.errors import SeatContended, SeatTaken
from cinema.infra import metrics, redis
from cinema.infra.throttles import Throttle
from cinema.people import ended_logins

LOCK_SECONDS = 5  # longer than any booking transaction: the database gives up on a lock after 1 s

MARK_MS = 1000
GIVEN_BACK_SECONDS = 60  # longer than any request

# KEYS: throttle, count of what was given back, the customer's ended login, then a lock and then a
# mark a seat. Answers the calls of this window, which seat is another's if any, whether all are
# marked, and the count.
ACQUIRE = redis.Script("""
local period, limit, owner, n = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], (#KEYS - 3) / 2
local calls = 0
if period > 0 then
  calls = redis.call('INCR', KEYS[1])
  if calls == 1 then redis.call('EXPIRE', KEYS[1], period) end
  if calls > limit then return {calls, 0, 0, ''} end
end
if ARGV[6] == '1' and redis.call('EXISTS', KEYS[3]) == 0 and redis.call('EXISTS', unpack(KEYS, 4 + n)) == n then
  return {calls, 0, 1, ''}
end
for i = 4, 3 + n do
  local other = redis.call('GET', KEYS[i])
  if other and string.sub(other, 1, #owner) ~= owner then return {calls, i - 3, 0, ''} end
end
for i = 4, 3 + n do redis.call('SET', KEYS[i], owner .. ARGV[4], 'EX', ARGV[5]) end
return {calls, 0, 0, redis.call('GET', KEYS[2]) or ''}
""")
# KEYS: the count, then n locks, then the marks to set.
RELEASE = """
local n = tonumber(ARGV[2])
for i = 2, 1 + n do if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('DEL', KEYS[i]) end end
if #KEYS > 1 + n and (redis.call('GET', KEYS[1]) or '') == ARGV[3] then
  for i = 2 + n, #KEYS do redis.call('SET', KEYS[i], 1, 'PX', ARGV[4]) end
end
"""
GIVE_BACK = """
redis.call('DEL', unpack(KEYS, 2))
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""


class _Held(NamedTuple):
    """Redis's answer: the customer's calls, another's seat, all marked, and the count it saw.

    `loser` is the seat's place among those asked for, 0 for none.
    """

    calls: int
    loser: int
    marked: int
    given_back: bytes


def lock_key(show_id: int, seat_number: int) -> str:
    return f"seat-lock:{show_id}:{seat_number}"


def mark_key(show_id: int, seat_number: int) -> str:
    return f"seat-mark:{show_id}:{seat_number}"


@contextmanager
def locked(
    show_id: int,
    seats: list[int],
    user_id: int,
    throttle: Throttle | None = None,
    *,
    ask_marks: bool = False,
) -> Iterator[None]:
    """Hold the locks of these seats while the block runs.

    Raises at once SeatContended if another customer has one of them, SeatTaken if all are marked
    (asked only with `ask_marks`), and Throttled. With Redis down, or none at all, the block runs
    without locks and the call is counted in this process.
    """
    owner, token = f"{user_id}:", f"{random.getrandbits(64):016x}"  # one of a kind, and no secret
    held: _Held | None = None
    sold: list[int] = []
    if settings.REDIS_URL:
        held = _acquire(show_id, seats, user_id, throttle, token, ask_marks)
    if throttle:
        throttle.judge(held.calls if held else None)
    if held and held.marked:
        metrics.SEAT_MARKS.inc()
        raise SeatTaken.of(seats, sold=seats)
    if held and held.loser:
        metrics.SEAT_LOCK_CONTENDED.inc()
        raise SeatContended(seats=[seats[held.loser - 1]])
    try:
        yield
    except SeatTaken as refused:
        sold = refused.sold
        raise
    finally:
        if settings.REDIS_URL:  # also when Redis took the locks and its answer came too late
            _release(
                show_id,
                seats,
                owner + token,
                held.given_back if held else b"",
                sold if held else [],
            )


def give_back(show_id: int, seats: list[int]) -> None:
    """Delete the marks of seats that are free again. After the commit and before the answer."""
    keys = [_give_back_key(show_id), *(mark_key(show_id, seat) for seat in seats)]
    # The second time on a new connection, should this one have been closed while it was idle.
    for _ in range(2):
        if redis.ask("EVAL", GIVE_BACK, len(keys), *keys, GIVEN_BACK_SECONDS):
            return


def _give_back_key(show_id: int) -> str:
    return f"seats-given-back:{show_id}"


def _acquire(
    show_id: int,
    seats: list[int],
    user_id: int,
    throttle: Throttle | None,
    token: str,
    ask_marks: bool,
) -> _Held | None:
    limits = (throttle.period, throttle.calls) if throttle else (0, 0)
    keys = [
        throttle.key if throttle else "",
        _give_back_key(show_id),
        ended_logins.mark_key(user_id),
    ]
    keys += [*(lock_key(show_id, seat) for seat in seats)]
    keys += [mark_key(show_id, seat) for seat in seats]
    arguments = (*limits, f"{user_id}:", token, LOCK_SECONDS, int(ask_marks))
    is_asked = not redis.breaker.is_open
    started = time.perf_counter()
    answer = redis.ask_script(ACQUIRE, len(keys), *keys, *arguments)
    if is_asked:
        metrics.SEAT_LOCK_SECONDS.observe(time.perf_counter() - started)
    return _Held(*answer) if answer else None


def _release(show_id: int, seats: list[int], value: str, count: bytes, sold: list[int]) -> None:
    keys = [
        _give_back_key(show_id),
        *(lock_key(show_id, seat) for seat in seats),
        *(mark_key(show_id, seat) for seat in sold),
    ]
    redis.tell("EVAL", RELEASE, len(keys), *keys, value, len(seats), count, MARK_MS)
