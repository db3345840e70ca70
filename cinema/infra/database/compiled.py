"""A query whose SQL Django writes once and not at every call.

Writing it takes longer than the database's answer: a third of the time of a list of shows. To
switch it off, let `rows` run `self.build(value)`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from cinema.infra.database import prepared

SLOT = 2**31 - 77  # stands for the value in the SQL that is kept; no id of ours


class Compiled:
    """A query with one value to come: `build(SLOT)` gives its queryset of `values_list`.

    `rows(value)` runs it with that value in the slot's place.
    """

    def __init__(self, build: Callable[[int], QuerySet[Any, Any]]) -> None:
        self.build = build

    def rows(self, value: int) -> list[list[Any]]:
        if prepared.serves():
            sql, values = self._named
            return prepared.rows(
                sql, {name: value if own == SLOT else own for name, own in values.items()}
            )
        sql, params, converters = self._written
        with connection.cursor() as cursor:
            cursor.execute(sql, [value if param == SLOT else param for param in params])
            rows = [list(row) for row in cursor.fetchall()]
        for position, (functions, column) in converters.items():
            for row in rows:
                for convert in functions:
                    row[position] = convert(row[position], column, connection)
        return rows

    @cached_property
    def _named(self) -> tuple[str, dict[str, Any]]:
        """PostgreSQL's, with a name in each parameter's place."""
        sql, params, _ = self._written
        values = {f"p{number}": param for number, param in enumerate(params)}
        return sql % tuple(f"%({name})s" for name in values), values

    @cached_property
    def _written(self) -> tuple[str, tuple[Any, ...], dict[int, Any]]:
        compiler = self.build(SLOT).query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        return (
            sql,
            tuple(params),
            compiler.get_converters([column for column, _, _ in compiler.select]),
        )
