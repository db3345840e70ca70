"""The admin: who gets in and sees what, and how users and their logins are kept."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localtime

from cinema.people.models import AuthSession, User
from cinema.programme.models import Show
from tests.support.factories import PASSWORD, a_caller, a_customer, a_show
from tests.support.staff import (
    BOX_OFFICE,
    PROGRAMME,
    act,
    errors,
    logged_in,
    page,
    sentences,
    show_form,
    staff,
    superuser,
)


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["clerk", "CLERK", "Clerk"])
def test_staff_log_in_however_they_spell_their_name(typed):
    a_customer("clerk", is_staff=True)
    client = Client()

    response = client.post(reverse("admin:login"), {"username": typed, "password": PASSWORD})

    assert response.status_code == 302
    assert "Marquee" in client.get(reverse("admin:index")).content.decode()


@pytest.mark.django_db
def test_a_customer_does_not_get_in():
    client = logged_in(a_customer())

    response = client.get(page("booking_changelist"))

    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permissions", "seen"),
    [
        ([], set()),
        (["view_movie"], {"Movie"}),
        (BOX_OFFICE, {"Booking", "BookingEvent", "Show", "Movie", "Screen", "User"}),
        (PROGRAMME, {"Show", "Movie", "Screen"}),
    ],
)
def test_staff_see_what_their_permissions_say_and_nothing_else(permissions, seen):
    client = staff(permissions)

    apps = client.get(reverse("admin:index")).context["app_list"]

    assert {model["object_name"] for app in apps for model in app["models"]} == seen
    for model in ("Booking", "BookingEvent", "Show", "Movie", "Screen", "User", "AuthSession"):
        status = client.get(page(f"{model.lower()}_changelist")).status_code
        assert status == (200 if model in seen else 403), model


@pytest.mark.django_db
def test_the_box_office_does_not_edit_the_programme():
    show, client = a_show(), staff(BOX_OFFICE)

    response = client.post(page("show_change", show.pk), show_form(show, total_seats=7))

    assert response.status_code == 403
    assert Show.objects.get().total_seats == 100


# Users


@pytest.mark.django_db
def test_a_user_is_added_with_a_canonical_name_and_mail():
    form = {"username": "Mia.Wong", "email": "Mia@Example.COM", "usable_password": "true"}

    response = superuser().post(
        page("user_add"), form | {"password1": PASSWORD, "password2": PASSWORD}
    )

    assert response.status_code == 302
    assert User.objects.filter(username="mia.wong", email="mia@example.com").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("username", "email", "field"),
    [
        ("MIA", "other@example.com", "username"),
        ("other", "MIA@example.com", "email"),
        ("other", "", "email"),
        ("två ord", "other@example.com", "username"),
    ],
)
def test_a_user_who_cannot_be_is_refused_at_the_field(username, email, field):
    client = superuser()
    a_customer("mia")
    form = {"username": username, "email": email, "usable_password": "true"}

    response = client.post(page("user_add"), form | {"password1": PASSWORD, "password2": PASSWORD})

    assert list(errors(response)) == [field]
    assert User.objects.count() == 2


def user_form(user: User, **changes) -> dict:
    joined = localtime(user.date_joined)
    values = {"username": user.username, "email": user.email, "is_active": "on"}
    values |= {
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
    } | changes
    return {field: value for field, value in values.items() if value is not None}


@pytest.mark.django_db
def test_a_user_is_renamed_in_canonical_form():
    user = a_customer("mia")

    response = superuser().post(page("user_change", user.pk), user_form(user, username="Mia2"))

    assert response.status_code == 302
    assert User.objects.get(pk=user.pk).username == "mia2"


@pytest.mark.django_db
def test_deactivating_a_user_ends_the_logins():
    user = a_customer()
    a_caller(user)

    superuser().post(page("user_change", user.pk), user_form(user, is_active=None))

    assert User.objects.get(pk=user.pk).is_active is False
    assert AuthSession.objects.get(user=user).revoked_at


@pytest.mark.django_db
def test_a_new_password_ends_the_logins():
    user = a_customer()
    a_caller(user)
    new = {
        "usable_password": "true",
        "password1": "quite another phrase",
        "password2": "quite another phrase",
    }

    response = superuser().post(reverse("admin:auth_user_password_change", args=[user.pk]), new)

    assert response.status_code == 302
    assert User.objects.get(pk=user.pk).check_password("quite another phrase")
    assert AuthSession.objects.get(user=user).revoked_at


@pytest.mark.django_db
def test_editing_a_name_ends_no_login():
    user = a_customer()
    a_caller(user)

    superuser().post(page("user_change", user.pk), user_form(user, first_name="Mia"))

    assert User.objects.get(pk=user.pk).first_name == "Mia"
    assert AuthSession.objects.get(user=user).revoked_at is None


@pytest.mark.django_db
def test_logins_are_ended_by_an_action_and_never_edited():
    login = AuthSession.objects.get(pk=a_caller().session_id)
    client = superuser()

    response = act(client, "authsession", "end", login)

    assert sentences(response) == ["Logins ended: 1."]
    assert not AuthSession.objects.live().exists()
    assert client.post(page("authsession_change", login.pk), {}).status_code == 403


@pytest.mark.django_db
def test_a_user_who_has_logged_in_but_never_booked_can_be_deleted():
    user = a_customer()
    a_caller(user)

    response = superuser().post(page("user_delete", user.pk), {"post": "yes"})

    assert response.status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
