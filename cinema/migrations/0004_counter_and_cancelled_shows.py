import django.db.models.deletion
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import migrations, models
from django.db.models import Q

WALK_IN = "walk-in"


def make_walk_in(apps, schema_editor):
    """A customer who has that name keeps account and bookings under another; a mail for a new password tells it."""
    users = apps.get_model("cinema", "User").objects.using(schema_editor.connection.alias)
    for customer in users.filter(username=WALK_IN).exclude(email=""):
        users.filter(pk=customer.pk).update(username=f"{WALK_IN}-{customer.pk}")
    if other := users.filter(email="").exclude(username=WALK_IN).first():
        raise RuntimeError(f"User {other.pk} has no e-mail address. Give them one: only the walk-in account has none.")
    nobody = {"password": make_password(None), "is_active": True, "is_staff": False, "is_superuser": False}
    users.update_or_create(username=WALK_IN, defaults=nobody, create_defaults={"email": "", **nobody})


class Migration(migrations.Migration):
    """The account of customers without an account; who cancelled a whole show, and which mail tells whom of it."""

    dependencies = [("cinema", "0003_rows_that_count")]

    operations = [
        migrations.RunPython(make_walk_in, migrations.RunPython.noop),  # first: what it refuses has changed no table
        migrations.AddField(
            "show",
            "cancelled_by",
            models.ForeignKey(
                to=settings.AUTH_USER_MODEL,
                on_delete=django.db.models.deletion.PROTECT,
                null=True,
                editable=False,
                related_name="+",
                db_index=False,
            ),
        ),
        migrations.AddField("show", "live_when_cancelled", models.PositiveIntegerField(null=True, editable=False)),
        migrations.AddIndex(
            "show",
            models.Index(name="show_cancelled", fields=["cancelled_at"], condition=Q(cancelled_at__isnull=False)),
        ),
        migrations.AddField(
            "bookingevent",
            "mailed_with",
            models.ForeignKey(
                to="cinema.bookingevent",
                on_delete=django.db.models.deletion.PROTECT,
                null=True,
                editable=False,
                related_name="mailed_together",
                db_index=False,
            ),
        ),
        migrations.AddIndex(
            "bookingevent",
            models.Index(
                name="event_mailed_with", fields=["mailed_with"], condition=Q(mailed_with__isnull=False)
            ),
        ),
        migrations.AddConstraint(
            "user",
            models.CheckConstraint(
                name="walk_in_is_nobody",
                condition=~Q(username=WALK_IN)
                | Q(email="", password__startswith="!", is_active=True, is_staff=False, is_superuser=False),
                violation_error_message="The walk-in account has no address, no password and no rights.",
            ),
        ),
    ]
