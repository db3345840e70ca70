"""The pages beside the API: documentation without the internet, health, metrics, and the id of
every request.
"""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from django.test import RequestFactory
from prometheus_client import REGISTRY

from project import wsgi
from project.config import environment
from project.serving.middleware import SessionMiddleware
from tests.conftest import refusal

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/swagger/", "/redoc/"])
def test_the_documentation_asks_nothing_of_the_internet(anonymous, path):
    response = anonymous.get(path)

    page = response.content.decode()
    assert response.status_code == 200
    assert "/api/openapi.json" in page
    assets = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert assets
    assert [asset for asset in assets if "//" in asset] == []
    assert not re.search(r"""["'(]https?://""", page)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    for asset in assets:
        if asset.startswith("/static/"):
            assert anonymous.get(asset).status_code == 200, asset


def test_authorize_says_that_it_wants_the_token_alone(anonymous):
    schemes = anonymous.get("/api/openapi.json").json()["components"]["securitySchemes"]

    (scheme,) = schemes.values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert "without the word Bearer" in scheme["description"]


def test_the_root_leads_to_swagger(anonymous):
    response = anonymous.get("/")

    assert (response.status_code, response.headers["Location"]) == (302, "/swagger/")


def test_the_admin_asks_who_it_is(anonymous):
    response = anonymous.get("/admin/")

    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")


def test_livez_and_readyz(anonymous, all_well):
    live, ready = anonymous.get("/livez"), anonymous.get("/readyz")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "degraded": []})


def test_without_redis_it_is_ready_and_says_so(anonymous, settings):
    settings.REDIS_URL = ""

    response = anonymous.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "degraded": ["redis", "workers", "beat"]}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/swagger/", "/redoc/"])
def test_the_pages_are_only_read(anonymous, path):
    for method in ("POST", "PUT", "DELETE"):
        assert anonymous(method, path).status_code in {403, 405}
    assert anonymous("HEAD", path).status_code == 200


def metrics(api, address="127.0.0.1", **extra):
    return api.client.get("/metrics", REMOTE_ADDR=address, **extra)


def test_metrics_are_for_this_machine(anonymous):
    anonymous.get("/api/movies/")

    response = metrics(anonymous)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert re.search(
        rb'marquee_requests_total\{[^}]*route="api/movies/"[^}]*status="200"[^}]*\} [1-9]',
        response.content,
    )
    assert metrics(anonymous, "::1").status_code == 200


def test_metrics_are_hidden_from_all_others(anonymous):
    for address in ("10.0.0.1", "203.0.113.9", "2001:db8::1", "", "nonsense"):
        assert refusal(metrics(anonymous, address)) == (404, "not_found"), address
    for forwarded in ("127.0.0.1", "203.0.113.9", ""):
        assert refusal(metrics(anonymous, HTTP_X_FORWARDED_FOR=forwarded)) == (404, "not_found"), (
            forwarded
        )


def test_metrics_are_for_the_networks_that_are_named(anonymous, settings, monkeypatch):
    monkeypatch.setenv("METRICS_NETWORKS", "10.0.0.0/8, 2001:db8::/32")
    settings.METRICS_NETWORKS = environment.networks("METRICS_NETWORKS")

    assert [
        metrics(anonymous, address).status_code
        for address in ("10.1.2.3", "2001:db8::1", "127.0.0.1")
    ] == [200] * 3
    assert metrics(anonymous, "11.1.2.3").status_code == 404


def test_behind_a_proxy_metrics_go_by_the_client_it_names(anonymous, settings):
    settings.NUM_PROXIES = 1

    assert metrics(anonymous, HTTP_X_FORWARDED_FOR="203.0.113.9").status_code == 404
    assert metrics(anonymous, HTTP_X_FORWARDED_FOR="127.0.0.1, 203.0.113.9").status_code == 404
    assert (
        metrics(anonymous, "10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9, 127.0.0.1").status_code
        == 200
    )


def test_a_request_id_is_kept(anonymous):
    for given in ("abc", "A-b_c.9", "x" * 64):
        assert anonymous.get("/api/movies/", X_Request_ID=given).headers["X-Request-ID"] == given
        assert refusal(anonymous.get("/api/nothing/", X_Request_ID=given)) == (404, "not_found")


def test_an_odd_request_id_is_replaced(anonymous):
    for given in ("", "x" * 65, "a b", "a\nb", "<script>", "é", "a\x00", "a;b", '"'):
        answer = anonymous.get("/api/movies/", X_Request_ID=given)
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"]), given
    ids = {anonymous.get("/api/movies/").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("path", ["/api/movies/", "/api/nothing/"])
def test_a_foreign_host_is_refused_as_a_problem(anonymous, settings, path):
    settings.ALLOWED_HOSTS = ["testserver"]

    for host in (
        "evil.example",
        "testserver.evil.example",
        "a b",
        "@",
        "testserver:x",
        "[",
        "x" * 300,
    ):
        assert refusal(anonymous.client.get(path, headers={"Host": host})) == (
            400,
            "bad_request",
        ), host
    assert (
        anonymous.client.get("/api/movies/", headers={"Host": "testserver:8000"}).status_code == 200
    )


def test_a_load_balancer_probes_by_address(anonymous, settings):
    settings.ALLOWED_HOSTS = ["tickets.example.com"]

    assert anonymous.get("/livez", Host="10.0.0.7:8000").status_code == 200


def test_no_answer_is_sniffed_and_no_page_framed(anonymous):
    for path in (
        "/api/movies/",
        "/api/nothing/",
        "/swagger/",
        "/redoc/",
        "/admin/login/",
        "/livez",
    ):
        assert anonymous.get(path).headers["X-Content-Type-Options"] == "nosniff", path
    for path in ("/swagger/", "/redoc/", "/admin/login/"):
        response = anonymous.get(path)
        policy = response.headers.get("Content-Security-Policy", "")
        assert (
            response.headers.get("X-Frame-Options") == "DENY" or "frame-ancestors 'none'" in policy
        ), path


def test_what_is_refused_before_it_comes_to_django_is_not_sniffed_either(anonymous, settings):
    settings.SECURE_HSTS_SECONDS = 60
    host, length = {"headers": {"Host": "evil.example"}}, {"CONTENT_LENGTH": "cut off"}
    for wrong in (host, length):
        response = anonymous.client.get("/api/movies/", secure=True, **wrong)
        assert refusal(response) == (400, "bad_request")
        told = [
            response.headers[name]
            for name in ("X-Content-Type-Options", "Strict-Transport-Security")
        ]
        assert told == ["nosniff", "max-age=60"]


def test_a_redirect_to_https_has_its_id_its_line_and_its_count(anonymous, settings, written):
    settings.SECURE_SSL_REDIRECT = True
    counted = {"method": "GET", "route": "none", "status": "301", "code": ""}
    before = REGISTRY.get_sample_value("marquee_requests_total", counted) or 0

    response = anonymous.get("/api/movies/", X_Request_ID="abc")

    assert (response.status_code, response.headers["X-Request-ID"]) == (301, "abc")
    (line,) = (line for line in written if line["event"] == "request")
    assert (line["status"], line["request_id"]) == (301, "abc")
    assert REGISTRY.get_sample_value("marquee_requests_total", counted) == before + 1


@pytest.fixture
def allowed_origin(settings):
    """As project.settings reads CORS_ORIGINS."""
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    settings.API_MIDDLEWARE = [*settings.API_MIDDLEWARE, "corsheaders.middleware.CorsMiddleware"]
    return "https://app.example"


def test_an_allowed_origin_may_read_every_answer_of_the_api(allowed_origin, anonymous):
    origin = allowed_origin

    for method, path in (
        ("GET", "/api/movies/"),
        ("GET", "/api/me/"),
        ("GET", "/api/nothing/"),
        ("DELETE", "/api/me/"),
    ):
        response = anonymous(method, path, Origin=origin)
        assert response.headers.get("Access-Control-Allow-Origin") == origin, (method, path)
        assert (
            "Access-Control-Allow-Origin"
            not in anonymous(method, path, Origin="https://evil.example").headers
        )


def test_with_origins_allowed_the_settings_ask_for_their_middleware():
    words = "from project.settings import *; print('cors' in str(MIDDLEWARE), 'cors' in str(API_MIDDLEWARE))"

    def said(origins: str) -> str:
        given = os.environ | {"CORS_ORIGINS": origins}
        return subprocess.run(
            [sys.executable, "-c", words], env=given, capture_output=True, text=True
        ).stdout

    assert (said(""), said("https://app.example")) == ("False False\n", "True True\n")


def test_an_api_call_meets_no_session_and_no_form(anonymous, settings, monkeypatch):
    monkeypatch.setattr(
        SessionMiddleware, "process_request", lambda *_: pytest.fail("a session was looked for")
    )

    assert anonymous.get("/api/movies/").status_code == 200
    with pytest.raises(pytest.fail.Exception):  # the control: a page's is
        anonymous.get("/swagger/")


def test_a_browser_may_ask_before_it_books(allowed_origin, anonymous):
    response = anonymous(
        "OPTIONS",
        "/api/shows/1/book/",
        Origin="https://app.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization, content-type, idempotency-key",
    )

    assert response.status_code == 200
    assert {"authorization", "content-type", "idempotency-key"} <= set(
        response.headers["Access-Control-Allow-Headers"].replace(" ", "").split(",")
    )


def through_the_server_entry(body: bytes) -> tuple[str, bytes]:
    """As a server hands on a body that came in chunks: without its length."""
    environ = RequestFactory(
        headers={"Host": "testserver", "Transfer-Encoding": "chunked"}
    )._base_environ(REQUEST_METHOD="POST", PATH_INFO="/api/login/", CONTENT_TYPE="application/json")
    status: list[str] = []
    environ |= {"wsgi.input": io.BytesIO(body)}
    answer = b"".join(wsgi.application(environ, lambda line, _headers: status.append(line)))
    return status[0], answer


@pytest.mark.django_db
@pytest.mark.django_db(transaction=True)
def test_a_body_in_chunks_is_read_and_bounded():
    status, answer = through_the_server_entry(b'{"username": "nobody", "password": "x"}')
    assert (status, json.loads(answer)["code"]) == ("401 Unauthorized", "bad_credentials")

    status, answer = through_the_server_entry(b" " * (64 * 1024 + 1))
    assert (status[:3], json.loads(answer)["code"]) == ("413", "body_too_large")


def test_a_server_without_redis_says_that_it_has_no_locks():
    environ = {**os.environ, "REDIS_URL": "", "DJANGO_SETTINGS_MODULE": "project.settings"}

    said = subprocess.run(
        [sys.executable, "-c", "import project.wsgi"], env=environ, capture_output=True, text=True
    )

    assert "no seat locks" in said.stderr
