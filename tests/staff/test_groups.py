"""The staff groups that a migration makes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.support.factories import a_customer, a_screen

migration = import_module("cinema.migrations.0002_staff_groups")
VIEWED = ["booking", "bookingevent", "movie", "screen", "show", "user"]
EXPECTED = {
    "Box office": sorted([f"view_{model}" for model in VIEWED] + ["change_booking"]),
    "Programme": sorted(
        f"{action}_{model}"
        for action in ("add", "change", "delete", "view")
        for model in ("movie", "screen", "show")
    ),
}


@pytest.fixture
def groups(db):
    """As after the migration, also when a test that truncates has run before."""
    migration.make_groups(apps, connection.schema_editor())


def granted() -> dict[str, list[str]]:
    names = Group.objects.values_list("name", flat=True)
    return {
        name: sorted(Permission.objects.filter(group__name=name).values_list("codename", flat=True))
        for name in names
    }


@pytest.mark.django_db
def test_a_migrated_database_has_the_groups():
    assert granted() == EXPECTED


@pytest.mark.django_db
def test_the_migration_makes_the_permissions_that_are_not_there_yet():
    """On a fresh database Django makes them only after the last migration."""
    Group.objects.all().delete()
    Permission.objects.all().delete()

    migration.make_groups(apps, connection.schema_editor())

    assert granted() == EXPECTED


@pytest.mark.django_db
def test_permissions_made_early_are_djangos_own():
    before = list(
        Permission.objects.order_by("pk").values("pk", "codename", "name", "content_type")
    )
    early = {f"{codename}" for codenames in EXPECTED.values() for codename in codenames}
    Permission.objects.filter(codename__in=early).delete()

    migration.make_groups(apps, connection.schema_editor())
    call_command("migrate", verbosity=0)

    def without_pk(rows) -> list:
        return sorted((row["codename"], row["name"], row["content_type"]) for row in rows)

    assert without_pk(Permission.objects.values("codename", "name", "content_type")) == without_pk(
        before
    )


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_a_permission_can_be_made_after_numbers_began_again():
    """The suite's own: numbers of what migrations made are not given again."""
    of_something = Permission.objects.first().content_type

    made = Permission.objects.create(codename="new", name="new", content_type=of_something)

    assert made.pk > Permission.objects.exclude(pk=made.pk).order_by("-pk").first().pk


@pytest.mark.django_db
def test_making_the_groups_twice_changes_nothing(groups):
    rows = list(Group.objects.order_by("pk").values("pk", "name"))

    migration.make_groups(apps, connection.schema_editor())

    assert list(Group.objects.order_by("pk").values("pk", "name")) == rows
    assert granted() == EXPECTED


@pytest.mark.django_db
def test_what_staff_added_to_a_group_stays(groups):
    Group.objects.get(name="Box office").permissions.add(
        Permission.objects.get(codename="add_movie")
    )

    migration.make_groups(apps, connection.schema_editor())

    assert "add_movie" in granted()["Box office"]


def status(group: str, name: str, *args) -> int:
    user = a_customer(is_staff=True)
    user.groups.set(Group.objects.filter(name=group))
    client = Client()
    client.force_login(user)
    return client.get(reverse(f"admin:cinema_{name}", args=args)).status_code


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "box_office", "programme"),
    [
        ("booking_changelist", 200, 403),
        ("bookingevent_changelist", 200, 403),
        ("show_changelist", 200, 200),
        ("show_add", 403, 200),
        ("movie_add", 403, 200),
        ("screen_add", 403, 200),
        ("user_changelist", 200, 403),
        ("user_add", 403, 403),
        ("authsession_changelist", 403, 403),
    ],
)
def test_what_each_group_may_open(groups, name, box_office, programme):
    assert (status("Box office", name), status("Programme", name)) == (box_office, programme)


@pytest.mark.django_db
def test_the_programme_deletes_a_screen_and_the_box_office_does_not(groups):
    screen = a_screen()

    assert status("Programme", "screen_delete", screen.pk) == 200
    assert status("Box office", "screen_delete", screen.pk) == 403
