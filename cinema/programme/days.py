"""Days and nights of the cinema's own time zone, as instants."""

from datetime import date, datetime, time, timedelta

from django.utils.timezone import localtime, make_aware

NIGHT_ENDS = time(4)


def bounds_of_day(day: date) -> tuple[datetime, datetime]:
    """Return the midnights at which this day begins and ends."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def midnight(days_ahead: int) -> datetime:
    """Return the midnight at which the day so many days after today begins."""
    return _midnight(localtime().date() + timedelta(days=days_ahead))


def span(first: int, end: int) -> tuple[datetime, datetime]:
    """Return the midnights between which these days lie, counted from today."""
    return midnight(first), midnight(end)


def tonight() -> tuple[datetime, datetime]:
    """Return the end of last night and of this one.

    What starts at one o'clock belongs to the evening before it.
    """
    now = localtime()
    day = now.date()
    if now.time() < NIGHT_ENDS:
        day -= timedelta(days=1)
    start = make_aware(datetime.combine(day, NIGHT_ENDS))
    end = make_aware(datetime.combine(day + timedelta(days=1), NIGHT_ENDS))
    return start, end


def _midnight(day: date) -> datetime:
    return make_aware(datetime.combine(day, time.min))
