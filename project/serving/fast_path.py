"""What an API call would only be passed on by, left out. Django's and Ninja's ways, in one room.

| left out | what it earns | to switch it off |
|---|---|---|
| the middlewares of pages around an API call | 7 of a seat map's 152 µs | drop `load_middleware` |
| trying one route after the other, again for each call | 4 % of a seat map | drop `resolve_request` |
| what Django does after each request, and finds nothing to do | 5 % of a call | drop `trim_signals` |
| Ninja's spare response, where a handler answers in bytes | 4 % of a call | drop `LazyResponses` |

Figures: docs/performance.md. `tests/project/test_fast_path.py` fails where Django or Ninja changes
what is built on here.
"""

from functools import lru_cache, partial
from typing import Any, cast

from django import db
from django.conf import settings
from django.core import cache, signals
from django.core.handlers import base
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, URLResolver, get_resolver
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string
from ninja import NinjaAPI

API = "/api/"


class ApiFastPath(base.BaseHandler):
    """A request handler whose API calls meet API_MIDDLEWARE alone. MIDDLEWARE is for pages."""

    _get_response: Any
    _middleware_chain: Any

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        pages = self._middleware_chain
        api = convert_exception_to_response(self._get_response)
        for name in reversed(settings.API_MIDDLEWARE):
            api = convert_exception_to_response(import_string(name)(api))

        def chain(request: HttpRequest) -> HttpResponse:
            inner = api if request.path_info.startswith(API) else pages
            return cast(HttpResponse, inner(request))

        self._middleware_chain = chain

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Keep the route of an API call; Django tries them in order."""
        if not request.path_info.startswith(API):
            return super().resolve_request(request)
        request.resolver_match = match = find_route(get_resolver(), request.path_info)
        return match


# What is asked most on the night of a premiere. Nothing is kept of a path without a route.
@lru_cache(maxsize=2048)
def find_route(routes: URLResolver, path: str) -> ResolverMatch:
    return routes.resolve(path)


class LazyResponses(NinjaAPI):
    def create_temporal_response(self, request: HttpRequest) -> HttpResponse:
        """Make the response that a handler may set headers on when it is first asked for."""
        lazy = SimpleLazyObject(partial(super().create_temporal_response, request))
        return cast(HttpResponse, lazy)


def trim_signals() -> None:
    """Leave out what finds nothing to do at the end of a request.

    A connection that broke is found, and the urlconf set, at the start of the next request.
    `queries` is filled with DEBUG alone.
    """
    for idle in (db.close_old_connections, cache.close_caches, base.reset_urlconf):
        signals.request_finished.disconnect(idle)
    if not settings.DEBUG:
        signals.request_started.disconnect(db.reset_queries)
