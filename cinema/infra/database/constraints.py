"""A unique constraint over the rows that count alone.

So a long history costs no sale and no sweep its index.
"""

from typing import Any

from django.core.checks import CheckMessage
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, UniqueConstraint


class UniqueWhile(UniqueConstraint):
    """Unique while a nullable marker, one of the fields, is set.

    PostgreSQL and SQLite index no other rows.

    A condition makes Django skip the constraint on MariaDB, which has no such index, and `include`
    on SQLite too. Each gets what it can do: the rule holds without either, since a NULL is never
    equal to another.
    """

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        return super(UniqueWhile, self._on(schema_editor.connection)).constraint_sql(
            model, schema_editor
        )

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        return super(UniqueWhile, self._on(schema_editor.connection)).create_sql(
            model, schema_editor
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        return super(UniqueWhile, self._on(schema_editor.connection)).remove_sql(
            model, schema_editor
        )

    def _check(self, model: type[Model], connection: BaseDatabaseWrapper) -> list[CheckMessage]:
        return super(UniqueWhile, self._on(connection))._check(model, connection)  # type: ignore[misc, no-any-return]

    def _on(self, connection: BaseDatabaseWrapper) -> "UniqueWhile":
        features, supported = connection.features, self.clone()
        if not features.supports_partial_indexes:
            supported.condition = None
        if not features.supports_covering_indexes:
            supported.include = ()  # type: ignore[attr-defined] # the stubs do not know it
        return supported
