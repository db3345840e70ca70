"""What workers and beat report to Redis, and what Redis knows of them.

A worker reports every two seconds, and takes its name away when it ends well. One that
was killed stays listed: it reads as silent, or as killed and back once another of its name has
started. One that lost a process lives on and reports it. The beat reports each tick. All times
are Redis's own, so that no machine's clock makes another look dead.
"""

from typing import Any, NamedTuple

from cinema.infra import redis

SILENT_SECONDS = 15  # a worker reports every 2 s, and the beat's shortest period is 3 s
FORGOTTEN_SECONDS = 3600

WORKERS, BACK, KILLED, BEAT = "health:workers", "health:back", "health:killed", "health:beat"
# Celery's own keys: what waits, and what workers have taken
QUEUES, TAKEN = (
    ("celery", "mail"),
    "unacked",
)

LIVES = """
local now = redis.call('TIME')[1]
if ARGV[2] == '1' and redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('INCR', KEYS[3])
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
for i = 1, 2 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[3]) end
return 1
"""
LOST = """
if redis.call('ZADD', KEYS[1], 'NX', redis.call('TIME')[1], ARGV[1]) == 1 then redis.call('INCR', KEYS[2]) end
return 1
"""
TICKED = "redis.call('SET', KEYS[1], redis.call('TIME')[1], 'EX', ARGV[1]) return 1"
LOOK = """
local function since(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
local waiting = {}
for i = 6, #KEYS do waiting[i - 5] = redis.call('LLEN', KEYS[i]) end
return {redis.call('TIME')[1], redis.call('GET', KEYS[4]) or '', redis.call('GET', KEYS[3]) or '0',
  since(KEYS[1]), since(KEYS[2]), redis.call('HLEN', KEYS[5]), waiting}
"""


class Seen(NamedTuple):
    """What Redis knows; ages are in seconds.

    `killed` counts workers, or processes of one, that came back.
    """

    workers: dict[str, float]
    back: dict[str, float]
    beat: float | None
    killed: int
    taken: int
    queues: dict[str, int]

    @property
    def alive(self) -> int:
        return sum(age < SILENT_SECONDS for age in self.workers.values())

    @property
    def silent(self) -> int:
        return len(self.workers) - self.alive


def worker_lives(name: str, *, starts: bool = False) -> bool:
    """Report a worker, and return whether Redis heard it.

    One that `starts` and is in the list already was killed before.
    """
    keys = (WORKERS, BACK, KILLED)
    answer = redis.ask("EVAL", LIVES, len(keys), *keys, name, int(starts), FORGOTTEN_SECONDS)
    return answer is not None


def worker_ends(name: str) -> None:
    """Report an orderly end, so that nobody looks for the worker."""
    redis.ask("ZREM", WORKERS, name)


def worker_lost_a_process(name: str, successor: int) -> bool:
    """Report a killed process whose place another has taken. A repeated report counts once."""
    process = f"a process of {name} (now {successor})"
    return redis.ask("EVAL", LOST, 2, BACK, KILLED, process) is not None


def beat_ticks() -> None:
    redis.ask("EVAL", TICKED, 1, BEAT, FORGOTTEN_SECONDS)


def look() -> Seen | None:
    """What Redis knows of workers and beat, in one round trip; None if it does not answer."""
    keys = (WORKERS, BACK, KILLED, BEAT, TAKEN, *QUEUES)
    answer = redis.ask("EVAL", LOOK, len(keys), *keys)
    if answer is None:
        return None
    now, beat, killed, workers, back, taken, waiting = answer
    age = float(now) - float(beat) if beat else None
    queues = dict(zip(QUEUES, waiting, strict=True))
    return Seen(_ages(now, workers), _ages(now, back), age, int(killed), taken, queues)


def _ages(now: Any, answer: list[Any]) -> dict[str, float]:
    names, heard = answer[::2], answer[1::2]
    return {name.decode(): float(now) - float(at) for name, at in zip(names, heard, strict=True)}
