import json
import logging
from datetime import timedelta

import pytest
import structlog
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.client import ClientHandler
from django_redis import get_redis_connection

from cinema.infra import redis
from cinema.infra.monitoring import heartbeats
from cinema.people import tokens
from cinema.people.caller import Caller
from cinema.people.models import AuthSession, User
from cinema.sales import one_statement
from project.config import log_lines
from project.config.hashers import Argon2
from project.serving.fast_path import ApiFastPath
from tests.support.factories import a_booking, a_caller, a_customer, a_hold, a_show
from tests.support.real_programs import start  # noqa: F401 - a fixture
from tests.support.smtp_server import SMTP, smtp_server
from tests.support.suite import database
from tests.support.unchanged import nothing_changes

LOCKOUT_LIMIT = 3
FULL_COST = {"memory_cost": Argon2.memory_cost, "time_cost": Argon2.time_cost}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """No test finds an account: `walk_in` makes its own."""
    with django_db_blocker.unblock():
        User.objects.all().delete()
        database.install_flush()


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes():
    """The product's own hasher, with so little work that a test of something else need not care."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Argon2, "memory_cost", 8)
        patch.setattr(Argon2, "time_cost", 1)
        yield


@pytest.fixture
def full_hashes(monkeypatch):
    """For a test of what hashing takes: the work that the product does."""
    for name, value in FULL_COST.items():
        monkeypatch.setattr(Argon2, name, value)


@pytest.fixture(autouse=True)
def fresh_redis_and_no_throttles(settings):
    """Every test starts with an empty Redis, a closed breaker, and no throttle but the one it sets."""
    get_redis_connection("default").flushdb()
    caches["local"].clear()
    redis.breaker.__init__()
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)


@pytest.fixture
def all_well():
    """A worker and the beat have just been heard of."""
    heartbeats.worker_lives("celery@here", starts=True)
    heartbeats.beat_ticks()


@pytest.fixture
def in_production(monkeypatch):
    """Log lines are written as with DEBUG off."""
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, log_lines.Handler))
    monkeypatch.setattr(handler, "formatter", log_lines.formatter())
    steps = structlog.get_config()["processors"]  # the list itself, which every logger keeps
    steps.append(log_lines._as_json)
    for_people = steps.pop(-2)
    yield
    steps[-1] = for_people


@pytest.fixture
def written(in_production, monkeypatch):
    """Every log line of this process from now on, as it is written in production, read back."""
    told = []
    monkeypatch.setattr(log_lines, "write", lambda line: told.append(json.loads(line)))
    return told


WAYS = ["one statement", "step by step"] if connection.vendor == "postgresql" else ["step by step"]


@pytest.fixture(params=WAYS)
def each_way(request, monkeypatch):
    """The same promise over both ways to sell a seat, where the database has two."""
    if request.param == "step by step":
        monkeypatch.setattr(one_statement, "serves", lambda: False)
    return request.param


@pytest.fixture(params=["locks", "database alone"])
def with_and_without_redis(request, settings):
    if request.param == "database alone":
        settings.REDIS_URL = ""


@pytest.fixture
def world(api):
    """Something of everything, for a change to be seen."""
    show = a_show()
    a_booking(api.caller, show, (1,))
    return show, a_hold(api.caller, show, (2,))


@pytest.fixture
def may_change():
    """For a test that shows what is accepted."""


@pytest.fixture
def unchanged(request, world):
    """The whole database is the same behind the test as before it, unless it `may_change`."""
    if "may_change" in request.fixturenames:
        yield
    else:
        with nothing_changes():
            yield


class Served(ApiFastPath, ClientHandler):
    """Of the middlewares, what the server has."""


class Api:
    """A REST client: JSON in and out, with the token of a customer or without."""

    def __init__(self, caller: Caller | None = None):
        self.caller, self.client = caller, Client(raise_request_exception=False)
        self.client.handler = Served(enforce_csrf_checks=False)
        self.token = None
        if caller:
            jti = AuthSession.objects.get(pk=caller.session_id).refresh_jti
            self.token = tokens.sign(caller.user_id, caller.session_id, jti)["access"]

    def __call__(self, method: str, path: str, body=None, *, raw: bytes | None = None, **headers):
        """Headers as keywords: `Idempotency_Key="k"`. `raw` sends bytes as they are."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = headers.pop("Content-Type", "application/json" if data else "")
        return self.client.generic(method, path, data, content_type=kind, headers=headers)

    def get(self, path: str, **headers):
        return self("GET", path, **headers)

    def post(self, path: str, body=None, **headers):
        return self("POST", path, body, **headers)

    @property
    def user(self) -> User:
        return User.objects.get(pk=self.caller.user_id)


@pytest.fixture
def anonymous():
    return Api()


@pytest.fixture
def api(transactional_db):
    """A logged-in customer's client."""
    return Api(a_caller())


@pytest.fixture
def other(transactional_db):
    """Another logged-in customer's client."""
    return Api(a_caller())


def refusal(response) -> tuple[int, str]:
    """Status and code of a problem+json answer, whose form is checked on the way."""
    assert response.headers["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    assert body["detail"].endswith((".", "?"))
    assert body["request_id"] == response.headers["X-Request-ID"]
    return response.status_code, body["code"]


@pytest.fixture
def lockouts_on(settings):
    settings.AXES_ENABLED, settings.AXES_FAILURE_LIMIT = True, LOCKOUT_LIMIT
    settings.AXES_COOLOFF_TIME = timedelta(minutes=15)


@pytest.fixture
def known():
    return a_customer("known")


@pytest.fixture
def server(settings):
    """The mail server that the settings name."""
    with smtp_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            SMTP,
            "127.0.0.1",
            server.port,
        )
        settings.EMAIL_TIMEOUT = 5
        yield server
