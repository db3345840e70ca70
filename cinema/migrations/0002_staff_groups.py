"""The groups that staff are put into. Permissions are made here too: Django makes them only after all migrations."""

from django.db import migrations

VIEW, EDIT = ["view"], ["add", "change", "delete", "view"]
GROUPS = {
    "Box office": {
        "booking": ["view", "change"],
        "bookingevent": VIEW,
        "show": VIEW,
        "movie": VIEW,
        "screen": VIEW,
        "user": VIEW,
    },
    "Programme": {"movie": EDIT, "screen": EDIT, "show": EDIT},
}


def make_groups(apps, schema_editor):
    using = schema_editor.connection.alias
    for name, models in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        for model, actions in models.items():
            group.permissions.add(*[permission(apps, using, model, action) for action in actions])


def permission(apps, using, model, action):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.using(using).get_or_create(
        app_label="cinema", model=model
    )
    verbose_name = apps.get_model("cinema", model)._meta.verbose_name_raw
    found, _ = apps.get_model("auth", "Permission").objects.using(using).get_or_create(
        content_type=content_type,
        codename=f"{action}_{model}",
        defaults={"name": f"Can {action} {verbose_name}"},
    )
    return found


class Migration(migrations.Migration):
    dependencies = [
        ("cinema", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
