"""What staff pages share: lists, pages that two people edit, pages without a form, and their log."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db import IntegrityError, OperationalError, connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.utils.text import capfirst
from unfold import admin as unfold
from unfold.decorators import action
from unfold.views import ChangeList as UnfoldChangeList

from cinema.infra.database.errors import is_deadlock, is_lock_timeout
from cinema.staff import deleting
from cinema.staff.formats import row_number

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    ChangeList = DjangoChangeList
    Pages = Paginator[Any]
else:
    ModelAdmin = unfold.ModelAdmin
    ChangeList, Pages = UnfoldChangeList, Paginator

MOST_COUNTED = 10_000
MOST_LOGGED = 1000  # letters of a line
CONFLICT = (
    "Somebody else changed this at the same moment, so nothing was saved. "
    "Please look and try again."
)
View = TypeVar("View")


def button(description: str, path: str) -> Callable[[View], View]:
    """On the page of a row, for who may see it: leads to `path` below that page."""
    made: Callable[[View], View] = action(
        description=description, url_path=path, permissions=["view"], icon="event_seat"
    )
    return made


class AtLeast(int):
    """A number that is shown with a plus, where counting on would take too long."""

    def __str__(self) -> str:
        return f"{int(self):d}+"


class CountedSoFar(Pages):
    """Counts no more than MOST_COUNTED rows, so that a list of millions is there at once."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        found = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
        return found if found <= MOST_COUNTED else AtLeast(MOST_COUNTED)


class CountedList(ChangeList):
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


class LongList(ModelAdmin):
    """A list that does not wait for the number of its rows."""

    show_full_result_count = False
    paginator = CountedSoFar
    show_facets = admin.ShowFacets.NEVER

    def get_changelist(self, request: HttpRequest, **_: object) -> type[DjangoChangeList]:
        return CountedList

    # stubs
    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:  # type: ignore[override]
        """Django hands what was chosen to the database as it comes."""
        if any(row_number(chosen) is None for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return HttpResponseBadRequest(
                "What was chosen on this page is not in its list. Go back."
            )
        return super().response_action(request, queryset)

    def finish_action(self, request: HttpRequest, done: str, count: int, whose: str) -> None:
        """Say what an action did to many rows, and log it if it changed any."""
        self.message_user(request, f"{done}: {count}.")
        if count:
            self.log_many(request, f"{done}: {count}, of {whose}.")

    def log_many(self, request: HttpRequest, message: str, what: str = "") -> None:
        LogEntry.objects.create(
            user_id=request.user.pk or 0,
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=what or str(capfirst(self.opts.verbose_name_plural)),
            action_flag=CHANGE,
            change_message=message[:MOST_LOGGED],
        )


class EditedTogether(LongList):
    """A page that two people may save at once."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Read a row that will be saved under its lock, so that no other clerk's save is lost."""
        found = super().get_object(request, object_id, from_field)
        if found is None or not connection.in_atomic_block:
            return found
        return self.get_queryset(request).select_for_update().filter(pk=found.pk).first()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explain_conflict(
            request, lambda: super(EditedTogether, self).changeform_view(request, *args, **kwargs)
        )

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explain_conflict(
            request, lambda: super(EditedTogether, self).delete_view(request, *args, **kwargs)
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._explain_conflict(
            request, lambda: super(EditedTogether, self).changelist_view(request, *args, **kwargs)
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return deleting.describe(objs, request, self.admin_site)

    def _explain_conflict(
        self, request: HttpRequest, view: Callable[[], HttpResponse]
    ) -> HttpResponse:
        """Say what the database refuses, though the form had found nothing wrong."""
        try:
            return view()
        except (IntegrityError, OperationalError) as error:
            if isinstance(error, OperationalError) and not (
                is_deadlock(error) or is_lock_timeout(error)
            ):
                raise
            self.message_user(request, CONFLICT, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class ReadOnly(LongList):
    """A page without a form. Rows change by its actions, which need the change permission."""

    def has_add_permission(self, *_: object) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
