"""Signing up, over HTTP."""

import pytest

from cinema.people.models import User
from tests.conftest import refusal

pytestmark = pytest.mark.django_db

GOOD = {
    "username": "testuser",
    "email": "test@example.com",
    "password": "testpass123",
    "password_confirm": "testpass123",
    "first_name": "Test",
    "last_name": "User",
}


def sign_up(api, **changes):
    """With GOOD but for the changes; None leaves a field out."""
    return api.post(
        "/api/signup/",
        {name: value for name, value in (GOOD | changes).items() if value is not None},
    )


def fields(response) -> list[str]:
    assert refusal(response) == (422, "invalid")
    found = response.json()["errors"]
    assert all(error["message"] for error in found)
    return sorted({error["field"] for error in found})


def test_signing_up_answers_with_the_account(anonymous):
    response = sign_up(anonymous)

    user = User.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": user.pk,
        "username": "testuser",
        "email": "test@example.com",
        "first_name": "Test",
        "last_name": "User",
    }
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert user.password.startswith("argon2$argon2id$")


def test_the_names_are_optional(anonymous):
    response = sign_up(anonymous, first_name=None, last_name=None)

    assert response.status_code == 201
    assert (response.json()["first_name"], response.json()["last_name"]) == ("", "")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("TestUser", "testuser"),
        ("ＴｅｓｔＵｓｅｒ", "testuser"),
        ("straße", "strasse"),
        ("\u212aelvin", "kelvin"),
        ("a", "a"),
        ("a" * 150, "a" * 150),
        ("a_b.c@d+e-9", "a_b.c@d+e-9"),
    ],
)
def test_a_username_is_kept_in_canonical_form(anonymous, given, kept):
    response = sign_up(anonymous, username=given)

    assert response.status_code == 201
    assert response.json()["username"] == kept
    assert User.objects.get().username == kept


@pytest.mark.parametrize(
    "username",
    [
        "",
        " ",
        "a b",
        " a",
        "a\n",
        "a" * 151,
        "\u338f" * 76,
        "ü",
        "a!",
        "a/b",
        "日本",
        "a\u200bb",
        "İ",
        "a\x00",
        "😀",
    ],
)
def test_other_usernames_are_refused(anonymous, username):
    assert fields(sign_up(anonymous, username=username)) == ["username"]
    assert not User.objects.exists()


@pytest.mark.parametrize("email", ["Test@Example.COM", "ｔｅｓｔ@example.com"])
def test_an_email_address_is_kept_in_canonical_form(anonymous, email):
    response = sign_up(anonymous, email=email)

    assert response.status_code == 201
    assert User.objects.get().email == "test@example.com"


@pytest.mark.parametrize(
    "email",
    [
        "",
        "test",
        "test@",
        "@example.com",
        "a b@example.com",
        "a@b@c.de",
        "a" * 250 + "@example.com",
        "a\x00@b.de",
    ],
)
def test_other_email_addresses_are_refused(anonymous, email):
    assert fields(sign_up(anonymous, email=email)) == ["email"]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short1x", "at least 8"),
        ("password", "too common"),
        ("73519462085", "entirely numeric"),
        ("testuser1", "too similar"),
    ],
)
def test_each_password_validator_is_heard(anonymous, password, says):
    response = sign_up(anonymous, password=password, password_confirm=password)

    assert fields(response) == ["password"]
    assert says in " ".join(error["message"] for error in response.json()["errors"])
    assert not User.objects.exists()


def test_every_weakness_of_a_password_is_named(anonymous):
    response = sign_up(anonymous, password="123", password_confirm="123")

    assert fields(response) == ["password"]
    assert len(response.json()["errors"]) == 3


def test_a_password_has_at_most_128_characters(anonymous):
    longest = "testpass" * 16

    assert fields(sign_up(anonymous, password=longest + "x", password_confirm=longest + "x")) == [
        "password",
        "password_confirm",
    ]
    assert not User.objects.exists()
    assert sign_up(anonymous, password=longest, password_confirm=longest).status_code == 201


def test_the_password_must_be_repeated(anonymous):
    assert fields(sign_up(anonymous, password_confirm="testpass124")) == ["password_confirm"]
    assert not User.objects.exists()


@pytest.mark.parametrize("username", ["testuser", "TESTUSER", "ｔｅｓｔuser"])
def test_a_username_is_nobody_elses_in_any_spelling(anonymous, username):
    sign_up(anonymous)

    assert refusal(sign_up(anonymous, username=username, email="new@example.com")) == (
        409,
        "username_taken",
    )
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["test@example.com", "TEST@EXAMPLE.COM"])
def test_an_email_address_is_nobody_elses_in_any_spelling(anonymous, email):
    sign_up(anonymous)

    assert refusal(sign_up(anonymous, username="somebody", email=email)) == (409, "email_taken")
    assert User.objects.count() == 1


@pytest.mark.parametrize("field", ["username", "email", "password", "password_confirm"])
def test_what_is_missing_is_named(anonymous, field):
    assert fields(sign_up(anonymous, **{field: None})) == [field]
    assert not User.objects.exists()


@pytest.mark.parametrize("field", ["is_staff", "is_superuser", "id", "is_active", "Username"])
def test_unknown_fields_are_refused(anonymous, field):
    assert fields(sign_up(anonymous, **{field: True})) == [field]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"), [("username", 5), ("first_name", True), ("last_name", ["x"]), ("email", {})]
)
def test_text_must_be_text(anonymous, field, value):
    assert fields(sign_up(anonymous, **{field: value})) == [field]
    assert not User.objects.exists()


def test_a_name_has_at_most_150_characters(anonymous):
    assert fields(sign_up(anonymous, first_name="x" * 151, last_name="x" * 151)) == [
        "first_name",
        "last_name",
    ]
    assert not User.objects.exists()
    assert sign_up(anonymous, first_name="é" * 150).status_code == 201
