"""The filters beside a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from cinema.programme.days import span, tonight
from cinema.sales.models import Booking

Option = TypeVar("Option")
Span = Callable[[], tuple[datetime, datetime]]


class Choice(admin.SimpleListFilter, Generic[Option]):
    """A filter whose values, with their labels, each stand for an `option` of a query."""

    options: Mapping[str, tuple[str, Option]]

    def lookups(self, *_: object) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.options.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.options.get(self.value() or "")
        return self.narrowed(queryset, chosen[1]) if chosen else queryset

    def narrowed(self, rows: QuerySet[Any], option: Option) -> QuerySet[Any]:
        raise NotImplementedError


class DayFilter(Choice[Span]):
    """Days of the cinema's own time zone.

    `date_hierarchy` needs time zone tables that a MariaDB may not have.
    """

    title, parameter_name, field = "day of the show", "day", "date_time"
    options = {
        "tonight": ("Tonight", tonight),
        "today": ("Today", partial(span, 0, 1)),
        "tomorrow": ("Tomorrow", partial(span, 1, 2)),
        "week": ("The next seven days", partial(span, 0, 7)),
        "later": ("Later than that", partial(span, 7, 36500)),
        "past": ("Before today", partial(span, -36500, 0)),
    }

    def narrowed(self, rows: QuerySet[Any], option: Span) -> QuerySet[Any]:
        start, end = option()
        return rows.filter(**{f"{self.field}__gte": start, f"{self.field}__lt": end})


class BookingDayFilter(DayFilter):
    field = "show__date_time"


class StatusFilter(Choice[str]):
    title, parameter_name = "status", "status"
    options = {value: (str(label), value) for value, label in Booking.Status.choices}

    def narrowed(self, rows: Any, option: str) -> QuerySet[Any]:
        found: QuerySet[Any] = rows.with_status(option)
        return found


class MailFilter(Choice[str]):
    title, parameter_name = "mail", "mail"
    options = {
        "owed": ("Owed", "mail_due_at"),
        "failed": ("Failed", "mail_failed_at"),
        "sent": ("Sent", "mail_sent_at"),
    }

    def narrowed(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(**{f"{option}__isnull": False})
