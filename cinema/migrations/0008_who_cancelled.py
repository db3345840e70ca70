from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cinema", "0007_found_by_index")]

    operations = [
        migrations.AddField(
            model_name="show",
            name="cancel_request_id",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]
