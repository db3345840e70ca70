"""Guards switched off, for the controls: without them a race must go wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import Model
from django.db.models.functions import Now

from cinema.programme.models import Show
from cinema.sales import step_by_step
from cinema.sales.models import Booking, BookingEvent, BookingSeat

on_sqlite = connection.vendor == "sqlite"
one_writer_has_no_race = pytest.mark.skipif(
    on_sqlite, reason="SQLite has one writer at a time: no race to lose"
)


@contextmanager
def without(table: type[Model], name: str, stands_in: str) -> Iterator[None]:
    """The table without this constraint, and empty with it again behind the block."""
    constraint = next(c for c in table._meta.constraints if c.name == name)
    # a foreign key there wants an index that begins with its column
    on_mariadb = connection.vendor == "mysql"
    with connection.schema_editor() as editor:
        if on_mariadb:
            editor.execute(f"CREATE INDEX stand_in ON {table._meta.db_table} ({stands_in})")
        editor.remove_constraint(table, constraint)
    try:
        yield
    finally:
        for rows in (BookingEvent, BookingSeat, Booking):
            rows.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(table, constraint)
            if on_mariadb:
                editor.execute(f"DROP INDEX stand_in ON {table._meta.db_table}")


def without_locks(settings, monkeypatch) -> None:
    """No seat locks, and a show's row that is read and not locked."""
    settings.REDIS_URL = ""
    monkeypatch.setattr(
        step_by_step, "locked_show", lambda pk: Show.objects.annotate(now=Now()).get(pk=pk)
    )
