"""What a delete page shows: what goes with the rows and what protects them.

Some rows of each kind, however many there are.

Django reads all of them, with a query or two for each: a film with a million bookings would never
be shown.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import CASCADE, PROTECT, Model, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

SHOWN = 10
Described = tuple[list[Any], dict[str, int], set[str], list[str]]


def describe(objs: Any, request: HttpRequest, site: AdminSite) -> Described:
    """Return what goes, how many, what this person may not delete, and what protects the rows."""
    chosen = list(objs)
    if not chosen:
        return [], {}, set(), []
    keys = (
        objs.order_by().values("pk") if isinstance(objs, QuerySet) else [row.pk for row in chosen]
    )
    related = list(_related(type(chosen[0]), keys))
    protecting = [line for rows, protects in related if protects for line in _some(rows, site)]
    if protecting:
        return [], {}, set(), protecting
    going = [rows for rows, protects in related if not protects]
    counts = {str(rows.model._meta.verbose_name_plural): rows.count() for rows in going}
    counts = {str(chosen[0]._meta.verbose_name_plural): len(chosen)} | {
        name: n for name, n in counts.items() if n
    }
    one_of_each = [*chosen, *(row for rows in going for row in rows[:1])]
    forbidden = {
        str(row._meta.verbose_name) for row in one_of_each if not _may_delete(row, request, site)
    }
    return (
        [*_lines(chosen, site), [line for rows in going for line in _some(rows, site)]],
        counts,
        forbidden,
        [],
    )


def _related(model: type[Model], keys: Any, path: str = "") -> Iterator[tuple[QuerySet[Any], bool]]:
    """Return the rows that point at these, and at what goes with them; and whether they protect it."""
    relation: Any
    for relation in get_candidate_relations_to_delete(model._meta):
        where = f"{relation.field.name}__{path}" if path else relation.field.name
        rows: QuerySet[Any] = (
            QuerySet(relation.related_model).filter(**{f"{where}__in": keys}).order_by()
        )
        if relation.on_delete is PROTECT:
            yield rows, True
        elif relation.on_delete is CASCADE:
            yield rows, False
            yield from _related(relation.related_model, keys, where)


def _some(rows: QuerySet[Any], site: AdminSite) -> list[str]:
    names: Any = (
        site.get_model_admin(rows.model).list_select_related
        if site.is_registered(rows.model)
        else ()
    )
    found = list(rows.select_related(*(names or ()))[: SHOWN + 1])
    more = [f"and more {rows.model._meta.verbose_name_plural}"] if len(found) > SHOWN else []
    return _lines(found[:SHOWN], site) + more


def _lines(rows: Iterable[Model], site: AdminSite) -> list[str]:
    return [_line(row, site) for row in rows]


def _line(row: Model, site: AdminSite) -> str:
    kind = capfirst(row._meta.verbose_name)
    if not site.is_registered(type(row)):
        return f"{kind}: {row}"
    page = f"{site.name}:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('{}: <a href="{}">{}</a>', kind, reverse(page, args=[quote(row.pk)]), row)


def _may_delete(row: Model, request: HttpRequest, site: AdminSite) -> bool:
    return not site.is_registered(type(row)) or site.get_model_admin(
        type(row)
    ).has_delete_permission(request, row)
