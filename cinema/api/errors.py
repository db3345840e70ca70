"""Turn every known exception into problem+json; no router builds an error."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic.config import JsonDict, JsonValue

from cinema import errors
from cinema.errors import Refusal

PROBLEM_JSON = "application/problem+json"
DOCUMENT = "#/components/schemas/Problem"
Error = TypeVar("Error", bound=Exception)
log = structlog.get_logger("marquee.api")


def problem_body(refusal: Refusal, request_id: str) -> bytes:
    """Return the refusal as RFC 9457 has it: a sentence for a person, a code for a program."""
    code = refusal.code
    payload = {
        "type": f"urn:marquee:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": refusal.status,
        "detail": refusal.detail,
        "code": code,
        "request_id": request_id,
        **refusal.extra,
    }
    return orjson.dumps(payload)


class ProblemResponse(HttpResponse):
    """A refusal on its way out; `refusal_code` is for the metrics."""

    refusal_code: str


def problem(request: HttpRequest, refusal: Refusal) -> ProblemResponse:
    response = ProblemResponse(
        problem_body(refusal, _request_id(request)),
        status=refusal.status,
        content_type=PROBLEM_JSON,
    )
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    response.refusal_code = refusal.code
    return response


def register(api: NinjaAPI) -> None:
    """Register a handler for every exception that a call may end with."""
    _add(api, Refusal, lambda refusal: refusal)
    _add(api, Http404, lambda _: errors.NotFound())
    _add(api, AuthenticationError, lambda _: errors.NotAuthenticated())
    _add(api, SuspiciousOperation, lambda _: errors.BadRequest())
    _add(api, RequestDataTooBig, lambda _: errors.BodyTooLarge())
    # the client went away in the middle of its body
    _add(api, UnreadablePostError, lambda _: errors.BadRequest())
    _add(api, HttpError, _refuse_http_error)
    _add(api, ValidationError, _refuse_invalid)
    _add(api, OperationalError, _refuse_for_outage)
    _add(api, InterfaceError, _refuse_for_outage)
    # a transaction that the server ended, a standby that only reads
    _add(api, InternalError, _refuse_for_outage)
    _add(api, Exception, _refuse_for_defect)


def _add(api: NinjaAPI, kind: type[Error], refuse: Callable[[Error], Refusal]) -> None:
    def handle(request: HttpRequest, error: Any) -> HttpResponse:
        return problem(request, refuse(error))

    api.add_exception_handler(kind, handle)


def _refuse_http_error(error: HttpError) -> Refusal:
    """Ninja wraps what the parser raises; anything else it raises is about the body too."""
    if isinstance(error.__cause__, Refusal):
        return error.__cause__
    return errors.BadRequest()


def _refuse_invalid(error: ValidationError) -> Refusal:
    if any(item["loc"][0] == "path" for item in error.errors):
        return errors.NotFound()
    return errors.Invalid(
        errors=[
            {"field": _name_field(item["loc"]), "message": item["msg"]} for item in error.errors
        ]
    )


def _name_field(loc: Iterable[str | int]) -> str:
    names = [str(name) for name in loc][1:]
    if len(names) > 1 and names[0] == "body":
        del names[0]
    return ".".join(names)


def _refuse_for_outage(error: Exception) -> Refusal:
    log.error("database unavailable", error=type(error.__cause__ or error).__name__)
    return errors.Unavailable()


def _refuse_for_defect(error: Exception) -> Refusal:
    """Log where it broke, and not what the exception says: that may hold what a customer typed."""
    log.error("defect", exc_info=error)
    return errors.Defect()


def _request_id(request: HttpRequest) -> str:
    return getattr(request, "request_id", "")


def refuses(
    *refusals: type[Refusal], body: bool = False, auth: bool = False, **extra: JsonValue
) -> dict[str, Any]:
    """Return the `openapi_extra` that declares these refusals.

    Those that any call with a body or a token may meet come along.
    """
    kinds: list[type[Refusal]] = [*refusals, errors.Unavailable, errors.BadRequest]
    if body:
        kinds += [errors.BadJson, errors.BodyTooLarge, errors.UnsupportedMediaType, errors.Invalid]
    if auth:
        kinds += [errors.NotAuthenticated, errors.TokenInvalid, errors.TokenExpired]
    by_status: dict[int, list[type[Refusal]]] = {}
    for kind in sorted(set(kinds), key=lambda kind: (kind.status, kind.code)):
        by_status.setdefault(kind.status, []).append(kind)
    responses = {status: _declare(kinds) for status, kinds in by_status.items()}
    return {"responses": responses, **extra}


def _declare(kinds: list[type[Refusal]]) -> JsonDict:
    return {
        "description": " · ".join(f"`{kind.code}`: {kind.detail}" for kind in kinds),
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": DOCUMENT},
                "examples": {kind.code: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: type[Refusal]) -> JsonDict:
    return {
        "type": f"urn:marquee:problem:{kind.code}",
        "title": kind.code.replace("_", " ").capitalize(),
        "status": kind.status,
        "detail": kind.detail,
        "code": kind.code,
        "request_id": "5f1c6a0e8f0b4a07",
    }
