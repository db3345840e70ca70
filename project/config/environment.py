"""Read the environment: an odd value stops the start with a sentence."""

import hashlib
import hmac
import os
import re
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured
from redis import ConnectionPool

SECRET_LENGTH = 32  # characters: 256 bits for HS256, RFC 7518 section 3.2
RATE = re.compile(r"(\d{1,9})/(sec|min|hour|day)")
PERIOD_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86400}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    value = text(name, str(default)).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: it must be on or off.")


def number(name: str, default: int, least: int = 0, most: int = 10**9) -> int:
    value = text(name, str(default))
    plain = value.isascii() and value.isdigit() and len(value) < 20
    if not plain or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name} is {value!r}: it must be a whole number from {least} to {most}."
        )
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def rate(name: str, default: str) -> tuple[int, int] | None:
    """Return `10/min` as (10 calls, 60 seconds); set but empty turns the throttle off."""
    value = os.environ.get(name, default).strip()
    if not value:
        return None
    found = RATE.fullmatch(value)
    if not found or int(found[1]) < 1:
        wanted = "it must look like 10/min (sec, min, hour or day), or be empty"
        raise ImproperlyConfigured(f"{name} is {value!r}: {wanted}.")
    return int(found[1]), PERIOD_SECONDS[found[2]]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: {error}. Write networks like 10.0.0.0/8, separated by commas."
        ) from None


def redis(name: str) -> str:
    url = text(name)
    try:
        known = not url or _names_a_redis(url)
    except (ValueError, TypeError):
        known = False
    if not known:
        raise ImproperlyConfigured(
            f"{name} must look like redis://host:6379/0, or rediss://user:password@host:6380/0."
        )
    return url


def _names_a_redis(url: str) -> bool:
    """Return whether the client takes this URL. It raises ValueError or TypeError for some others.

    It connects to nothing; an odd option would fail at each call.
    """
    pool = ConnectionPool.from_url(url)
    pool.connection_class(**pool.connection_kwargs)
    parts = urlsplit(url)
    if not re.fullmatch(r"(/\d*)?", parts.path):
        return False
    return parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0


def origins(name: str) -> list[str]:
    values = words(name)
    if odd := [value for value in values if not re.fullmatch(r"https?://[^/\s]+", value)]:
        raise ImproperlyConfigured(
            f"{name} has {odd[0]!r}: an origin looks like https://tickets.example.com."
        )
    return values


def time_zone(name: str, default: str) -> str:
    zone = text(name, default)
    if zone not in available_timezones():
        raise ImproperlyConfigured(f"{name} is {zone!r}: it must be a name like Europe/Berlin.")
    return zone


def log_level(name: str, default: str) -> str:
    level = text(name, default).upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ImproperlyConfigured(
            f"{name} is {level!r}: it must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
        )
    return level


def secret(name: str, kept_in: Path | None) -> str:
    """Return the secret of that name.

    With `kept_in` (DEBUG on) one is made there once, readable by its owner alone.
    """
    value = os.environ.get(name, "")
    if not value and kept_in is not None:
        return _make_once(kept_in)
    if len(value) < SECRET_LENGTH:
        state = "too short" if value else "not set"
        wanted = f"with DEBUG off it must have {SECRET_LENGTH} characters or more"
        raise ImproperlyConfigured(f"{name} is {state}: {wanted}.")
    return value


def signing_keys(name: str, secret_key: str, kept_in: Path | None) -> list[str]:
    """Return the keys of the tokens: the first signs and all verify.

    Without any, one of its own is derived from SECRET_KEY.
    """
    keys = words(name)
    if not keys and kept_in is not None:
        return [_make_once(kept_in)]
    if any(len(key) < SECRET_LENGTH for key in keys):
        wanted = f"each must have {SECRET_LENGTH} characters or more"
        raise ImproperlyConfigured(f"{name} has a key that is too short: {wanted}.")
    return keys or [hmac.new(secret_key.encode(), b"marquee.jwt", hashlib.sha256).hexdigest()]


def _make_once(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)  # the first of two processes wins; a half-written secret is never seen
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
