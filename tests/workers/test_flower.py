"""Flower shows the tasks of real workers, to who logs in, and does not start where everybody could."""

from base64 import b64encode
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from tests.support.factories import a_booking
from tests.support.real_programs import celery, environment, run
from tests.support.services import free_port
from tests.support.suite.patience import PATIENCE_SECONDS, wait_until
from workers import tasks

FLOWER = ("flower", "--address=127.0.0.1")
PRODUCTION = {
    "DEBUG": "off",
    "SECRET_KEY": "kW3uB7xPq9ZtLr5mN1vD8sYfGhJ2cAeX",
    "ALLOWED_HOSTS": "localhost",
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("login", ["", "user", "user:", ":password"])
def test_without_debug_flower_refuses_to_start_open(tmp_path, login):
    ran = run(
        celery(*FLOWER, f"--port={free_port()}"),
        environment(tmp_path, **PRODUCTION, FLOWER_BASIC_AUTH=login),
    )

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "marquee: with DEBUG off Flower needs a login: set FLOWER_BASIC_AUTH (or --basic-auth) to user:password."
    )
    assert "Traceback" not in ran.stderr


def page_of_flower(port: int, path: str, login: str = "") -> tuple[int, str]:
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    with closing(client), suppress(OSError):
        client.request(
            "GET", path, headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        )
        response = client.getresponse()
        return response.status, response.read().decode()
    return 0, ""


@pytest.mark.parametrize("way", ["environment", "option"])
def test_flower_shows_the_tasks_of_the_workers_to_who_logs_in(start, way):
    port, login = free_port(), "ops:kW3uB7xP"
    option = [f"--basic-auth={login}"] if way == "option" else []
    start(
        *FLOWER,
        f"--port={port}",
        *option,
        **PRODUCTION,
        **({} if option else {"FLOWER_BASIC_AUTH": login}),
    )
    wait_until(lambda: page_of_flower(port, "/")[0] == 401)
    start("worker", "-n", "shown@x")
    event = a_booking().events.get()
    wait_until(lambda: "shown@x" in page_of_flower(port, "/workers?json=1", login)[1])
    tasks.sweep_mail.apply_async()

    wait_until(lambda: "workers.tasks.send_mail" in page_of_flower(port, "/api/tasks", login)[1])

    told = page_of_flower(port, "/api/tasks", login)[1]
    assert page_of_flower(port, "/api/tasks", "ops:wrong")[0] == 401
    assert f"{{'kind': 'event', 'pk': {event.pk}, 'attempt': 0}}" in told
    assert event.booking.user.email not in told
