"""What the staff's pages share: two people at one page, pages that have no form, lists, and what is
logged of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db import IntegrityError, OperationalError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.utils.text import capfirst
from django.utils.timezone import localtime
from unfold import admin as unfold
from unfold.decorators import action
from unfold.views import ChangeList as UnfoldChangeList

from cinema.infra.database.errors import is_deadlock, is_lock_timeout
from cinema.staff.lists import deleting

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    ChangeList = DjangoChangeList
    Pages = Paginator[Any]
else:
    ModelAdmin = unfold.ModelAdmin
    ChangeList, Pages = UnfoldChangeList, Paginator

MOST_COUNTED = 10_000
MOST_NAMED = 20
MOST_LOGGED = 1000  # letters of a line
LONGEST = 18  # digits of a number that a row may have
View = TypeVar("View")


def local(moment: datetime) -> str:
    """In the cinema's own time, and in one line of a narrow column."""
    return f"{localtime(moment):%a %d %b %Y %H:%M}".replace(" ", "\N{NO-BREAK SPACE}")


def named(rows: QuerySet[Any], column: str) -> str:
    """Whom or what the log names of these rows; read before they change."""
    names = rows.order_by().values_list(column, flat=True).distinct()[: MOST_NAMED + 1]
    told = list(map(str, names))
    return ", ".join([*told[:MOST_NAMED], "others"] if len(told) > MOST_NAMED else told)


def row_number(typed: str) -> int | None:
    """What a row may have as its number; None of anything else that a browser can send."""
    return int(typed) if typed.isdecimal() and len(typed) <= LONGEST else None


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

    def get_ordering_field(self, field_name: Any) -> Any:
        """Django heeds `sortable_by` in the headings alone, and not in an address."""
        return (
            super().get_ordering_field(field_name)
            if field_name in (self.sortable_by or ())
            else None
        )


class Listed(ModelAdmin):
    """A list that does not wait for the number of its rows."""

    show_full_result_count = False
    paginator = CountedSoFar
    show_facets = admin.ShowFacets.NEVER

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[DjangoChangeList]:
        return List

    # stubs
    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:  # type: ignore[override]
        """Django hands what was chosen to the database as it comes."""
        if any(row_number(chosen) is None for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return HttpResponseBadRequest(
                "What was chosen on this page is not in its list. Go back."
            )
        return super().response_action(request, queryset)

    def done_to_many(self, request: HttpRequest, told: str, count: int, whose: str) -> None:
        """One sentence for the clerk, and one line in the log if anything was changed."""
        self.message_user(request, f"{told}: {count}.")
        if count:
            self.log_many(request, f"{told}: {count}, of {whose}.")

    def log_many(self, request: HttpRequest, message: str, what: str = "") -> None:
        LogEntry.objects.create(
            user_id=request.user.pk or 0,
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=what or str(capfirst(self.opts.verbose_name_plural)),
            action_flag=CHANGE,
            change_message=message[:MOST_LOGGED],
        )


class Shared(Listed):
    """A page that two people may save at once."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """A save reads the row under its lock, so that it does not write over what another clerk
        wrote meanwhile.
        """
        found = super().get_object(request, object_id, from_field)
        if found is None or not connection.in_atomic_block:
            return found
        return self.get_queryset(request).select_for_update().filter(pk=found.pk).first()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(
            request, lambda: super(Shared, self).changeform_view(request, *args, **kwargs)
        )

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(
            request, lambda: super(Shared, self).delete_view(request, *args, **kwargs)
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explained(
            request, lambda: super(Shared, self).changelist_view(request, *args, **kwargs)
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return deleting.told(objs, request, self.admin_site)

    def _explained(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        """The forms check first; what slips in behind the check is refused by the database, and
        told here.
        """
        try:
            return view()
        except (IntegrityError, OperationalError) as error:
            if isinstance(error, OperationalError) and not (
                is_deadlock(error) or is_lock_timeout(error)
            ):
                raise
            sentence = "Somebody else changed this at the same moment, so nothing was saved. Please look and try again."
            self.message_user(request, sentence, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class ReadOnly(Listed):
    """Looked at, and changed by its actions alone: they need the change permission, and the page
    has no form.
    """

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, *_: Any) -> bool:
        return False
