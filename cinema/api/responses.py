"""Answers as bytes.

Ninja would check each against its schema, 70 µs a call; a test does it once.
"""

import hashlib
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response

from cinema.sales.snapshots import Outcome


def json_response(answer: Any, status: int = 200) -> HttpResponse:
    """Answer with a snapshot, or a dict or list of them."""
    return _json(orjson.dumps(answer), status)


def outcome_response(outcome: Outcome) -> HttpResponse:
    """Answer 201 with what this call made, or made the first time, and 200 with what was there."""
    status = 201 if outcome.created else 200
    if outcome.kept_body is not None:
        return _json(outcome.kept_body.encode(), status)
    return json_response(outcome.booking, status)


def if_changed(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:
    """Give the response an ETag, and answer 304 to whoever has it already."""
    # A hash of the body, not of a version: a hold that runs out changes the map without a write.
    digest = hashlib.blake2b(response.content, digest_size=12).hexdigest()
    response["ETag"] = etag = f'"{digest}"'
    response["Cache-Control"] = "no-cache"
    if "HTTP_IF_NONE_MATCH" not in request.META:
        return response
    # These are for who would write; a read is not refused by them.
    for other in ("HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"):
        request.META.pop(other, None)
    return get_conditional_response(request, etag=etag, response=response) or response


def _json(body: bytes, status: int) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json")
