"""What Django's settings say of the database, the cache and the mail server, from their URLs."""

from typing import NotRequired, TypedDict
from urllib.parse import unquote, urlsplit

import dj_database_url
from dj_database_url import DBConfig
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

DatabaseOptions = dict[str, str | int]


class PoolOptions(TypedDict, total=False):
    """How the Redis client's connections behave."""

    socket_timeout: float
    socket_connect_timeout: float
    retry: Retry


class CacheOptions(TypedDict, total=False):
    SERIALIZER: str
    CONNECTION_POOL_KWARGS: PoolOptions


class CacheEntry(TypedDict):
    """An entry of Django's CACHES."""

    BACKEND: str
    LOCATION: str
    KEY_PREFIX: NotRequired[str]
    OPTIONS: NotRequired[CacheOptions]


EMAIL_PORTS = {"smtp": 25, "smtps": 465}
ODD_EMAIL_URL = "EMAIL_URL must look like smtp://host:25 or smtps://user:password@host:465."
DATABASE_OPTIONS: dict[str, DatabaseOptions] = {
    "sqlite3": {
        # of 200 concurrent writes in the default mode 167 failed at once, with IMMEDIATE none
        "transaction_mode": "IMMEDIATE",
        "timeout": 3,
        "init_command": "PRAGMA journal_mode=WAL;",
    },
    "postgresql": {
        "server_side_binding": True,
        "prepare_threshold": 1,
        "connect_timeout": 3,
        # time-outs, so that a frozen client cannot keep seats: its locks end with its transaction
        "options": "-c lock_timeout=1s -c statement_timeout=10s "
        "-c idle_in_transaction_session_timeout=5s "
        # what a sale reads is in memory; the server's default is for turning disks
        "-c random_page_cost=1.1",
    },
    "mysql": {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "connect_timeout": 3,
        # Django's Now() is the session's local time there, so the session must be in UTC
        "init_command": "SET time_zone='+00:00', innodb_lock_wait_timeout=1",
    },
}


def redis_cache(url: str, seconds: float) -> CacheEntry:
    """Return the CACHES entry of a Redis that is waited for so long, and never asked again."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "marquee",
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "CONNECTION_POOL_KWARGS": {
                "socket_timeout": seconds,
                "socket_connect_timeout": seconds,
                "retry": Retry(NoBackoff(), 0),
            },
        },
    }


def memory_cache(name: str) -> CacheEntry:
    """Return the CACHES entry of a cache that each process has for itself."""
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}


def database(url: str) -> DBConfig:
    """Return Django's DATABASES entry, with the time-outs and isolation that the promises need."""
    try:
        entry = dj_database_url.parse(url, conn_max_age=600)
    except (ValueError, KeyError):
        raise ImproperlyConfigured(
            "DATABASE_URL must look like postgres://user:password@host:5432/name, "
            "mysql://… or sqlite:///file."
        ) from None
    engine = entry["ENGINE"].rpartition(".")[2]
    if engine not in DATABASE_OPTIONS:
        raise ImproperlyConfigured(
            f"DATABASE_URL names {engine!r}: PostgreSQL, SQLite and MariaDB are supported."
        )
    entry.setdefault("OPTIONS", {}).update(DATABASE_OPTIONS[engine])
    if engine == "sqlite3":
        # a file: in memory there is nothing to race for
        entry["TEST"] = {"NAME": f"{entry['NAME']}.test"}
    elif engine == "mysql":
        entry["TEST"] = {"CHARSET": "utf8mb4"}
    return entry


def email(url: str) -> dict[str, str | int]:
    """Return Django's EMAIL_* settings; without a URL every mail becomes one `.eml` file."""
    if not url:
        return {"EMAIL_BACKEND": "cinema.notifications.eml_files.EmailBackend"}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(ODD_EMAIL_URL) from None
    if parts.scheme not in EMAIL_PORTS or not parts.hostname or port == 0:
        raise ImproperlyConfigured(ODD_EMAIL_URL)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or EMAIL_PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.query == "tls=on",
    }
