"""One's own account, over HTTP."""

import pytest

from cinema.people.models import AuthSession, User
from tests.conftest import refusal
from tests.support.factories import PASSWORD, a_customer

pytestmark = pytest.mark.django_db(transaction=True)


def fields(response) -> list[str]:
    assert refusal(response) == (422, "invalid")
    found = response.json()["errors"]
    assert all(error["message"] for error in found)
    return sorted({error["field"] for error in found})


def test_me_is_the_one_who_asks(api, other):
    response = api.get("/api/me/")

    assert response.status_code == 200
    assert response.json() == {
        "id": api.user.pk,
        "username": api.user.username,
        "email": api.user.email,
        "first_name": "",
        "last_name": "",
    }
    assert other.get("/api/me/").json()["id"] == other.user.pk


def test_a_change_touches_only_what_it_names(api):
    before = api.user

    response = api("PATCH", "/api/me/", {"first_name": "Tess"})

    assert response.status_code == 200
    assert response.json()["first_name"] == "Tess"
    after = api.user
    assert (after.first_name, after.last_name, after.email, after.password) == (
        "Tess",
        "",
        before.email,
        before.password,
    )


def test_a_change_of_nothing_changes_nothing(api):
    before = User.objects.values().get(pk=api.user.pk)

    assert api("PATCH", "/api/me/", {}).status_code == 200

    assert User.objects.values().get(pk=api.user.pk) == before


def test_a_new_email_address_is_canonical_and_free(api):
    taken = a_customer().email

    assert (
        api("PATCH", "/api/me/", {"email": "New@Example.com"}).json()["email"] == "new@example.com"
    )
    assert refusal(api("PATCH", "/api/me/", {"email": taken.upper()})) == (409, "email_taken")

    assert api.user.email == "new@example.com"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "somebody"}, "username"),
        ({"is_staff": True}, "is_staff"),
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"first_name": None}, "first_name"),
        ({"first_name": "a\x00b"}, "first_name"),
    ],
)
def test_an_odd_change_is_refused(api, body, field):
    before = User.objects.values().get(pk=api.user.pk)

    assert fields(api("PATCH", "/api/me/", {"last_name": "Changed"} | body)) == [field]

    assert User.objects.values().get(pk=api.user.pk) == before


def test_a_new_password_ends_every_login(api):
    second = AuthSession.objects.create(
        user=api.user, refresh_jti="y" * 32, expires_at=AuthSession.objects.get().expires_at
    )

    response = api.post(
        "/api/me/password/", {"old_password": PASSWORD, "new_password": "another long one"}
    )

    assert (response.status_code, response.content) == (204, b"")
    assert api.user.check_password("another long one")
    assert refusal(api.get("/api/me/")) == (401, "token_invalid")
    assert not AuthSession.objects.live().exists()
    assert AuthSession.objects.get(pk=second.pk).revoked_at is not None


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("wrong", "another long one", "old_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "x" * 129, "new_password"),
    ],
)
def test_a_refused_password_change_changes_nothing(api, old, new, field):
    assert fields(api.post("/api/me/password/", {"old_password": old, "new_password": new})) == [
        field
    ]

    assert api.user.check_password(PASSWORD)
    assert api.get("/api/me/").status_code == 200
