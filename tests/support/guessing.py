"""Guessing passwords, over the API and at the admin's login, from this address or that."""

from datetime import timedelta

from axes.models import AccessAttempt
from django.test import Client

from tests.conftest import LOCKOUT_LIMIT, refusal

HERE, THERE = "203.0.113.1", "203.0.113.2"
WRONG, LOCKED = (401, "bad_credentials"), (429, "throttled")
LIMIT = LOCKOUT_LIMIT


def log_in(api, name="known", password="wrong", address=HERE, **headers):
    return api.client.post(
        "/api/login/",
        {"username": name, "password": password},
        content_type="application/json",
        REMOTE_ADDR=address,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def told(response) -> tuple[int, str]:
    return (200, "") if response.status_code == 200 else refusal(response)


def enter(name="clerk", password="wrong", address=HERE, **headers):
    """The admin's login, as a browser sends it."""
    form = {"username": name, "password": password}
    return Client().post("/admin/login/", form, REMOTE_ADDR=address, headers=headers)


def pass_time(seconds: float) -> None:
    """As if so many seconds had passed since the last failure."""
    for attempt in AccessAttempt.objects.all():
        earlier = attempt.attempt_time - timedelta(seconds=seconds)
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=earlier)
