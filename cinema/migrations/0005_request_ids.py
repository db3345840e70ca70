from django.db import migrations, models


class Migration(migrations.Migration):
    """The database's default is for the version before, which names no such column."""

    dependencies = [("cinema", "0004_counter_and_cancelled_shows")]

    operations = [
        migrations.AddField(model, "request_id", models.CharField(blank=True, db_default="", default="", editable=False, max_length=64))
        for model in ("bookingevent", "passwordreset")
    ]
