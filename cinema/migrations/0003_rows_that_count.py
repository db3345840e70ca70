from django.db import migrations
from django.db.models import Q

from cinema.infra.database.constraints import UniqueWhile


class WherePartial:
    """MariaDB has no partial index: there the constraint stays as it was, and no moment is without it."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.features.supports_partial_indexes:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.features.supports_partial_indexes:
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class RemoveConstraint(WherePartial, migrations.RemoveConstraint):
    pass


class AddConstraint(WherePartial, migrations.AddConstraint):
    pass


ONE_HOLD = UniqueWhile(name="booking_one_hold", fields=["show", "user", "holding"], condition=Q(holding=True))
SOLD_ONCE = UniqueWhile(
    name="seat_sold_once", fields=["show", "taken", "seat_number"], condition=Q(taken=True), include=["held_until"]
)


class Migration(migrations.Migration):
    """The history leaves the two unique indexes; the one of the seats tells maps and counts all they read."""

    dependencies = [("cinema", "0002_staff_groups")]

    operations = [
        RemoveConstraint("booking", "booking_one_hold"),
        AddConstraint("booking", ONE_HOLD),
        RemoveConstraint("bookingseat", "seat_sold_once"),
        AddConstraint("bookingseat", SOLD_ONCE),
        migrations.RemoveIndex("bookingseat", "seat_live"),
    ]
