"""Signed tokens: the first of JWT_SIGNING_KEYS signs, every one of them verifies, so that rotating logs nobody out."""

from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from jwt import ExpiredSignatureError
from ninja_jwt.backends import TokenBackend
from ninja_jwt.exceptions import TokenBackendError, TokenError
from ninja_jwt.tokens import AccessToken, RefreshToken, Token

from cinema.errors import TokenExpired, TokenInvalid

LARGEST_ID = 2**63 - 1
LONGEST_TOKEN = 2048  # characters; ours have about 330
LOGIN_LIFETIME: timedelta = settings.NINJA_JWT["REFRESH_TOKEN_LIFETIME"]


class Claims(NamedTuple):
    user_id: int
    session_id: int
    jti: str
    exp: int


def sign(user_id: int, session_id: int, refresh_jti: str) -> tuple[str, str]:
    """A login's access and refresh token."""
    access, refresh = AccessToken(), RefreshToken()
    refresh["jti"] = refresh_jti
    for token in (access, refresh):
        token["user_id"], token["sid"] = user_id, session_id
    return str(access), str(refresh)


def read_access(raw: str) -> Claims:
    """The claims of an access token. Raises TokenExpired or TokenInvalid, also for odd claims under a right signature."""
    return _read(AccessToken, raw)


def read_refresh(raw: str) -> Claims:
    return _read(RefreshToken, raw)


def _read(kind: type[Token], raw: str) -> Claims:
    if len(raw) > LONGEST_TOKEN or not raw.isascii():
        raise TokenInvalid
    try:
        token = kind(_backend.decode_any(raw), verify=True)
    except TokenError as error:
        raise TokenInvalid from error
    claims = [token.get("user_id"), token.get("sid")]
    jti, exp = token.get("jti"), token.get("exp")
    if not all(type(claim) is int and 0 < claim <= LARGEST_ID for claim in claims) or not isinstance(jti, str):
        raise TokenInvalid
    return Claims(*claims, jti, exp)
