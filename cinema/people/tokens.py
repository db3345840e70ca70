"""Signed tokens: the first of JWT_SIGNING_KEYS signs, and each verifies.

So rotating the keys logs nobody out.
"""

import time
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from django.conf import settings
from ninja_jwt.tokens import AccessToken, RefreshToken

from cinema.errors import TokenExpired, TokenInvalid

LARGEST_ID = 2**63 - 1
LONGEST_JTI = 32
# characters; ours have about 300, and a header deeper than this holds exhausts the JSON parser
LONGEST_TOKEN = 800
REMEMBERED = 10_000  # tokens a process; checking one again costs a hundred microseconds
JWT = settings.NINJA_JWT


class Claims(NamedTuple):
    user_id: int
    session_id: int
    jti: str
    exp: int


def sign(user_id: int, session_id: int, refresh_jti: str) -> dict[str, str]:
    """A login's access and refresh token."""
    access, refresh = AccessToken(), RefreshToken()
    refresh["jti"] = refresh_jti
    for token in (access, refresh):
        token["user_id"], token["sid"] = user_id, session_id
    return {"access": str(access), "refresh": str(refresh)}


def read(raw: str, kind: str) -> Claims:
    """The claims of an `access` or `refresh` token.

    Raises TokenExpired or TokenInvalid, the latter also for another kind and for odd claims under a
    right signature.
    """
    claims = _read_claims(raw, kind, tuple(settings.JWT_SIGNING_KEYS))
    if claims.exp <= time.time():
        raise TokenExpired
    return claims


# by the whole token; a refusal is not remembered, and expiry is asked at every hit
@lru_cache(REMEMBERED)
def _read_claims(raw: str, kind: str, keys: tuple[str, ...]) -> Claims:
    claims = _verify(raw, keys)
    ids, exp, jti = [claims.get("user_id"), claims.get("sid")], claims["exp"], claims["jti"]
    if claims.get("token_type") != kind or not all(
        type(id_) is int and 0 < id_ <= LARGEST_ID for id_ in ids
    ):
        raise TokenInvalid
    plain = isinstance(jti, str) and jti.isalnum() and jti.isascii() and len(jti) <= LONGEST_JTI
    if type(exp) is not int or not plain:
        raise TokenInvalid
    return Claims(claims["user_id"], claims["sid"], jti, exp)


def _verify(raw: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if len(raw) > LONGEST_TOKEN or not raw.isascii():
        raise TokenInvalid
    for key in keys:
        try:
            return jwt.decode(
                raw,
                key,
                algorithms=[JWT["ALGORITHM"]],
                audience=JWT["AUDIENCE"],
                issuer=JWT["ISSUER"],
                options={"require": ["exp", "iat", "jti", "aud", "iss"]},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            break
    raise TokenInvalid
