"""How values are shown on staff pages, and read back from what a browser sends."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import localtime

from cinema.people.models import User

MOST_NAMED = 20
MOST_DIGITS = 18  # of a number that a row may have


def local(moment: datetime) -> str:
    """Return the cinema's own time, unbroken in a narrow column."""
    return f"{localtime(moment):%a %d %b %Y %H:%M}".replace(" ", "\N{NO-BREAK SPACE}")


def list_seats(numbers: Iterable[int]) -> str:
    """Return the seats as a sentence has them: `seat 5`, or `seats 5, 6`."""
    listed = [str(number) for number in numbers]
    noun = "seat" if len(listed) == 1 else "seats"
    return f"{noun} {', '.join(listed)}"


def list_names(rows: QuerySet[Any], column: str) -> str:
    """Return whom or what the log names of these rows; read before they change."""
    names = rows.order_by().values_list(column, flat=True).distinct()[: MOST_NAMED + 1]
    shown = [str(name) for name in names]
    if len(shown) > MOST_NAMED:
        shown[MOST_NAMED:] = ["others"]
    return ", ".join(shown)


def name_and_address(user: User) -> str:
    return ", ".join(filter(None, [user.get_full_name(), user.email]))


def row_number(typed: str) -> int | None:
    """Return what a row may have as its number; None for anything else a browser can send."""
    return int(typed) if typed.isdecimal() and len(typed) <= MOST_DIGITS else None
