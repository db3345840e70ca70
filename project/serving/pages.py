"""The pages beside the API: documentation from local files, health, and metrics."""

from ipaddress import ip_address

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.openapi.docs import Redoc, Swagger
from prometheus_client import CONTENT_TYPE_LATEST

from cinema.api.errors import problem
from cinema.errors import NotFound, Unavailable
from cinema.infra.client_address import client_address
from cinema.infra.monitoring import health
from project.serving.metrics import exposition

# ReDoc would ask its maker's site for a logo; its page starts it by an inline script.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; object-src 'none'"
)


@require_safe
def swagger(request: HttpRequest, api: NinjaAPI) -> HttpResponse:
    return _documentation(Swagger({"persistAuthorization": True}).render_page(request, api))


@require_safe
def redoc(request: HttpRequest, api: NinjaAPI) -> HttpResponse:
    return _documentation(Redoc().render_page(request, api))


def _documentation(page: HttpResponse) -> HttpResponse:
    page["Content-Security-Policy"] = POLICY
    return page


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; it says nothing of what it needs."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer whether the database does. What else is away is named: sales go on without it."""
    try:
        degraded = health.degraded()  # asks the database of the mails
    except Error:
        connection.close()
        return problem(request, Unavailable("The database does not answer."))
    return JsonResponse({"status": "degraded" if degraded else "ok", "degraded": degraded})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus on this machine or in METRICS_NETWORKS; there is nothing for others."""
    through_unknown_proxy = "HTTP_X_FORWARDED_FOR" in request.META and not settings.NUM_PROXIES
    if through_unknown_proxy or not _may_read_metrics(client_address(request)):
        return problem(request, NotFound())
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(address: str) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return client.is_loopback or any(client in network for network in settings.METRICS_NETWORKS)
