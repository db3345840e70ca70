"""The filters beside a list, and the days and the night that they mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import localtime, make_aware

from cinema.sales.models import Booking

NIGHT_ENDS = time(4)


def midnight(days_ahead: int) -> datetime:
    return make_aware(datetime.combine(localtime().date() + timedelta(days=days_ahead), time.min))


def days(first: int, end: int) -> tuple[datetime, datetime]:
    return midnight(first), midnight(end)


def tonight() -> tuple[datetime, datetime]:
    """From the end of one night to that of the next: what starts at one o'clock is of the evening
    before it.
    """
    now = localtime()
    day = now.date() - timedelta(days=now.time() < NIGHT_ENDS)
    start, end = (
        make_aware(datetime.combine(day + timedelta(days=ahead), NIGHT_ENDS)) for ahead in (0, 1)
    )
    return start, end


class Choice(admin.SimpleListFilter):
    options: ClassVar[dict[str, tuple[str, Any]]]

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.options.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return (
            self.narrowed(queryset, self.options[value][1]) if value in self.options else queryset
        )

    def narrowed(self, rows: QuerySet[Any], option: Any) -> QuerySet[Any]:
        raise NotImplementedError


class DayFilter(Choice):
    """Days of the cinema's own time zone. (`date_hierarchy` needs time zone tables that a MariaDB
    may not have.)
    """

    title, parameter_name, field = "day of the show", "day", "date_time"
    options = {
        "tonight": ("Tonight", tonight),
        "today": ("Today", partial(days, 0, 1)),
        "tomorrow": ("Tomorrow", partial(days, 1, 2)),
        "week": ("The next seven days", partial(days, 0, 7)),
        "later": ("Later than that", partial(days, 7, 36500)),
        "past": ("Before today", partial(days, -36500, 0)),
    }

    def narrowed(
        self, rows: QuerySet[Any], option: Callable[[], tuple[datetime, datetime]]
    ) -> QuerySet[Any]:
        start, end = option()
        return rows.filter(**{f"{self.field}__gte": start, f"{self.field}__lt": end})


class BookingDayFilter(DayFilter):
    field = "show__date_time"


class StatusFilter(Choice):
    title, parameter_name = "status", "status"
    options = {value: (str(label), value) for value, label in Booking.Status.choices}

    def narrowed(self, rows: Any, option: str) -> QuerySet[Any]:
        found: QuerySet[Any] = rows.with_status(option)
        return found


class MailFilter(Choice):
    title, parameter_name = "mail", "mail"
    options = {
        "owed": ("Owed", "mail_due_at"),
        "failed": ("Failed", "mail_failed_at"),
        "sent": ("Sent", "mail_sent_at"),
    }

    def narrowed(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(**{f"{option}__isnull": False})
