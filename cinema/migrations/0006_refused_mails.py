from django.db import migrations, models
from django.db.models import Q


class AddIndexBesideSales(migrations.AddIndex):
    """On PostgreSQL nobody waits for it, however long the history is; one that was cut off half-way is made anew."""

    atomic = False

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            return super().database_forwards(app_label, schema_editor, from_state, to_state)
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute("SET statement_timeout = 0; SET lock_timeout = 0")  # it waits for others, and nobody for it
        schema_editor.remove_index(model, self.index, concurrently=True)  # IF EXISTS
        schema_editor.add_index(model, self.index, concurrently=True)
        schema_editor.execute("RESET statement_timeout; RESET lock_timeout")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            return super().database_backwards(app_label, schema_editor, from_state, to_state)
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, concurrently=True)


def refused(name):
    return models.Index(name=name, fields=["mail_failed_at"], condition=Q(mail_failed_at__isnull=False))


class Migration(migrations.Migration):
    """Of the refused mails alone, so that no sale writes it."""

    atomic = False  # as PostgreSQL wants it for an index that is built beside sales
    dependencies = [("cinema", "0005_request_ids")]

    operations = [
        AddIndexBesideSales("bookingevent", refused("bookingevent_failed")),
        AddIndexBesideSales("passwordreset", refused("passwordreset_failed")),
    ]
