"""A mark in Redis that a login of this customer has ended.

While their access tokens live, no mark of a taken seat answers in the database's place: the
database must be asked, which refuses the token.
"""

from django.conf import settings

from cinema.infra import redis


def mark_key(user_id: int) -> str:
    return f"login-ended:{user_id}"


def mark(user_id: int) -> None:
    lifetime = settings.NINJA_JWT["ACCESS_TOKEN_LIFETIME"]
    redis.ask("SET", mark_key(user_id), 1, "EX", int(lifetime.total_seconds()))
