"""What the house runs on, part by part: Redis, the workers, their beat and the mails, each with a
sentence for people.

A worker tells Redis every two seconds that it lives, and takes its name away when it ends well. One
that was killed stays listed: it reads as silent, or as killed and back once another of its name has
started. One that lost a process lives on, and tells of it. The beat tells of each tick. All times
are Redis's own, so that no machine's clock makes another look dead.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone

from cinema.infra import outbox, redis

SILENT_SECONDS = 15  # a worker tells every 2 s, and the beat's shortest period is 3 s
BACK_SECONDS = 60  # so long one that was killed and came back is told
FORGOTTEN_SECONDS = 3600
LATE_SECONDS = 300  # a mail that is owed for longer is late
TRIED_AGAIN = Q(mail_attempts__gte=2) & ~Q(
    mail_error=""
)  # put off once may be chance; the second try is 5 s later
REFUSED_SINCE = timedelta(
    days=1
)  # a mail refused longer ago is still listed, and no alarm any more

WORKERS, BACK, KILLED, BEAT = "health:workers", "health:back", "health:killed", "health:beat"
QUEUES, TAKEN = (
    ("celery", "mail"),
    "unacked",
)  # Celery's own keys: what waits, and what workers have taken

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


class Part(NamedTuple):
    name: str
    ok: bool
    told: str


class Owed(NamedTuple):
    """The mails that are owed: how long the oldest has been, 0 if none is, and how many are tried
    again.
    """

    oldest_seconds: float
    put_off: int


class Seen(NamedTuple):
    """What Redis tells; ages are in seconds. `killed` counts workers, or processes of one, that
    came back.
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
    """Whether Redis heard of it. One that `starts` and stands in the list was killed before."""
    keys = (WORKERS, BACK, KILLED)
    answer = redis.ask("EVAL", LIVES, len(keys), *keys, name, int(starts), FORGOTTEN_SECONDS)
    return answer is not None


def worker_ends(name: str) -> None:
    """It ends well: nobody is to look for it."""
    redis.ask("ZREM", WORKERS, name)


def worker_lost_a_process(name: str, successor: int) -> bool:
    """Killed by the machine or by a time limit, and another has taken its place. Told twice, it is
    counted once.
    """
    process = f"a process of {name} (now {successor})"
    return redis.ask("EVAL", LOST, 2, BACK, KILLED, process) is not None


def beat_ticks() -> None:
    redis.ask("EVAL", TICKED, 1, BEAT, FORGOTTEN_SECONDS)


def look() -> Seen | None:
    """What Redis knows of workers and beat, in one round trip; None if it does not answer."""
    keys = (WORKERS, BACK, KILLED, BEAT, TAKEN, *QUEUES)
    told = redis.ask("EVAL", LOOK, len(keys), *keys)
    if told is None:
        return None
    now, beat, killed, workers, back, taken, waiting = told
    age = float(now) - float(beat) if beat else None
    queues = dict(zip(QUEUES, waiting, strict=True))
    return Seen(_ages(now, workers), _ages(now, back), age, int(killed), taken, queues)


def parts() -> list[Part]:
    """Redis, workers, beat, mail. Raises nothing when Redis is away, and hardly waits for it."""
    return [*of_redis(look()), mail(owed_mails())]


def degraded() -> list[str]:
    """The names of the parts that are not as they should be."""
    return [part.name for part in parts() if not part.ok]


def of_redis(seen: Seen | None) -> list[Part]:
    return [_redis(seen), _workers(seen), _beat(seen)]


def mail(owed: Owed) -> Part:
    """Green until a mail is refused, tried again, or late; a server that is away is told within
    half a minute.
    """
    told = []
    if refused := refused_mails():
        told.append(f"{_mails(refused)} refused for good: see Mails, Failed.")
    if owed.put_off:
        told.append(
            f"{_mails(owed.put_off)} put off and tried again: see Mails, Owed, for what the mail server says."
        )
    if owed.oldest_seconds >= LATE_SECONDS:
        told.append(f"The oldest owed mail has waited for {owed.oldest_seconds / 60:.0f} minutes.")
    return Part(
        "mail", not told, " ".join(told) or "None is late, and none was refused within a day."
    )


def refused_mails() -> int:
    """Refused for good within a day, and not sent again since."""
    since = timezone.now() - REFUSED_SINCE
    return sum(
        rows.objects.failed().filter(mail_failed_at__gt=since).count()
        for rows in outbox.kinds().values()
    )


def owed_mails() -> Owed:
    """Of all that are owed: the oldest is put off the furthest, so those that are due first do not
    tell of it.
    """
    asked = {"oldest": Min("at"), "put_off": Count("pk", filter=TRIED_AGAIN)}
    told = [rows.objects.owed().aggregate(**asked) for rows in outbox.kinds().values()]
    oldest = max((_seconds_since(kind["oldest"]) for kind in told if kind["oldest"]), default=0.0)
    return Owed(oldest, sum(kind["put_off"] for kind in told))


def _mails(count: int) -> str:
    return "1 mail was" if count == 1 else f"{count} mails were"


def _ages(now: Any, told: list[Any]) -> dict[str, float]:
    names, heard = told[::2], told[1::2]
    return {name.decode(): float(now) - float(at) for name, at in zip(names, heard, strict=True)}


def _seconds_since(at: datetime) -> float:
    return max(0.0, (timezone.now() - at).total_seconds())


def _redis(seen: Seen | None) -> Part:
    if seen:
        waiting = ", ".join(f"{tasks} in {queue}" for queue, tasks in seen.queues.items())
        return Part(
            "redis", True, f"Answers. Broker's queues: {waiting}; workers have taken {seen.taken}."
        )
    why = "Does not answer" if settings.REDIS_URL else "REDIS_URL is not set"
    return Part(
        "redis", False, f"{why}: seats are sold without locks, and no worker is asked for mails."
    )


def _workers(seen: Seen | None) -> Part:
    if seen is None:
        return Part("workers", False, "Unknown: they are heard of through Redis.")
    told = [f"{seen.alive} {'worker' if seen.alive == 1 else 'workers'}"]
    if seen.alive:
        told[0] += f", the last heard of {min(seen.workers.values()):.0f} s ago"
    told += [
        f"{name} is silent for {age:.0f} s"
        for name, age in seen.workers.items()
        if age >= SILENT_SECONDS
    ]
    back = {name: age for name, age in seen.back.items() if age < BACK_SECONDS}
    told += [f"{name} was killed and came back {age:.0f} s ago" for name, age in back.items()]
    return Part("workers", bool(seen.alive and not seen.silent and not back), "; ".join(told) + ".")


def _beat(seen: Seen | None) -> Part:
    if seen is None:
        return Part("beat", False, "Unknown: it is heard of through Redis.")
    if seen.beat is None:
        return Part("beat", False, "Not heard of: nothing is swept, and mails wait.")
    return Part("beat", seen.beat < SILENT_SECONDS, f"The last tick was {seen.beat:.0f} s ago.")
