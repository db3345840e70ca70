"""The database of the tests: emptied after each, quickly, and written without waiting for a disk."""

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.test import TransactionTestCase

MADE_BY_MIGRATE = (ContentType, Permission, Group, Group.permissions.through)


def do_not_wait_for_the_disk(connection, **_kwargs) -> None:
    """A test database need not outlive a power cut: half of a commit's time is the disk's."""
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA synchronous=OFF")


class Flush:
    """Leave the tables as `migrate` made them, in a tenth of the time of Django's flush.

    Django's deletes from every table and makes the permissions anew, which takes longer than most
    tests. This one deletes from the tables that have rows, and writes what `migrate` made only
    where a test has changed it.
    """

    def __init__(self) -> None:
        self.made = {model: _rows(model) for model in MADE_BY_MIGRATE}
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self.tables = sorted(set(names) - {model._meta.db_table for model in MADE_BY_MIGRATE})
        quoted = map(connection.ops.quote_name, self.tables)
        self.question = "SELECT " + ", ".join(f"EXISTS(SELECT 1 FROM {name})" for name in quoted)

    def __call__(self) -> None:
        changed = [model for model, rows in self.made.items() if _rows(model) != rows]
        deletions = self._deletions([model._meta.db_table for model in changed])
        # In one transaction: the rows of the others refer to what is made anew.
        with transaction.atomic():
            if deletions:
                connection.ops.execute_sql_flush(deletions)
            for model in changed:
                model.objects.bulk_create(model(*row) for row in self.made[model])
        if changed:
            ContentType.objects.clear_cache()

    def reset_sequences(self) -> None:
        """Begin again from 1 in the tables that tests fill.

        In those of MADE_BY_MIGRATE the rows stay, and a number given again would be taken.
        """
        if not connection.features.supports_sequence_reset:
            return
        sequences = connection.introspection.sequence_list()
        emptied = [sequence for sequence in sequences if sequence["table"] in self.tables]
        resets = connection.ops.sequence_reset_by_name_sql(no_style(), emptied)
        connection.ops.execute_sql_flush(resets)

    def _deletions(self, also: list[str]) -> list[str]:
        """Plain DELETE on PostgreSQL, too: its TRUNCATE of two dozen small tables takes ten times
        as long.
        """
        with connection.cursor() as cursor:
            cursor.execute(self.question)
            answers = cursor.fetchone()
        used = [table for table, has_rows in zip(self.tables, answers, strict=True) if has_rows]
        names = map(connection.ops.quote_name, used + also)
        deletions = [f"DELETE FROM {name}" for name in names]
        if deletions and connection.vendor == "mysql":  # it checks references row by row
            return ["SET FOREIGN_KEY_CHECKS = 0", *deletions, "SET FOREIGN_KEY_CHECKS = 1"]
        return deletions


def _rows(model) -> list[tuple]:
    return list(model.objects.order_by("pk").values_list())


def install_flush() -> None:
    """Call once, when `migrate` has made the tables."""
    flush = Flush()
    TransactionTestCase._fixture_teardown = lambda case: flush()
    TransactionTestCase._reset_sequences = staticmethod(lambda alias: flush.reset_sequences())


connection_created.connect(do_not_wait_for_the_disk)
