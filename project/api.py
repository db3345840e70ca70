"""The one NinjaAPI: where the rooms of the API are mounted."""

from functools import partial
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.renderers import BaseRenderer

from cinema.api import errors
from cinema.api.parsing import StrictParser
from cinema.api.routers import accounts, bookings, movies
from cinema.api.schemas.common import Problem

DESCRIPTION = """Cinema seats over a REST API: a seat is never sold twice.

Sign up, log in, press Authorize and paste the `access` token. Every refusal is `application/problem+json` with a
sentence for people (`detail`) and a stable `code` for programs."""


class Renderer(BaseRenderer):
    media_type = "application/json"

    # Ninja's form
    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002
        return orjson.dumps(data)


class MarqueeAPI(NinjaAPI):
    def create_temporal_response(self, request: HttpRequest) -> HttpResponse:
        """Made where a handler leaves its answer to Ninja; one that answers in bytes would pay 4 %
        of a call for it.
        """
        later: Any = SimpleLazyObject(partial(super().create_temporal_response, request))
        return later  # type: ignore[no-any-return]

    def get_openapi_schema(self, **how: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**how)
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema(
            ref_template=REF_TEMPLATE
        )
        document["components"]["schemas"].update(
            document["components"]["schemas"]["Problem"].pop("$defs", {})
        )
        return document


api = MarqueeAPI(
    title="Marquee",
    version="1.0.0",
    description=DESCRIPTION,
    docs_url=None,  # the pages have addresses of their own
    parser=StrictParser(),
    renderer=Renderer(),
    openapi_extra={
        "tags": [{"name": "What is on"}, {"name": "Account"}, {"name": "Bookings"}]
    },  # as one meets them
)
errors.register(api)
for room in (
    movies,
    bookings,
    accounts,
):  # in the order of their calls: a path is matched from the top
    api.add_router("", room.router)
