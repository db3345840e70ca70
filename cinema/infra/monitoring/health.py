"""What the house runs on, part by part: Redis, the workers, their beat and the mails.

Each part has a sentence for people.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone

from cinema.infra import outbox
from cinema.infra.monitoring import heartbeats
from cinema.infra.monitoring.heartbeats import SILENT_SECONDS, Seen

BACK_SECONDS = 60  # so long one that was killed and came back is named
LATE_SECONDS = 300  # a mail that is owed for longer is late
# put off once may be chance; the second try is 5 s later
TRIED_AGAIN = Q(mail_attempts__gte=2) & ~Q(mail_error="")
# a mail refused longer ago is still listed, and no alarm any more
REFUSED_SINCE = timedelta(days=1)


class Part(NamedTuple):
    name: str
    ok: bool
    sentence: str


class Owed(NamedTuple):
    """The mails that are owed: the age of the oldest, 0 if none is, and how many are tried again."""

    oldest_seconds: float
    put_off: int


def parts() -> list[Part]:
    """Redis, workers, beat, mail. Raises nothing when Redis is away, and hardly waits for it."""
    return [*parts_by_redis(heartbeats.look()), mail_part(owed_mails())]


def degraded() -> list[str]:
    """The names of the parts that are not as they should be."""
    return [part.name for part in parts() if not part.ok]


def parts_by_redis(seen: Seen | None) -> list[Part]:
    return [_redis_part(seen), _workers_part(seen), _beat_part(seen)]


def mail_part(owed: Owed) -> Part:
    """Return the mails' part: green until one is refused, tried again, or late.

    A mail server that is away shows within half a minute.
    """
    sentences = []
    if refused := refused_mails():
        sentences.append(f"{_mails(refused)} refused for good: see Mails, Failed.")
    if owed.put_off:
        sentences.append(
            f"{_mails(owed.put_off)} put off and tried again: see Mails, Owed, for what the mail server says."
        )
    if owed.oldest_seconds >= LATE_SECONDS:
        sentences.append(
            f"The oldest owed mail has waited for {owed.oldest_seconds / 60:.0f} minutes."
        )
    return Part(
        "mail",
        not sentences,
        " ".join(sentences) or "None is late, and none was refused within a day.",
    )


def refused_mails() -> int:
    """Refused for good within a day, and not sent again since."""
    since = timezone.now() - REFUSED_SINCE
    return sum(
        rows.objects.failed().filter(mail_failed_at__gt=since).count()
        for rows in outbox.kinds().values()
    )


def owed_mails() -> Owed:
    """Ask about all that are owed: the oldest is put off the furthest, and not among the first due."""
    asked = {"oldest": Min("at"), "put_off": Count("pk", filter=TRIED_AGAIN)}
    found = [rows.objects.owed().aggregate(**asked) for rows in outbox.kinds().values()]
    oldest = max((_seconds_since(kind["oldest"]) for kind in found if kind["oldest"]), default=0.0)
    return Owed(oldest, sum(kind["put_off"] for kind in found))


def _mails(count: int) -> str:
    return "1 mail was" if count == 1 else f"{count} mails were"


def _seconds_since(at: datetime) -> float:
    return max(0.0, (timezone.now() - at).total_seconds())


def _redis_part(seen: Seen | None) -> Part:
    if seen:
        waiting = ", ".join(f"{tasks} in {queue}" for queue, tasks in seen.queues.items())
        return Part(
            "redis", True, f"Answers. Broker's queues: {waiting}; workers have taken {seen.taken}."
        )
    why = "Does not answer" if settings.REDIS_URL else "REDIS_URL is not set"
    return Part(
        "redis", False, f"{why}: seats are sold without locks, and no worker is asked for mails."
    )


def _workers_part(seen: Seen | None) -> Part:
    if seen is None:
        return Part("workers", False, "Unknown: they are heard of through Redis.")
    sentences = [f"{seen.alive} {'worker' if seen.alive == 1 else 'workers'}"]
    if seen.alive:
        sentences[0] += f", the last heard of {min(seen.workers.values()):.0f} s ago"
    sentences += [
        f"{name} is silent for {age:.0f} s"
        for name, age in seen.workers.items()
        if age >= SILENT_SECONDS
    ]
    back = {name: age for name, age in seen.back.items() if age < BACK_SECONDS}
    sentences += [f"{name} was killed and came back {age:.0f} s ago" for name, age in back.items()]
    return Part(
        "workers", bool(seen.alive and not seen.silent and not back), "; ".join(sentences) + "."
    )


def _beat_part(seen: Seen | None) -> Part:
    if seen is None:
        return Part("beat", False, "Unknown: it is heard of through Redis.")
    if seen.beat is None:
        return Part("beat", False, "Not heard of: nothing is swept, and mails wait.")
    return Part("beat", seen.beat < SILENT_SECONDS, f"The last tick was {seen.beat:.0f} s ago.")
