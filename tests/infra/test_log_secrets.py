"""No log line holds a token, a password, a name, an address or a query value: whatever anybody
types is marked.
"""

import json

import pytest
from django.test import Client

from cinema.notifications import deliveries
from cinema.people.models import User
from cinema.sales import bookings
from project.config import log_lines
from tests.conftest import Api
from tests.support.factories import a_caller, a_show
from tests.support.smtp_server import SMTP, smtp_server
from workers import tasks, telemetry  # noqa: F401 - `runs` hears of every task

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "hush7"  # stands in every name, address, password, token, header, query and body


def drive(settings) -> None:
    """Every door, with the secret in all that a person or a program may send, and in what breaks."""
    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["testserver"]
    password = f"{SECRET}-pass-word"
    user = User.objects.create_user(f"{SECRET}_user", f"{SECRET}@example.com", password)
    clerk = User.objects.create_superuser(f"{SECRET}_clerk", f"clerk@{SECRET}.example", password)
    odd = {"Referer": f"https://{SECRET}.example/?q={SECRET}", "User-Agent": SECRET, "Cookie": f"sessionid={SECRET}",
           "X-Forwarded-For": SECRET, "Origin": f"https://{SECRET}.example", "Idempotency-Key": SECRET}  # fmt: skip
    customer, show = Api(a_caller(user)), a_show()
    odd_api = Api()
    for api in (customer, odd_api):
        api.post("/api/signup/", {"username": f"{SECRET}1", "email": f"{SECRET}1@example.com", "password": password,
                                  "password_confirm": password, "first_name": SECRET})  # fmt: skip
        api.post("/api/signup/", {SECRET: SECRET, "email": SECRET})
        api.post(
            f"/api/login/?password={password}",
            {"username": user.username, "password": password},
            **odd,
        )
        api.post("/api/login/", {"username": SECRET, "password": SECRET})
        api("POST", "/api/login/", raw=f'{{"{SECRET}'.encode())
        api.post("/api/token/refresh/", {"refresh": SECRET})
        api.get(f"/api/movies/?search={SECRET}&showing_on={SECRET}", **odd)
        api.get(f"/api/{SECRET}/?{SECRET}")
        api.get(f"/{SECRET}")
        api.get("/api/me/", Authorization=f"Bearer {SECRET}")
        api.get("/api/movies/", Host=f"{SECRET}.example")
        api.post("/api/password-reset/", {"email": user.email})
        api.post("/api/password-reset/confirm/", {"token": SECRET, "new_password": SECRET})
        api.post(f"/api/shows/{show.pk}/book/?{SECRET}", {"seat_number": 5}, **odd)
        api.post(
            f"/api/shows/{show.pk}/book/",
            {"seat_number": SECRET},
            X_Request_ID=f"{SECRET} {SECRET}",
        )
    staff = Client(enforce_csrf_checks=True, raise_request_exception=False)
    staff.post(
        f"/admin/login/?next=/{SECRET}",
        {"username": clerk.username, "password": password},
        headers=odd,
    )
    staff.post("/admin/login/", {"username": SECRET, "password": SECRET}, secure=True, headers=odd)
    staff = Client(raise_request_exception=False)
    staff.post("/admin/login/", {"username": clerk.username, "password": password})
    staff.get(f"/admin/cinema/booking/?q={SECRET}")
    staff.get(f"/admin/cinema/movie/{SECRET}/change/")
    staff.post("/admin/cinema/movie/add/", {"title": SECRET, "duration_minutes": SECRET})
    with smtp_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            SMTP,
            "127.0.0.1",
            server.port,
        )
        server.to_recipient = [
            f"451 <{user.email}> is over quota",
            f"550 <{user.email}> is unknown",
        ]
        for due in deliveries.queue_due():
            tasks.send_mail.apply(due)


def breakdowns(monkeypatch) -> None:
    """What breaks quotes what it broke on."""

    def break_down(*_, **__):
        raise ValueError(SECRET)

    client = Client(raise_request_exception=False)
    with monkeypatch.context() as broken:
        broken.setattr("django.contrib.admin.sites.AdminSite.login", break_down)
        assert client.get(f"/admin/login/?{SECRET}").status_code == 500
        broken.setattr("cinema.api.routers.movies.Movie.objects", None)
        assert Api().get(f"/api/movies/?search={SECRET}").status_code == 500
        broken.setattr(bookings, "expire_stale", break_down)
        tasks.expire_holds.apply()


def test_no_line_holds_what_anybody_typed(settings, in_production, monkeypatch, capfd, caplog):
    caplog.set_level("INFO")
    caplog.set_level("ERROR", logger="mail.log")  # the mail server of this test's own

    drive(settings)
    breakdowns(monkeypatch)

    said = "".join(capfd.readouterr())
    told = [json.loads(line) for line in said.splitlines()]  # every line is one of ours
    assert len(told) > 40
    assert {line.get("event") for line in told} >= {
        "request",
        "booking changed",
        "mail put off",
        "failed",
    }
    assert [line for line in said.splitlines() if SECRET in line] == []


def test_the_search_would_find_a_secret(settings, in_production, monkeypatch, capfd, caplog):
    """As the libraries write it themselves."""
    caplog.set_level("INFO")
    monkeypatch.setattr(log_lines, "QUOTING", ())

    drive(settings)

    assert SECRET in "".join(capfd.readouterr())
