"""What `manage.py check` refuses, of values that project/config/environment.py lets through.

An Error is unsafe or breaks a promise and stops `migrate`; a Warning is printed.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from math import inf, isfinite
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from redis import ConnectionPool

from project.config.services import CacheEntry, DatabaseOptions, PoolOptions

Findings = Iterator[CheckMessage]
DISTINCT_LETTERS = 8  # a random key of 32 characters has more, even of digits alone
PLACEHOLDER = re.compile(r"insecure|change.?me|default|example|your.?(secret|key)", re.IGNORECASE)
SLOWEST_REDIS_SECONDS = 1.0  # no call may wait longer for one that is away
FLOWER_EXAMPLES = {"user:password", "admin:admin", "admin:password"}
POSTGRES_TIMEOUTS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def rule(function: Callable[[], Findings]) -> Callable[..., list[CheckMessage]]:
    """Register a function that every `check` runs, and so do commands that check before a start."""

    def check(**_: object) -> list[CheckMessage]:
        return list(function())

    return checks.register(check, checks.Tags.security, "marquee")


def error(number: int, sentence: str, hint: str) -> CheckMessage:
    return checks.Error(sentence, hint=hint, id=f"marquee.E{number:03}")


def warning(number: int, sentence: str, hint: str) -> CheckMessage:
    return checks.Warning(sentence, hint=hint, id=f"marquee.W{number:03}")


@rule
def secrets_are_secret() -> Findings:
    if settings.DEBUG:
        return
    hint = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    keys = [("SECRET_KEY", "secret_key", settings.SECRET_KEY)]
    keys += [("JWT_SIGNING_KEYS", "jwt_signing_key", key) for key in settings.JWT_SIGNING_KEYS]
    for name, made, key in keys:
        if fault := _find_fault(key, made):
            yield error(1, f"{name} {fault}: whoever guesses it can log in as anybody.", hint)
    if settings.SECRET_KEY in settings.JWT_SIGNING_KEYS:
        yield error(2, "SECRET_KEY is one of JWT_SIGNING_KEYS: who learns one has both.", hint)


def _find_fault(key: str, made: str) -> str:
    """Return what is wrong with a key, as the rest of a sentence; never the key itself."""
    kept = settings.VAR / made
    if len(key) < 32 or len(set(key)) < DISTINCT_LETTERS:
        return "is too short, or repeats a few letters"
    if PLACEHOLDER.search(key):
        return "is a placeholder"
    if kept.is_file() and kept.read_text().strip() == key:
        return f"is the one that was made for development, in {kept}"
    return ""


@rule
def proxies_are_counted() -> Findings:
    if settings.SECURE_SSL_REDIRECT and not settings.NUM_PROXIES:
        yield error(
            3,
            "HTTPS is on and NUM_PROXIES is 0: no proxy is believed that a call came by HTTPS, so "
            "every call is redirected for ever, and all clients share the proxy's address.",
            "Set NUM_PROXIES to how many of your own proxies stand in front, mostly 1.",
        )


@rule
def redis_is_not_waited_for() -> Findings:
    cache: CacheEntry = settings.CACHES["default"]
    if settings.REDIS_URL and "redis" in cache["BACKEND"]:
        yield from _check_redis(cache)
    elif not settings.DEBUG:
        yield warning(
            1,
            "REDIS_URL is not set: there are no seat locks, and each process counts its throttles "
            "for itself.",
            "Set REDIS_URL.",
        )


def _check_redis(cache: CacheEntry) -> Findings:
    options = cache.get("OPTIONS", {})
    slowest = _slowest_seconds(cache["LOCATION"], options.get("CONNECTION_POOL_KWARGS", {}))
    if slowest > SLOWEST_REDIS_SECONDS:
        waits = "has no time-outs"
        if isfinite(slowest):
            waits = f"may be waited for {slowest:g} s"
        yield error(
            4,
            f"Redis {waits}: one that is silent would hold every booking up.",
            "Leave socket_timeout, socket_connect_timeout and retry out of REDIS_URL.",
        )
    if not options.get("SERIALIZER", "").endswith("JSONSerializer"):
        yield error(
            5,
            "The cache unpickles what Redis holds: who can write there could run code here.",
            "Set its SERIALIZER to django_redis.serializers.json.JSONSerializer.",
        )


def _slowest_seconds(url: str, pool: PoolOptions) -> float:
    """Return how long one question may take, which may be for ever.

    What the URL says goes before the settings.
    """
    chosen = ConnectionPool.from_url(url, **pool).connection_kwargs
    connecting = chosen.get("socket_connect_timeout")
    answering = chosen.get("socket_timeout")
    retry = chosen.get("retry")
    if not connecting or not answering or retry is None:
        return inf
    return float(max(connecting, answering) * (1 + retry.get_retries()))


@rule
def redis_is_not_open() -> Findings:
    url = urlsplit(settings.REDIS_URL)
    if not settings.DEBUG and settings.REDIS_URL and not url.password and _is_far(url.hostname):
        yield warning(
            2,
            "REDIS_URL has no password: everybody in that network can hold up sales and add tasks.",
            "Give Redis a password, or let it listen on loopback.",
        )


def _is_far(host: str | None) -> bool:
    """Return whether it is over a network; a bare name is a neighbour in the compose file or pod."""
    try:
        return not ip_address(host or "").is_loopback
    except ValueError:
        return "." in (host or "")


@rule
def the_database_keeps_its_promises() -> Findings:
    database = settings.DATABASES["default"]
    options: DatabaseOptions = database.get("OPTIONS", {})
    engine = database["ENGINE"].rpartition(".")[2]
    if engine in ENGINE_CHECKS:
        yield from ENGINE_CHECKS[engine](options)
    if database.get("ATOMIC_REQUESTS"):
        yield database_error(
            9, "ATOMIC_REQUESTS is on: seat locks would be released before their transaction ends."
        )


def database_error(number: int, sentence: str) -> CheckMessage:
    return error(number, sentence, "Leave DATABASES to services.database, which sets it.")


def _check_sqlite(options: DatabaseOptions) -> Findings:
    if options.get("transaction_mode") != "IMMEDIATE":
        yield database_error(
            6,
            "SQLite's transactions are not IMMEDIATE: of bookings at the same time most would fail.",
        )
    if not settings.DEBUG:
        yield warning(
            3,
            "The database is SQLite, which lets one booking write at a time.",
            "Set DATABASE_URL to a PostgreSQL.",
        )


def _check_postgresql(options: DatabaseOptions) -> Findings:
    chosen = str(options.get("options"))
    if not all(name in chosen for name in POSTGRES_TIMEOUTS):
        yield database_error(
            7, "PostgreSQL has no time-outs: a frozen process would keep its seats locked for ever."
        )


def _check_mariadb(options: DatabaseOptions) -> Findings:
    in_utc = "time_zone='+00:00'" in str(options.get("init_command"))
    if not in_utc or options.get("isolation_level") != "read committed":
        yield database_error(
            8,
            "MariaDB's sessions are not in UTC and READ COMMITTED: holds would end at a wrong hour.",
        )


ENGINE_CHECKS = {"sqlite3": _check_sqlite, "postgresql": _check_postgresql, "mysql": _check_mariadb}


@rule
def mails_are_sent() -> Findings:
    if settings.DEBUG:
        return
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        yield error(
            10,
            "Mails are not sent, but kept as files: no customer gets a ticket or a new password.",
            "Set EMAIL_URL, such as smtps://user:password@mail.example.com:465.",
        )
        return
    encrypted = settings.EMAIL_USE_SSL or settings.EMAIL_USE_TLS
    if settings.EMAIL_HOST_PASSWORD and not encrypted and _is_far(settings.EMAIL_HOST):
        yield warning(
            4, "EMAIL_URL sends its password in the clear.", "Use smtps://, or add ?tls=on."
        )


@rule
def passwords_are_not_guessed() -> Findings:
    if settings.DEBUG:
        return
    if not settings.THROTTLES["login"] and not settings.AXES_ENABLED:
        yield error(
            11,
            "THROTTLE_LOGIN and LOCKOUT_FAILURES are both off: passwords can be guessed without "
            "end.",
            "Set one of them.",
        )
    if settings.PASSWORD_HASHERS[0] != "project.config.hashers.Argon2":
        yield error(
            12,
            "Passwords are not hashed by argon2id: a stolen table would be read in hours.",
            "Put project.config.hashers.Argon2 first in PASSWORD_HASHERS.",
        )


@rule
def doors_are_shut() -> Findings:
    if settings.DEBUG and _is_far(settings.HOST):
        yield warning(
            5,
            f"DEBUG is on and HOST is {settings.HOST}: everybody in the network can log in with "
            "the passwords of the demo data.",
            "Set DEBUG=off, or leave HOST at 127.0.0.1.",
        )
    if any(network.prefixlen == 0 for network in settings.METRICS_NETWORKS):
        yield error(
            13,
            "METRICS_NETWORKS is the whole Internet: everybody can read /metrics.",
            "Name the networks of your Prometheus.",
        )
    if not settings.DEBUG and "*" in settings.ALLOWED_HOSTS:
        yield error(
            14,
            "ALLOWED_HOSTS takes every name: a page could be made to speak for another site.",
            "Name your hosts.",
        )
    if not settings.DEBUG and settings.FLOWER_BASIC_AUTH in FLOWER_EXAMPLES:
        yield warning(
            6,
            "FLOWER_BASIC_AUTH is the one of the examples: everybody can stop tasks.",
            "Set another.",
        )
