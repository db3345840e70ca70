"""Copying shows to other days."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.utils import timezone

from cinema.infra.database.errors import is_deadlock, is_lock_timeout
from cinema.programme.models import Show


class Copies(NamedTuple):
    """What was copied, and of each copy that was not, a sentence why."""

    copied: list[Show]
    refused: list[str]


def copy_shows(shows: Iterable[Show], days: Iterable[date]) -> Copies:
    """Each show on each of these days, at the same hour of the cinema's clock, checked like a save.

    Each in a transaction of its own: what is refused stops none of the others. Again, it copies
    nothing, since the copies that stand are in the way.
    """
    copies, originals = Copies([], []), sorted(shows, key=lambda show: (show.date_time, show.pk))
    for day in sorted(set(days)):
        for show in originals:
            starts = timezone.make_aware(
                datetime.combine(day, timezone.localtime(show.date_time).time())
            )
            starts = starts.astimezone(UTC)  # an hour that the clocks leave out becomes another one
            copy = Show(
                movie=show.movie, screen=show.screen, date_time=starts, total_seats=show.total_seats
            )
            if reason := _save(show, copy):
                copies.refused.append(f"No {copy.description}: {reason}")
            else:
                copies.copied.append(copy)
    return copies


def _save(show: Show, copy: Show) -> str:
    """Save the copy, or say why not."""
    if show.cancelled_at:
        return "The one to copy is cancelled."
    if timezone.localtime(copy.date_time).time() != timezone.localtime(show.date_time).time():
        return "The clocks are put forward over its hour."
    try:
        copy.save()
    except ValidationError as error:
        return " ".join(error.messages)
    except OperationalError as error:
        if not (is_deadlock(error) or is_lock_timeout(error)):
            raise
        return "Somebody else is changing this screen's programme. Try again."
    return ""
