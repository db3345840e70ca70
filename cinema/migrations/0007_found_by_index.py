from django.db import migrations

INDEXES = {
    # As rows come in the order of time, a page range tells the days: a few kB, and next to nothing for a sale.
    "booking_made": "cinema_booking USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on)",
    # As `istartswith` asks. A username and an e-mail have one from Django.
    "user_first_name": "cinema_user (upper(first_name::text) text_pattern_ops)",
    "user_last_name": "cinema_user (upper(last_name::text) text_pattern_ops)",
}


def build(apps, schema_editor):
    """On PostgreSQL, where there may be millions; beside sales. One that was cut off half-way is made anew."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("SET statement_timeout = 0; SET lock_timeout = 0")  # it waits for others, and nobody for it
    for name, definition in INDEXES.items():
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
    schema_editor.execute("RESET statement_timeout; RESET lock_timeout")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


class Migration(migrations.Migration):
    """What the staff's pages ask, found without reading all: bookings by the day they were made, users by their name."""

    atomic = False
    dependencies = [("cinema", "0006_refused_mails")]

    operations = [migrations.RunPython(build, remove)]
