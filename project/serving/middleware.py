"""Around every request: its id, log line and metrics, and problem+json for what Django refuses."""

import random
import re
import time
from collections.abc import Callable
from logging import INFO
from typing import Any

import structlog
from django.conf import settings
from django.contrib.sessions import middleware as sessions
from django.core.exceptions import DisallowedHost
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.middleware.security import SecurityMiddleware
from prometheus_client import Counter, Histogram

from cinema import errors
from cinema.api.errors import PROBLEM_JSON, problem
from cinema.infra import logs
from project.serving.metrics import IN_PROGRESS

LENGTH = re.compile(r"[0-9]{1,99}")  # Django falls on any other
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
REQUESTS = Counter("marquee_requests", "Requests answered", ["method", "route", "status", "code"])
SECONDS = Histogram(
    "marquee_request_seconds",
    "Seconds to the answer",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 3),
)
API = "/api/"
METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}
PROBED = {"/livez", "/readyz", "/metrics"}  # asked by address, whatever our host names are
DJANGO_REFUSES = {
    400: errors.BadRequest,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
}
log = structlog.get_logger("marquee.request")
_children: dict[tuple[str, str, int, str], tuple[Counter, Histogram]] = {}


class RequestMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.secured = SecurityMiddleware(
            get_response
        ).process_response  # for what is refused before it comes there

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        request.request_id = request_id  # type: ignore[attr-defined]
        logs.carry(request_id=request_id)
        IN_PROGRESS.inc()
        try:
            response = self._answer(request, request_id)
            _log_request(request, response, time.perf_counter() - started)
        finally:
            IN_PROGRESS.dec()
            logs.carry()
        return response

    def _answer(self, request: HttpRequest, request_id: str) -> HttpResponse:
        response = self._respond(request)
        if response.status_code >= 400 and request.path.startswith(API):
            response = _as_problem(request, response)
        response["X-Request-ID"] = request_id
        if not response.streaming and response.status_code not in (204, 304):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    def process_exception(self, _request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Refuse a value on a staff page that no column takes: NUL, a number of 23 digits.

        The API judges for itself.
        """
        if isinstance(exception, DataError | OverflowError):
            return HttpResponseBadRequest(
                "A value on this page is not one that can be stored or looked for. Go back."
            )
        return None

    def _respond(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.path not in PROBED:
                request.get_host()
        except DisallowedHost:
            return self._refuse(request, "This host name is not one of ours: see ALLOWED_HOSTS.")
        if not LENGTH.fullmatch(request.META.get("CONTENT_LENGTH") or "0"):
            return self._refuse(
                request, "The body is cut off, or its Content-Length is not a number."
            )
        return self.get_response(request)

    def _refuse(self, request: HttpRequest, why: str) -> HttpResponse:
        return self.secured(request, problem(request, errors.BadRequest(why)))


class SessionMiddleware(sessions.SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        """A key that is none of ours is no session; one with a NUL in it (`"\\000…"`) would be PostgreSQL's defect."""
        if not request.COOKIES.get(settings.SESSION_COOKIE_NAME, "x").isalnum():
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)


def _as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Answer what never reached a handler (unknown path, wrong method) like everything else."""
    if response.headers.get("Content-Type") == PROBLEM_JSON:
        return response
    answer = problem(request, DJANGO_REFUSES.get(response.status_code, errors.Defect)())
    for name, value in response.items():  # Allow, and what a browser needs to read it
        answer.headers.setdefault(name, value)
    answer.headers.pop("Content-Length", None)
    return answer


def _log_request(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    match = request.resolver_match
    route = match.route if match else "none"
    method: str = request.method if request.method in METHODS else "other"
    code: str = getattr(response, "refusal_code", "")
    requests, latency = _find_counters((method, route, response.status_code, code))
    requests.inc()
    latency.observe(seconds)
    if log.is_enabled_for(INFO):
        fields: dict[str, Any] = {"code": code} if code else {}
        if staff := _staff_id(request):
            fields["user_id"] = staff
        ms = round(seconds * 1000, 1)
        log.info(
            "request", method=method, route=route, status=response.status_code, ms=ms, **fields
        )


def _find_counters(labels: tuple[str, str, int, str]) -> tuple[Counter, Histogram]:
    """Looked up once: the library's own look-up takes longer than the count."""
    if not (children := _children.get(labels)):
        children = _children[labels] = REQUESTS.labels(*labels), SECONDS.labels(labels[1])
    return children


def _staff_id(request: HttpRequest) -> int | None:
    """Return who is logged in to the admin, if the page has asked for it."""
    user = getattr(request, "_cached_user", None)
    return user.pk if user else None
