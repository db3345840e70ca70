"""Names that rows and mails of earlier versions hold: code may move, these stay."""

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.urls import reverse
from django.utils.crypto import salted_hmac

from cinema.notifications import letters
from cinema.people.models import PasswordReset, User
from tests.support.factories import a_customer

BEFORE_THE_PACKAGES = "cinema.lockouts.Backend"
MOVED = "cinema.people.lockouts.Backend"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("backend", "status"),
    [(BEFORE_THE_PACKAGES, 200), (MOVED, 302)],
    ids=["the kept path", "another path, the control"],
)
def test_staff_who_logged_in_before_the_packages_moved_stay_logged_in(backend, status):
    user = User.objects.create_superuser("root", "root@example.com", "popcorn-and-tickets")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = backend
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    client = Client()
    client.cookies["sessionid"] = session.session_key

    assert client.get(reverse("admin:index")).status_code == status


@pytest.mark.django_db
def test_a_login_of_today_holds_the_same_path():
    User.objects.create_superuser("root", "root@example.com", "popcorn-and-tickets")
    client = Client()

    assert client.login(username="root", password="popcorn-and-tickets")

    assert client.session[BACKEND_SESSION_KEY] == BEFORE_THE_PACKAGES


@pytest.mark.django_db
def test_a_reset_that_is_tried_again_keeps_its_message_id():
    reset = PasswordReset.objects.create(user=a_customer("known"))
    key = salted_hmac("cinema.mail.reset", str(reset.pk)).hexdigest()[:20]

    message_id = letters.write("reset", reset.pk).extra_headers["Message-ID"]

    assert message_id.startswith(f"<reset-{reset.pk}-{key}@")
