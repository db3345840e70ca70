"""The fast path of an API call: what it leaves out is left out, and what it builds on is there."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.handlers import base
from django.test import Client
from ninja import NinjaAPI

from project.serving.fast_path import ApiFastPath
from tests.support.factories import PASSWORD, a_customer


class Recorder:
    """A middleware that notes where it was met."""

    met: list[str] = []

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.met.append(request.path)
        return self.get_response(request)


@pytest.fixture
def recorder():
    Recorder.met.clear()
    return f"{__name__}.Recorder"


def load(client: Client) -> None:
    """Build the middlewares anew, as a server does when it starts."""
    client.handler.load_middleware()


@pytest.mark.django_db
def test_an_api_call_meets_the_middlewares_of_the_api_alone(anonymous, settings, recorder):
    settings.MIDDLEWARE = [recorder, *settings.MIDDLEWARE]
    load(anonymous.client)

    assert anonymous.get("/api/movies/").status_code == 200
    assert anonymous.get("/livez").status_code == 200
    assert Recorder.met == ["/livez"]


@pytest.mark.django_db
def test_an_api_call_meets_each_middleware_of_the_api(anonymous, settings, recorder):
    settings.API_MIDDLEWARE = [recorder, *settings.API_MIDDLEWARE]
    load(anonymous.client)

    assert anonymous.get("/api/movies/").status_code == 200
    assert Recorder.met == ["/api/movies/"]


def test_django_still_has_what_is_overridden():
    """Were one of these renamed, the override would be dead and nobody would notice."""
    for name in ("load_middleware", "resolve_request"):
        assert name in vars(ApiFastPath)
        assert callable(getattr(base.BaseHandler, name))
    assert "_middleware_chain" in vars(base.BaseHandler)
    assert "create_temporal_response" in vars(NinjaAPI)


LET_GO = """
import django
from django.core import signals

django.setup()

from project.serving import fast_path

before = [len(signal.receivers) for signal in (signals.request_finished, signals.request_started)]
fast_path.trim_signals()
after = [len(signal.receivers) for signal in (signals.request_finished, signals.request_started)]
print(before[0] - after[0], before[1] - after[1])
"""


@pytest.mark.parametrize(("debug", "gone"), [("on", "3 0"), ("off", "3 1")])
def test_what_finds_nothing_to_do_after_a_request_is_let_go(tmp_path, debug, gone):
    """In a fresh process: Django still connects what is let go, and nothing else goes."""
    variables = {"DEBUG": debug, "VAR_DIR": str(tmp_path), "SECRET_KEY": "x1y2z3" * 8}
    variables |= {"DJANGO_SETTINGS_MODULE": "project.settings"}
    command = [sys.executable, "-c", LET_GO]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=os.environ | variables, capture_output=True, text=True
    )
    assert done.stdout.strip() == gone, done.stderr


@pytest.fixture
def made(monkeypatch):
    """The responses that Ninja has made to be filled."""
    real, found = NinjaAPI.create_temporal_response, []

    def make(api, request):
        found.append(request.path)
        return real(api, request)

    monkeypatch.setattr(NinjaAPI, "create_temporal_response", make)
    return found


@pytest.mark.django_db
def test_an_answer_in_bytes_makes_no_response_of_ninjas(anonymous, made):
    assert anonymous.get("/api/movies/").status_code == 200
    assert made == []


@pytest.mark.django_db
def test_an_answer_that_is_left_to_ninja_has_its_response(anonymous, made):
    a_customer("known")
    login = {"username": "known", "password": PASSWORD}

    assert anonymous.post("/api/login/", login).status_code == 200
    assert made == ["/api/login/"]
