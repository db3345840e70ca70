"""The bearer token of a call.

Its signature is checked here, and its login where the database is asked.
"""

from typing import NoReturn

from django.http import HttpRequest
from ninja.security import HttpBearer

from cinema.errors import NotAuthenticated
from cinema.infra import logs
from cinema.people import tokens
from cinema.people.caller import Caller, load_customer
from cinema.people.models import User
from cinema.people.tokens import Claims


class CallerRequest(HttpRequest):
    """The request of a handler with `auth=caller`, for type checking. Ninja sets the attribute."""

    auth: Caller


class CustomerRequest(HttpRequest):
    """The request of a handler with `auth=customer`, for type checking."""

    auth: User


class AccessToken(HttpBearer):
    """The scheme of both kinds, which __call__ reads; the library's own would log it in DEBUG."""

    openapi_bearerFormat = "JWT"  # noqa: N815 # OpenAPI's own spelling
    openapi_description = "Paste the access token alone, without the word Bearer."

    def authenticate(self, request: HttpRequest, token: str) -> NoReturn:
        raise NotImplementedError


class BearerAuth(AccessToken):
    """Give handlers a `Caller`, without a query.

    The call that changes something asks for the live login itself.
    """

    def __call__(self, request: HttpRequest) -> Caller:
        claims = _read_claims(request)
        return Caller(claims.user_id, claims.session_id)


class CustomerAuth(AccessToken):
    """Give handlers the `User`, loaded together with the live login."""

    def __call__(self, request: HttpRequest) -> User:
        return load_customer(_read_claims(request))


CustomerAuth.__name__ = BearerAuth.__name__  # one box in Swagger's Authorize for both
caller, customer = BearerAuth(), CustomerAuth()


def _read_claims(request: HttpRequest) -> Claims:
    scheme, _, token = (request.META.get("HTTP_AUTHORIZATION") or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    claims = tokens.read(token.strip(), "access")
    logs.add(user_id=claims.user_id)
    return claims
