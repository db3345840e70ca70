"""Health: the database decides, Redis is told, and the process answers for itself alone."""

import socket
import time

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from tests.conftest import refusal
from tests.services import free_port
from tests.test_throttles_without_redis import in_a_fresh_thread, redis_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database_down(monkeypatch):
    def cursor(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", cursor)
    return monkeypatch


def test_without_its_database_it_lives_and_is_not_ready(anonymous, database_down):
    assert anonymous.get("/livez").json() == {"status": "ok"}

    for path in ("/readyz", "/api/movies/"):
        response = anonymous.get(path)
        assert refusal(response) == (503, "unavailable"), path
        assert int(response.headers["Retry-After"]) >= 1
        assert b"server closed" not in response.content

    database_down.undo()
    assert anonymous.get("/readyz").status_code == 200


def test_livez_asks_nobody(anonymous):
    with CaptureQueriesContext(connection) as asked:
        anonymous.get("/livez")

    assert len(asked) == 0


def test_readyz_asks_the_database(anonymous):
    with CaptureQueriesContext(connection) as asked:
        anonymous.get("/readyz")

    assert len(asked) == 1


def timed(api) -> tuple[int, dict, float]:
    started = time.monotonic()
    response = api.get("/readyz")
    return response.status_code, response.json(), time.monotonic() - started


def test_without_redis_it_is_ready_degraded_and_quick(anonymous, settings):
    degraded = {"status": "degraded", "degraded": ["redis"]}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            with redis_at(settings, port):
                status, told, seconds = in_a_fresh_thread(lambda: timed(anonymous))
            assert (status, told) == (200, degraded), port
            assert seconds < 1
