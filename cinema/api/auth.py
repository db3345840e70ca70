"""The bearer token of a call.

Its signature is checked here, and its login where the database is asked.
"""

from django.http import HttpRequest
from ninja.security import HttpBearer

from cinema.errors import NotAuthenticated
from cinema.infra import logs
from cinema.people import tokens
from cinema.people.caller import Caller, load_customer
from cinema.people.models import User


class CallerRequest(HttpRequest):
    """The request of a handler with `auth=caller`, for type checking. Ninja sets the attribute."""

    auth: Caller


class CustomerRequest(HttpRequest):
    """The request of a handler with `auth=customer`, for type checking."""

    auth: User


class BearerAuth(HttpBearer):
    """Give handlers a `Caller`, without a query.

    The call that changes something asks for the live login itself.
    """

    openapi_bearerFormat = "JWT"  # noqa: N815 # OpenAPI's own spelling
    openapi_description = "Paste the access token alone, without the word Bearer."

    def __call__(self, request: HttpRequest) -> Caller:
        claims = tokens.read(_read_bearer(request), "access")
        logs.add(user_id=claims.user_id)
        return Caller(claims.user_id, claims.session_id)

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        # __call__ does it all; the library's own would log the header in DEBUG
        raise NotImplementedError


class CustomerAuth(BearerAuth):
    """Gives handlers the `User`, loaded together with the live login."""

    def __call__(self, request: HttpRequest) -> User:  # type: ignore[override]
        claims = tokens.read(_read_bearer(request), "access")
        logs.add(user_id=claims.user_id)
        return load_customer(claims)


CustomerAuth.__name__ = BearerAuth.__name__  # one box in Swagger's Authorize for both
caller, customer = BearerAuth(), CustomerAuth()


def _read_bearer(request: HttpRequest) -> str:
    scheme, _, token = (request.META.get("HTTP_AUTHORIZATION") or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()
