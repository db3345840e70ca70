"""How many seats of a show are sold and held, counted by a subquery for each: many times cheaper
than GROUP BY.
"""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from cinema.programme.models import Show
from cinema.sales.models import BookingSeat


def with_seats(shows: QuerySet[Show]) -> QuerySet[Any]:
    """Annotated with `sold` and `held`."""
    return shows.annotate(sold=_seats(held_until=None), held=_seats(held_until__isnull=False))


def _seats(**which: Any) -> Coalesce:
    rows = BookingSeat.objects.live().filter(show=OuterRef("pk"), **which).order_by().values("show")
    return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n")), 0)
