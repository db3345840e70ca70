"""Who is calling: the bearer token, checked for its signature here and for its login where the
database is asked.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from cinema.errors import NotAuthenticated
from cinema.infra import logs
from cinema.people import logins, tokens
from cinema.people.logins import Caller
from cinema.people.models import User


class CallerRequest(HttpRequest):
    """For type checking: the request of a handler with `auth=caller`. Ninja sets the attribute."""

    auth: Caller


class CustomerRequest(HttpRequest):
    """For type checking: the request of a handler with `auth=customer`."""

    auth: User


class BearerAuth(HttpBearer):
    """Gives handlers a `Caller`: no query, the call that changes something asks for the live login
    itself.
    """

    openapi_bearerFormat = "JWT"  # noqa: N815 # OpenAPI's own spelling
    openapi_description = "Paste the access token alone, without the word Bearer."

    def __call__(self, request: HttpRequest) -> Caller:
        claims = tokens.read(_bearer(request), "access")
        logs.add(user_id=claims.user_id)
        return Caller(claims.user_id, claims.session_id)

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        # __call__ does it all; the library's own would log the header in DEBUG
        raise NotImplementedError


class CustomerAuth(BearerAuth):
    """Gives handlers the `User`, loaded together with the live login."""

    def __call__(self, request: HttpRequest) -> User:  # type: ignore[override]
        claims = tokens.read(_bearer(request), "access")
        logs.add(user_id=claims.user_id)
        return logins.customer_of(claims)


CustomerAuth.__name__ = BearerAuth.__name__  # one box in Swagger's Authorize for both
caller, customer = BearerAuth(), CustomerAuth()


def _bearer(request: HttpRequest) -> str:
    scheme, _, token = (request.META.get("HTTP_AUTHORIZATION") or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


def address_of(request: HttpRequest) -> str:
    """The client's address. X-Forwarded-For counts only as far as NUM_PROXIES of our own proxies
    wrote it.
    """
    forwarded: list[str] = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    peer: str = request.META.get("REMOTE_ADDR") or "unknown"
    if settings.NUM_PROXIES and len(forwarded) >= settings.NUM_PROXIES:
        return forwarded[-settings.NUM_PROXIES].strip() or peer
    return peer


def place_of(request: HttpRequest) -> str:
    """The address as far as it tells one client from another: whoever has one of IPv6 has a whole
    /64 of them.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(_without_port(address_of(request)))
    except ValueError:
        return "::"  # no address at all
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address if address.version == 4 else IPv6Address(int(address) >> 64 << 64))


def _without_port(address: str) -> str:
    """Some proxies write the client's port behind it, which is another one at every call."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
