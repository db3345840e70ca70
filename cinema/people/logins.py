"""Logins: each is one AuthSession, and it can be ended.

Refreshing is a compare-and-set on the refresh token's jti, so of two twins one wins; a spent token
that comes again may be stolen, and ends the login.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from cinema.errors import BadCredentials, TokenInvalid
from cinema.people import lockouts, tokens
from cinema.people.models import AuthSession, PasswordReset, User

Tokens = dict[str, str]
RESET_KEPT = timedelta(days=1)
LIFETIME = settings.NINJA_JWT["REFRESH_TOKEN_LIFETIME"]


def log_in(username: str, password: str, request: HttpRequest | None = None) -> Tokens:
    """Make a login.

    Raises BadCredentials, the same and in the same time for an unknown user and a wrong password.

    With the request that it came by, wrong passwords are counted, and Throttled is raised where
    they were too many.
    """
    user = authenticate(
        request=request, username=User.normalize_username(username), password=password
    )
    if user is None:
        lockouts.require_open(request)
        raise BadCredentials
    jti = uuid4().hex
    with transaction.atomic():
        # Without this row lock a login could slip in behind a password change that ends them all.
        same = User.objects.select_for_update().filter(
            pk=user.pk, password=user.password, is_active=True
        )
        if not same.update(last_login=Now()):
            raise BadCredentials
        login = AuthSession.objects.create(
            user_id=user.pk, refresh_jti=jti, expires_at=Now() + LIFETIME
        )
    return tokens.sign(user.pk, login.pk, jti)


def refresh(raw: str) -> Tokens:
    """Return new tokens for an old refresh token, which is spent by that.

    Raises TokenExpired and TokenInvalid.
    """
    claims, jti = tokens.read(raw, "refresh"), uuid4().hex
    if not AuthSession.objects.live().filter(pk=claims.session_id, user=claims.user_id).exists():
        raise TokenInvalid
    # No join in this statement: what it compares must be read again when a twin held the row.
    current = AuthSession.objects.filter(
        pk=claims.session_id, refresh_jti=claims.jti, revoked_at=None
    )
    if not current.update(refresh_jti=jti, expires_at=Now() + LIFETIME):
        _revoke(pk=claims.session_id)
        raise TokenInvalid
    return tokens.sign(claims.user_id, claims.session_id, jti)


def log_out(raw: str) -> None:
    """End the login of this refresh token, if it has not ended. Raises TokenExpired, TokenInvalid."""
    claims = tokens.read(raw, "refresh")
    _revoke(pk=claims.session_id, user=claims.user_id)


def purge_ended() -> int:
    """Delete wrong passwords, old mails for a forgotten one, and logins that have ended.

    Answers how many logins that were; their tokens are refused with or without the row.
    """
    lockouts.purge()
    PasswordReset.objects.filter(at__lte=Now() - RESET_KEPT).delete()
    return AuthSession.objects.ended().delete()[0]


def _revoke(**which: Any) -> None:
    AuthSession.objects.filter(**which).revoke()
