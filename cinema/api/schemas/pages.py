"""One page of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypedDict, TypeVar

from django.db.models import Model, QuerySet
from ninja import Field, Schema

from cinema.api.fields import WholeNumber
from cinema.sales.snapshots import PAGE

Kind = TypeVar("Kind", bound=Model)
Row = TypeVar("Row")
Item = TypeVar("Item")


class Items(TypedDict, Generic[Item]):
    items: list[Item]
    count: int


class Page(Schema):
    limit: WholeNumber = Field(PAGE, ge=1, le=100)
    offset: WholeNumber = Field(0, ge=0, le=1_000_000)

    def cut(
        self, rows: QuerySet[Kind, Row], read: Callable[[QuerySet[Kind, Row]], list[Item]]
    ) -> Items[Item]:
        """Return this page of the rows, as `read` turns them into items."""
        return self.fill(read(rows[self.offset : self.offset + self.limit]), rows.count)

    def fill(self, items: list[Item], count: Callable[[], int]) -> Items[Item]:
        """Return a page of these items. They are counted only where it does not show how many."""
        if len(items) < self.limit and (items or not self.offset):
            return {"items": items, "count": self.offset + len(items)}
        return {"items": items, "count": count()}


FIRST_PAGE = Page(limit=PAGE, offset=0)
