"""A transaction that begins again where it lost a race. No network call is ever made inside one."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, transaction

from cinema.errors import Refusal
from cinema.infra.database.errors import is_deadlock, is_lock_timeout

ATTEMPTS = 3
Done = TypeVar("Done")
P = ParamSpec("P")


class Raced(Exception):
    """A compare-and-set found its row changed: begin again, and read what the winner wrote."""


def run(
    contended: type[Refusal], act: Callable[P, Done], *args: P.args, **kwargs: P.kwargs
) -> Done:
    """Return what `act` returns in a transaction of its own, begun up to ATTEMPTS times.

    It begins again after Raced, a broken constraint (somebody was faster) and a deadlock. It raises
    `contended` after the last of these races, and at once for a lock time-out. A lost connection is
    never repeated: nobody knows what it did.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True):
                return act(*args, **kwargs)
        except (Raced, IntegrityError):
            if attempt == ATTEMPTS:
                raise contended from None
        except OperationalError as error:
            if is_lock_timeout(error):
                raise contended from None
            if attempt == ATTEMPTS or not is_deadlock(error):
                raise
    raise AssertionError("every attempt returns or raises")
