"""The one NinjaAPI: where the rooms of the API are mounted."""

import re
from functools import cached_property
from typing import Any

import orjson
from django.http import HttpRequest
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation
from ninja.renderers import BaseRenderer

from cinema.api import errors
from cinema.api.parsing import StrictParser
from cinema.api.routers import accounts, bookings, movies, shows
from cinema.api.schemas.problems import Problem
from project.serving.fast_path import LazyResponses

DESCRIPTION = """Cinema seats over a REST API: a seat is never sold twice.

Sign up, log in, press Authorize and paste the `access` token. Every refusal is `application/problem+json` with a
sentence for people (`detail`) and a stable `code` for programs."""

KNOWN_AS = {"shows": "movies"}  # handlers whose calls are named after another file


class Renderer(BaseRenderer):
    media_type = "application/json"

    # Ninja's form
    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002
        return orjson.dumps(data)


class MarqueeAPI(LazyResponses):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Name a call as generated clients know it, wherever its handler has moved since."""
        room = operation.view_func.__module__.rpartition(".")[2]
        return f"cinema_api_{KNOWN_AS.get(room, room)}_{operation.view_func.__name__}"

    def get_openapi_schema(self, **_: object) -> OpenAPISchema:
        """Return the document, made once: it takes 60 ms, and anybody may ask for it."""
        return self._document

    @cached_property
    def _document(self) -> OpenAPISchema:
        document = super().get_openapi_schema()
        problem = Problem.model_json_schema(ref_template=REF_TEMPLATE)
        parts = problem.pop("$defs", {})
        document["components"]["schemas"] |= {"Problem": problem, **parts}
        for path in document["paths"].values():
            for operation in path.values():
                if "description" in operation:
                    operation["description"] = unwrap(operation["description"])
        return document


def unwrap(docstring: str) -> str:
    """Return each paragraph of it on one line: the code's width is no reader's."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", docstring)


api = MarqueeAPI(
    title="Marquee",
    version="1.0.0",
    description=DESCRIPTION,
    docs_url=None,  # the pages have addresses of their own
    parser=StrictParser(),
    renderer=Renderer(),
    # The tags as one meets them.
    openapi_extra={"tags": [{"name": "What is on"}, {"name": "Account"}, {"name": "Bookings"}]},
)
errors.register(api)
# In the order of their calls: a path is matched from the top.
for router in (movies.router, shows.router, bookings.router, accounts.router):
    api.add_router("", router)
