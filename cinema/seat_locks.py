"""Seat locks: what spares the database the crowd in front of one seat. They decide nothing.

* A lock is per seat, so two customers meet only where they want the same seat.
* All seats of a request are taken in one round trip, or none: no two requests can wait for each other.
* The lock wraps the transaction, never the other way round, and is released behind the commit.
* Its value is customer and random token. Another's refuses; the same customer's passes, so that an honest retry is
  not refused by its own first attempt, and the first attempt's release does not open the second's lock.
* It is dead after seconds, whatever became of its owner. Without Redis the database alone says who gets the seat.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings
from django_redis import get_redis_connection
from redis.commands.core import Script

from cinema import breaker
from cinema.errors import SeatContended

LOCK_SECONDS = 5  # longer than any booking transaction: the database gives up on a lock after 1 s

ACQUIRE = """
for i, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner and string.sub(owner, 1, #ARGV[1]) ~= ARGV[1] then return i end
end
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1] .. ARGV[2], 'EX', ARGV[3]) end
return 0
"""
RELEASE = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
"""


@cache
def _script(text: str) -> Script:
    script: Script = get_redis_connection("default").register_script(text)
    return script


def key_of(show_id: int, seat_number: int) -> str:
    return f"seat-lock:{{{show_id}}}:{seat_number}"


@contextmanager
def locked(show_id: int, seat_numbers: Iterable[int], user_id: int) -> Iterator[None]:
    """Hold the locks of these seats while the block runs. Raises SeatContended at once if another has one of them."""
    seats = list(seat_numbers)
    if not settings.REDIS_URL:
        yield
        return
    keys, owner, token = [key_of(show_id, seat) for seat in seats], f"{user_id}:", secrets.token_hex(8)
    loser = breaker.redis.ask(lambda: int(_script(ACQUIRE)(keys, [owner, token, LOCK_SECONDS])), otherwise=0)
    if loser:
        raise SeatContended(seats=[seats[loser - 1]])
    try:
        yield
    finally:
        breaker.redis.ask(lambda: _script(RELEASE)(keys, [owner + token]), otherwise=None)
