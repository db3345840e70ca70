"""Idempotency keys: the answer to the first request with a key is kept for a day.

The key's row is the first thing its transaction writes, so a twin in flight waits on the unique
constraint, up to the database's lock time-out. Only a success is kept: a refusal rolls the row back
with everything else.
"""

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.db import IntegrityError, OperationalError, transaction
from django.db.models.functions import Now

from cinema.errors import BadIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused
from cinema.infra.database.errors import is_lock_timeout
from cinema.sales.models import IdempotencyKey

KEPT = timedelta(hours=24)
OK = 200
CREATED = 201


class Key(NamedTuple):
    sha256: str
    fingerprint: str


def key_from(header: str, method: str, path: str, body: Any) -> Key:
    """Return the key of a request that has one; the body counts in canonical form.

    Raises BadIdempotencyKey.
    """
    if not (1 <= len(header) <= 255 and header.isascii() and header.isprintable()):
        raise BadIdempotencyKey
    canonical = orjson.dumps([method, path, body], option=orjson.OPT_SORT_KEYS)
    return Key(hashlib.sha256(header.encode()).hexdigest(), hashlib.sha256(canonical).hexdigest())


def claim(user_id: int, key: Key) -> bool:
    """Return whether this is the first request with this key: then its row now stands.

    Must be the first write of the transaction. Waits for a twin in flight, and raises
    IdempotencyInProgress if the twin takes longer than the database's lock time-out.
    """
    old = IdempotencyKey.objects.filter(
        user_id=user_id, key_sha256=key.sha256, created_at__lte=Now() - KEPT
    )
    old.delete()
    try:
        with transaction.atomic():
            IdempotencyKey.objects.create(
                user_id=user_id, key_sha256=key.sha256, fingerprint=key.fingerprint
            )
        return True
    except OperationalError as error:
        if is_lock_timeout(error):
            raise IdempotencyInProgress from None
        raise
    except IntegrityError:
        return False


class KeptAnswer(NamedTuple):
    """The answer to the first request with a key: whether it made a booking, and its body."""

    created: bool
    body: str


def kept_answer(user_id: int, key: Key) -> KeptAnswer | None:
    """Return the answer to the first request with this key, if it has ended.

    Raises IdempotencyKeyReused.
    """
    fresh = IdempotencyKey.objects.filter(created_at__gt=Now() - KEPT, status__gt=0)
    row = fresh.filter(user_id=user_id, key_sha256=key.sha256).first()
    if row is None:
        return None
    if row.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    return KeptAnswer(row.status == CREATED, row.body)


def keep(user_id: int, key: Key, created: bool, body: str) -> None:
    """Keep the answer to a request that succeeded, in the transaction that claimed its key."""
    row = IdempotencyKey.objects.filter(user_id=user_id, key_sha256=key.sha256)
    row.update(status=CREATED if created else OK, body=body)


def purge() -> int:
    """Delete the keys older than a day; they no longer count, purged or not."""
    return IdempotencyKey.objects.filter(created_at__lte=Now() - KEPT).delete()[0]
