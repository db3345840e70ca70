"""Accounts and logins: a login is one AuthSession, and it can be ended.

Every authenticated call requires a live session of an active user. Refreshing is a compare-and-set
on the refresh token's jti, so of two twins one wins; a spent token that comes again may be stolen,
and ends the login.
"""

import time
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.http import base36_to_int, int_to_base36

from cinema.errors import BadCredentials, EmailTaken, Invalid, TokenInvalid, UsernameTaken
from cinema.infra import logs
from cinema.people import lockouts, tokens
from cinema.people.models import AuthSession, PasswordReset, User

Tokens = dict[str, str]
SEEN_SECONDS, MOST_SEEN = 1.0, 10_000
RESET_KEPT = timedelta(days=1)
LIFETIME = settings.NINJA_JWT["REFRESH_TOKEN_LIFETIME"]


class Caller(NamedTuple):
    """Who asks: from a verified token, or staff in the admin, who have no session of ours and may
    act for others.

    Staff who sell at the counter set `customer_id`: the booking is the customer's, and its event
    names the clerk.
    """

    user_id: int
    session_id: int | None = None
    staff: bool = False
    customer_id: int | None = None

    @property
    def owner_id(self) -> int:
        """Whose booking a sale becomes."""
        return self.user_id if self.customer_id is None else self.customer_id


_seen: dict[Caller, float] = {}


def require_live(caller: Caller) -> None:
    """Raise TokenInvalid if the login was ended or the user deactivated since the token was signed."""
    if caller.session_id is None:
        live = User.objects.filter(pk=caller.user_id, is_active=True).exists()
    else:
        live = AuthSession.objects.live().filter(pk=caller.session_id, user=caller.user_id).exists()
    if not live:
        raise TokenInvalid
    saw_live(caller)


def require_customer(caller: Caller) -> None:
    """Raise Invalid if a clerk sells to a customer who does not exist or is deactivated."""
    if caller.customer_id is None:
        return
    active = User.objects.filter(pk=caller.customer_id).values_list("is_active", flat=True).first()
    if not active:
        told = (
            "There is no such customer."
            if active is None
            else "This customer's account is deactivated."
        )
        raise Invalid(f"{told} Nothing was sold.", errors=[{"field": "customer", "message": told}])


def saw_live(caller: Caller) -> None:
    """The database has just confirmed this login."""
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    _seen[caller] = time.monotonic()


def was_live(caller: Caller) -> bool:
    """Confirmed within a second: then a refusal may be told without asking again. Nothing is ever
    sold by this.
    """
    return time.monotonic() - _seen.get(caller, -SEEN_SECONDS) < SEEN_SECONDS


def customer_of(claims: tokens.Claims) -> User:
    """The token's user, loaded in the one query that also asks for the live session. Raises
    TokenInvalid.
    """
    login = (
        AuthSession.objects.live()
        .select_related("user")
        .filter(pk=claims.session_id, user=claims.user_id)
        .first()
    )
    if login is None:
        raise TokenInvalid
    return login.user


def sign_up(
    username: str, email: str, password: str, first_name: str = "", last_name: str = ""
) -> User:
    """A new customer. Raises Invalid for a weak password, UsernameTaken and EmailTaken, decided by
    the database.
    """
    user = User(username=username, email=email, first_name=first_name, last_name=last_name)
    user.clean()
    if user.is_walk_in:
        raise UsernameTaken
    _require_strong(password, user, field="password")
    user.password = make_password(password)
    _save_unique(user)
    return user


def update_profile(user: User, changes: dict[str, str]) -> User:
    """Raises EmailTaken."""
    for field, value in changes.items():
        setattr(user, field, value)
    _save_unique(user, update_fields=list(changes))
    return user


def log_in(username: str, password: str, request: HttpRequest | None = None) -> Tokens:
    """A new login. Raises BadCredentials, the same and in the same time for an unknown user and a
    wrong password.

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
    """New tokens for an old refresh token, which is spent by that. Raises TokenExpired or
    TokenInvalid.
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
    """End the login of this refresh token; ended already is as good. Raises TokenExpired or
    TokenInvalid.
    """
    claims = tokens.read(raw, "refresh")
    _revoke(pk=claims.session_id, user=claims.user_id)


def change_password(user: User, old: str, new: str) -> None:
    """Ends every login of the customer, this one too. Raises Invalid."""
    if not user.check_password(old):
        raise Invalid(errors=[{"field": "old_password", "message": "This is not your password."}])
    _require_strong(new, user, field="new_password")
    if not _replace_password(user, new):
        raise Invalid(
            errors=[{"field": "old_password", "message": "The password was changed just now."}]
        )


def request_reset(email: str) -> None:
    """Owe a mail to this address if it is a customer's; the caller learns nothing either way."""
    user = User.objects.filter(email=User.objects.normalize_email(email), is_active=True).first()
    if user and user.email:
        PasswordReset.objects.create(user=user, mail_due_at=Now(), request_id=logs.request_id())


def reset_token(user: User) -> str:
    """Good for an hour and for one change: it is signed over the old password's hash, and stored
    nowhere.
    """
    return f"{int_to_base36(user.pk)}.{default_token_generator.make_token(user)}"


def reset_password(token: str, new: str) -> None:
    """Ends every login of the customer. Raises TokenInvalid for a token that is wrong, used or
    older than an hour.
    """
    number, _, rest = token.partition(".")
    try:
        user = User.objects.filter(pk=base36_to_int(number), is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or user.is_walk_in or not default_token_generator.check_token(user, rest):
        raise TokenInvalid(
            "This reset token is not valid: it was used, is older than an hour, or is mistyped."
        )
    _require_strong(new, user, field="new_password")
    if not _replace_password(user, new):
        raise TokenInvalid("This reset token has just been used.")


def purge_ended() -> int:
    """Delete what no longer counts: wrong passwords, mails for a forgotten one, and the logins that
    have ended.

    Answers how many logins that were; their tokens are refused with or without the row.
    """
    lockouts.purge()
    PasswordReset.objects.filter(at__lte=Now() - RESET_KEPT).delete()
    return AuthSession.objects.ended().delete()[0]


def _replace_password(user: User, new: str) -> bool:
    """A compare-and-set on the old hash: of two changes at once, one wins. Ends all logins."""
    with transaction.atomic():
        changed = User.objects.filter(pk=user.pk, password=user.password).update(
            password=make_password(new)
        )
        if changed:
            _revoke(user=user.pk)
    return bool(changed)


def _revoke(**which: Any) -> None:
    AuthSession.objects.filter(**which).revoke()


def _require_strong(password: str, user: User, field: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            errors=[{"field": field, "message": message} for message in error.messages]
        ) from None


def _save_unique(user: User, **how: Any) -> None:
    """Save, and read from the database which of the two unique names refused it."""
    try:
        with transaction.atomic():
            user.save(**how)
    except IntegrityError:
        others = User.objects.exclude(pk=user.pk)
        if others.filter(username=user.username).exists():
            raise UsernameTaken from None
        if others.filter(email=user.email).exists():
            raise EmailTaken from None
        raise
