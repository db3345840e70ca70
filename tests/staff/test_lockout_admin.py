"""Lock-outs at the admin's login, and as staff see them."""

import re

import pytest
from axes.models import AccessAttempt
from django.test import Client

from cinema.people.models import User
from tests.support.factories import PASSWORD, a_customer
from tests.support.guessing import LIMIT, LOCKED, THERE, WRONG, enter, log_in, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lockouts_on")]


@pytest.fixture
def clerk():
    return User.objects.create_superuser("clerk", "clerk@example.com", PASSWORD)


def sentence(response) -> str:
    return re.search(
        r'<div class="errornote[^>]*>\s*(.*?)\s*</div>', response.content.decode(), re.DOTALL
    )[1]


def test_the_admins_login_is_locked_in_the_form(clerk):
    for _ in range(LIMIT):
        response = enter()
        assert (response.status_code, "Retry-After" in response.headers) == (200, False)
        assert "Please enter the correct username and password" in sentence(response)

    for password in ("wrong", PASSWORD):
        response = enter(password=password)
        assert response.status_code == 429
        assert (
            sentence(response)
            == "Too many wrong passwords for this username. Wait 15 minutes, then try again."
        )
        assert 880 < int(response.headers["Retry-After"]) <= 900
        assert "sessionid" not in response.cookies
    assert enter(password=PASSWORD, address=THERE).status_code == 302


def test_both_doors_count_together(anonymous, clerk):
    log_in(anonymous, "clerk")
    enter("CLERK")
    log_in(anonymous, "clerk")

    assert enter(password=PASSWORD).status_code == 429
    assert told(log_in(anonymous, "clerk", PASSWORD)) == LOCKED


def test_entering_the_admin_forgets_the_count(clerk):
    enter()

    assert enter(password=PASSWORD).status_code == 302
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{}, {"username": "clerk"}, {"password": "x"}, {"username": "a\x00b", "password": "x"},
     {"username": "x" * 500, "password": "x"}, {"username": "ﷺ" * 150, "password": "x"}],
    ids=[*"123456"],
)  # fmt: skip
def test_an_odd_form_is_no_server_error(clerk, fields):
    assert Client().post("/admin/login/", fields).status_code == 200


def test_the_admins_login_is_throttled(clerk, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, 86_400)}
    settings.AXES_ENABLED = False

    assert [enter(f"name{n}").status_code for n in range(3)] == [200, 200, 429]
    response = enter(password=PASSWORD)

    assert response.status_code == 429
    assert sentence(response) == "Too many calls in a short time. Wait, then try again."
    assert 1 <= int(response.headers["Retry-After"]) <= 86_400
    assert enter(password=PASSWORD, address=THERE).status_code == 302


def test_one_throttle_is_for_both_doors(anonymous, clerk, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, 86_400)}

    log_in(anonymous, "clerk", address=THERE)
    assert enter("CLERK").status_code == 200

    assert enter(password=PASSWORD).status_code == 429
    assert told(log_in(anonymous, "other", address=THERE)) == WRONG
    assert told(log_in(anonymous, "third", address=THERE)) == LOCKED


def test_staff_see_who_is_locked_and_let_them_in_again(anonymous, known, clerk):
    for _ in range(LIMIT):
        log_in(anonymous)
    log_in(anonymous, "another")
    staff = Client()
    staff.force_login(clerk)

    page = staff.get("/admin/axes/accessattempt/").content.decode()
    rows = re.findall(
        r"field-username.*?>(known|another)<.*?field-locked_until[^>]*>(.*?)</td>", page, re.DOTALL
    )
    assert {name: bool(until) and until != "-" for name, until in rows} == {
        "known": True,
        "another": False,
    }
    locked = AccessAttempt.objects.get(username="known")
    staff.post("/admin/axes/accessattempt/", {"action": "clear", "_selected_action": [locked.pk]})

    assert [each.username for each in AccessAttempt.objects.all()] == ["another"]
    assert told(log_in(anonymous, password=PASSWORD))[0] == 200


def test_staff_without_the_permission_see_no_lock_outs(known):
    client = Client()
    client.force_login(a_customer("programme", is_staff=True))

    assert client.get("/admin/axes/accessattempt/").status_code == 403
