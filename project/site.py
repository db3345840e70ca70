"""Middleware that is passed by where it has nothing to do: the API carries tokens and no cookie, and no session."""

from typing import Any

from corsheaders import middleware as cors
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBase


class _SiteOnly:
    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)  # type: ignore[no-any-return]
        return super().__call__(request)  # type: ignore[misc,no-any-return]


class SessionMiddleware(_SiteOnly, sessions.SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        """A key that is none of ours is no session; one with a NUL in it (`"\\000…"`) would be PostgreSQL's defect."""
        if not request.COOKIES.get(settings.SESSION_COOKIE_NAME, "x").isalnum():
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)


class AuthenticationMiddleware(_SiteOnly, auth.AuthenticationMiddleware): ...


class MessageMiddleware(_SiteOnly, messages.MessageMiddleware): ...


class CorsMiddleware(cors.CorsMiddleware):
    """Where no origin may read, it would still look at every answer: 3 % of a call."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if settings.CORS_ALLOWED_ORIGINS else self.get_response(request)
