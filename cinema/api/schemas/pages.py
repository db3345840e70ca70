"""One page of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import QuerySet
from ninja import Field, Schema

from cinema.api.fields import (
    WholeNumber,
)
from cinema.sales.snapshots import PAGE

Row = TypeVar("Row")


class Page(Schema):
    limit: WholeNumber = Field(PAGE, ge=1, le=100)
    offset: WholeNumber = Field(0, ge=0, le=1_000_000)

    def cut(
        self, rows: QuerySet[Any, Row], read: Callable[[QuerySet[Any, Row]], list[Any]]
    ) -> dict[str, Any]:
        """Return this page of the rows, as `read` turns them into items."""
        return self.fill(read(rows[self.offset : self.offset + self.limit]), rows.count)

    def fill(self, items: list[Any], count: Callable[[], int]) -> dict[str, Any]:
        """Return a page of these items. They are counted only where it does not show how many."""
        is_last = len(items) < self.limit and (items or not self.offset)
        return {"items": items, "count": self.offset + len(items) if is_last else count()}


FIRST_PAGE = Page(limit=PAGE, offset=0)
