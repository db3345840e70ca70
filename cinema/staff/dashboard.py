"""The front page of the staff: tonight, how it sells, the mails, and what the house runs on.

Each part is for who may see its rows by Django's permissions. Each costs a few queries that read
tonight, the last two weeks or what is owed, and never the whole table. Where two weeks are a
million bookings, the page does not wait for their sum: it is fetched afterwards. What changes by the
minute (`live_parts`) is fetched again while the page is open.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, transaction
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.timezone import localtime
from django.views.decorators.http import require_safe
from psycopg.errors import QueryCanceled

from cinema.infra.monitoring import health
from cinema.infra.outbox import OwedMail
from cinema.people.models import PasswordReset
from cinema.programme import days
from cinema.programme.days import midnight
from cinema.programme.models import Progress, Show
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.seat_map.availability import with_counts

DAYS = 14
JUST_STARTED = timedelta(minutes=30)
MOST_SHOWS, NEXT_SHOWS, MOST_FILMS, MOST_CANCELLED = 40, 10, 10, 5
PATIENCE_MS = 120
MAILS: dict[type[OwedMail], str] = {BookingEvent: "Of bookings", PasswordReset: "Of passwords"}
Context = dict[str, Any]


def fill_front_page(request: HttpRequest, context: Context) -> Context:
    """Return the context of `admin/index.html`; unfold calls it."""
    context = context | _live_parts(request) | {"title": "Tonight"}
    if request.user.has_perm("cinema.view_booking"):
        context["sales"] = sales_at_once()
    return context


@require_safe
def live_parts(request: HttpRequest) -> HttpResponse:
    """Show the part of the page that the open page fetches again and again."""
    context = _live_parts(request)
    if not any(context.values()):
        raise PermissionDenied
    return TemplateResponse(request, "admin/cinema/now.html", context)


def _live_parts(request: HttpRequest) -> Context:
    may = request.user.has_perm
    context: Context = {}
    if may("cinema.view_show"):
        context |= {"tonight": tonight(), "cancelling": cancelling()}
    parts = health.parts() if may("cinema.view_booking") else []
    kinds = [kind for kind in MAILS if may(f"cinema.view_{kind._meta.model_name}")]
    return context | {
        "health": parts,
        "look": [part.name for part in parts if not part.ok],
        "mails": mails(kinds),
    }


def tonight() -> Context:
    """Return what starts until the night ends; if that is nothing, what comes next.

    A cancelled show stays for its whole night, for those who come to it.
    """
    began, ends = days.tonight()
    rows = with_counts(Show.objects.with_clock().order_by("date_time", "pk"))
    rows = rows.select_related("movie", "screen")
    is_coming = Q(cancelled_at=None, date_time__gt=Now() - JUST_STARTED)
    is_cancelled = Q(cancelled_at__isnull=False, date_time__gte=began)
    is_tonight = Q(date_time__gt=began - JUST_STARTED, date_time__lt=ends)
    starting = rows.filter(is_tonight, is_coming | is_cancelled)
    title = "Tonight"
    shows = list(starting[:MOST_SHOWS])
    more = 0
    if len(shows) == MOST_SHOWS:
        more = max(0, starting.count() - MOST_SHOWS)
    if all(show.cancelled_at for show in shows):
        title = "Next shows"
        shows += rows.filter(is_coming)[:NEXT_SHOWS]
    return {"title": title, "shows": [_describe(show) for show in shows], "more": more}


def _describe(show: Show) -> Context:
    stands = show.cancelled_at is None
    return {
        "show": show,
        "in": until(show.date_time - show.now) if stands else "cancelled",
        "open": stands and show.date_time > show.now,
        "free": show.total_seats - show.sold - show.held,
        "percent": {
            "sold": round(100 * show.sold / show.total_seats, 1),
            "held": round(100 * show.held / show.total_seats, 1),
        },
    }


def until(left: timedelta) -> str:
    """Return how long it is to the start, as one says it."""
    minutes = round(left.total_seconds() / 60)
    if minutes <= 0:
        return f"started {-minutes} min ago"
    if minutes < 60:
        return f"in {minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"in {hours} h {minutes:02} min"
    return f"in {hours // 24} d {hours % 24} h"


def cancelling() -> list[Context]:
    """Cancelled shows some of whose bookings still stand."""
    seats = BookingSeat.objects.live().filter(show=OuterRef("pk")).order_by()
    left = Subquery(seats.values("show").annotate(n=Count("booking", distinct=True)).values("n"))
    rows = Show.objects.filter(Exists(seats), cancelled_at__isnull=False).select_related(
        "movie", "screen"
    )
    rows = rows.annotate(left=Coalesce(left, 0)).order_by("cancelled_at")
    return [{"show": show, "progress": _progress(show)} for show in rows[:MOST_CANCELLED]]


def _progress(show: Any) -> Progress:
    """`Show.progress` asks for each show; here one statement has counted what is `left` of all."""
    total = max(show.live_when_cancelled or 0, show.left)
    return Progress(total - show.left, total)


def sales_at_once() -> Context:
    """The sales, or `{"later": True}` where PostgreSQL has not summed them up within PATIENCE_MS."""
    if connection.vendor != "postgresql":
        return sales()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            return sales()
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return {"later": True}


@require_safe
def sales_later(request: HttpRequest) -> HttpResponse:
    """The part of the page that it fetches by itself."""
    if not request.user.has_perm("cinema.view_booking"):
        raise PermissionDenied
    return TemplateResponse(request, "admin/cinema/sales.html", {"sales": sales()})


def sales() -> Context:
    """Bookings of the last days that stand, by the day on which they were made and by their film."""
    days = [midnight(ahead) for ahead in range(1 - DAYS, 2)]
    by_day: Counter[int] = Counter()
    by_film: Counter[str] = Counter()
    for day, film, count in sold(days):
        by_day[day] += count
        by_film[film] += count
    labels = [f"{localtime(day):%a %d %b}" for day in days[:-1]]
    per_day = [by_day[day] for day in range(DAYS)]
    films = by_film.most_common(MOST_FILMS)
    if rest := by_film.total() - sum(count for _, count in films):
        films.append(("others", rest))
    return {
        "total": by_film.total(),
        "days": list(zip(labels, per_day, strict=True)),
        "films": films,
        "day_chart": _chart(labels, per_day),
        "day_axis": _axis(horizontal=False),
        "film_axis": _axis(horizontal=True),
        "film_chart": _chart([film for film, _ in films], [count for _, count in films]),
    }


def sold(days: list[datetime]) -> QuerySet[Any, Any]:
    """Rows of day, film and number of bookings. The last of `days` ends the one before it.

    The days are compared and not cut out of the time: that would need time zone tables, which a
    MariaDB may not have.
    """
    starts = [
        When(created_at__gte=start, then=Value(day))
        for day, start in reversed(list(enumerate(days[:-1])))
    ]
    rows = Booking.objects.filter(
        status=Booking.Status.BOOKED, created_at__gte=days[0], created_at__lt=days[-1]
    )
    day = Case(*starts, output_field=IntegerField())
    counted = rows.order_by().values(day=day, film=F("show__movie__title")).annotate(n=Count("pk"))
    return counted.values_list("day", "film", "n")


def _chart(labels: list[str], values: list[int]) -> str:
    bars = {
        "label": "Bookings",
        "data": values,
        "backgroundColor": "var(--color-primary-500)",
        "maxBarThickness": 28,
    }
    return json.dumps({"labels": labels, "datasets": [bars | {"borderRadius": 3}]})


def _axis(*, horizontal: bool) -> str:
    """Return the axes: whole numbers along one, names along the other.

    A film's name is too long to stand below its bar.
    """
    numbers = {"beginAtZero": True, "ticks": {"precision": 0}, "grid": {"tickWidth": 0}}
    names = {"grid": {"display": False}}
    return json.dumps({
        "indexAxis": "y" if horizontal else "x",
        "animation": False,
        "maintainAspectRatio": False,
        "plugins": {"legend": {"display": False}},
        "scales": {"x": numbers, "y": names} if horizontal else {"x": names, "y": numbers},
    })  # fmt: skip


def mails(kinds: Iterable[type[OwedMail]] = MAILS) -> list[Context]:
    """Count what is owed and failed of each kind, as the list that the figure leads to has it.

    Each has its index.
    """
    return [
        {
            "name": MAILS[kind],
            "list": f"admin:cinema_{kind._meta.model_name}_changelist",
            "owed": kind.objects.owed().count(),
            "failed": kind.objects.failed().count(),
        }
        for kind in kinds
    ]
