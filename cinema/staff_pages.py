"""What the staff's pages share: two people at one page, pages that have no form, and the filters beside a list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.paginator import Paginator
from django.db import IntegrityError, OperationalError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.timezone import localtime, make_aware
from unfold import admin as unfold
from unfold.decorators import action
from unfold.views import ChangeList as UnfoldChangeList

from cinema.database_errors import is_deadlock, is_lock_timeout
from cinema.models import Booking

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    ChangeList = DjangoChangeList
    Pages = Paginator[Any]
else:
    ModelAdmin = unfold.ModelAdmin
    ChangeList, Pages = UnfoldChangeList, Paginator

MOST_COUNTED = 10_000
View = TypeVar("View")


def local(moment: datetime) -> str:
    """In the cinema's own time, and in one line of a narrow column."""
    return f"{localtime(moment):%a %d %b %Y %H:%M}".replace(" ", "\N{NO-BREAK SPACE}")


def midnight(days_ahead: int) -> datetime:
    return make_aware(datetime.combine(localtime().date() + timedelta(days=days_ahead), time.min))


def button(description: str, path: str) -> Callable[[View], View]:
    """On the page of a row, for who may see it: leads to `path` below that page."""
    made: Callable[[View], View] = action(
        description=description, url_path=path, permissions=["view"], icon="event_seat"
    )
    return made


class AtLeast(int):
    """As a page says it where counting on would take too long."""

    def __str__(self) -> str:
        return f"{int(self):d}+"


class CountedSoFar(Pages):
    """Counts no more than MOST_COUNTED rows, so that a list of millions is there at once."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        found = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
        return found if found <= MOST_COUNTED else AtLeast(MOST_COUNTED)


class List(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count  # nobody counts the rows that are filtered out


class Listed(ModelAdmin):
    """A list that does not wait for the number of its rows."""

    show_full_result_count = False
    paginator = CountedSoFar
    show_facets = admin.ShowFacets.NEVER

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[DjangoChangeList]:  # noqa: ARG002
        return List


class Shared(Listed):
    """A page that two people may save at once."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """A save reads the row under its lock, so that it does not write over what another clerk wrote meanwhile."""
        found = super().get_object(request, object_id, from_field)
        if found is None or not connection.in_atomic_block:
            return found
        return self.get_queryset(request).select_for_update().filter(pk=found.pk).first()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, lambda: super(Shared, self).changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, lambda: super(Shared, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(request, lambda: super(Shared, self).changelist_view(request, *args, **kwargs))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What has bookings is protected from everybody; Django would say that this person may not delete bookings."""
        found, counts, forbidden, protected = super().get_deleted_objects(objs, request)
        return found, counts, set() if protected else forbidden, protected

    def _explained(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        """The forms check first; what slips in behind the check is refused by the database, and told here."""
        try:
            return view()
        except (IntegrityError, OperationalError) as error:
            if isinstance(error, OperationalError) and not (is_deadlock(error) or is_lock_timeout(error)):
                raise
            sentence = "Somebody else changed this at the same moment, so nothing was saved. Please look and try again."
            self.message_user(request, sentence, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class ReadOnly(Listed):
    """Looked at, and changed by its actions alone: they need the change permission, and the page has no form."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class Choice(admin.SimpleListFilter):
    options: ClassVar[dict[str, tuple[str, Any]]]

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.options.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        value = self.value()
        return self.narrowed(queryset, self.options[value][1]) if value in self.options else queryset

    def narrowed(self, rows: QuerySet[Any], option: Any) -> QuerySet[Any]:
        raise NotImplementedError


class DayFilter(Choice):
    """Days of the cinema's own time zone. (`date_hierarchy` needs time zone tables that a MariaDB may not have.)"""

    title, parameter_name, field = "day of the show", "day", "date_time"
    options = {
        "today": ("Today", (0, 1)),
        "tomorrow": ("Tomorrow", (1, 2)),
        "week": ("The next seven days", (0, 7)),
        "later": ("Later than that", (7, 36500)),
        "past": ("Before today", (-36500, 0)),
    }

    def narrowed(self, rows: QuerySet[Any], option: tuple[int, int]) -> QuerySet[Any]:
        start, end = map(midnight, option)
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
