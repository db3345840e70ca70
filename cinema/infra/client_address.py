"""Where a request comes from, as far as our own proxies wrote it."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's address.

    X-Forwarded-For counts only as far as NUM_PROXIES of our own proxies wrote it.
    """
    forwarded: list[str] = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    peer: str = request.META.get("REMOTE_ADDR") or "unknown"
    if settings.NUM_PROXIES and len(forwarded) >= settings.NUM_PROXIES:
        return forwarded[-settings.NUM_PROXIES].strip() or peer
    return peer


def client_network(request: HttpRequest) -> str:
    """Return what tells one client from another: an IPv4 address, or the /64 of an IPv6 address.

    A client of IPv6 has the whole /64 to choose from.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(_without_port(client_address(request)))
    except ValueError:
        return "::"  # no address at all
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address if address.version == 4 else IPv6Address(int(address) >> 64 << 64))


def _without_port(address: str) -> str:
    """Some proxies write the client's port after it, which is another one at every call."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
