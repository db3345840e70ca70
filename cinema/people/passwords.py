"""Passwords: changed by who knows the old one, or by a mail to who has forgotten it."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils.http import base36_to_int, int_to_base36

from cinema.errors import Invalid, TokenInvalid
from cinema.infra import logs
from cinema.people.models import PasswordReset, User


def change_password(user: User, old: str, new: str) -> None:
    """Set a new password, which ends every login of the customer, this one too. Raises Invalid."""
    if not user.check_password(old):
        raise Invalid(errors=[{"field": "old_password", "message": "This is not your password."}])
    require_strong(new, user, field="new_password")
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
    """Return a token that is good for an hour and for one change.

    It is signed over the old password's hash, and stored nowhere.
    """
    return f"{int_to_base36(user.pk)}.{default_token_generator.make_token(user)}"


def reset_password(token: str, new: str) -> None:
    """Set a new password, which ends every login of the customer.

    Raises TokenInvalid for a token that is wrong, used or older than an hour.
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
    require_strong(new, user, field="new_password")
    if not _replace_password(user, new):
        raise TokenInvalid("This reset token has just been used.")


def require_strong(password: str, user: User, field: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            errors=[{"field": field, "message": message} for message in error.messages]
        ) from None


def _replace_password(user: User, new: str) -> bool:
    """A compare-and-set on the old hash: of two changes at once, one wins. Ends all logins."""
    with transaction.atomic():
        changed = User.objects.filter(pk=user.pk, password=user.password).update(
            password=make_password(new)
        )
        if changed:
            user.logins.revoke()
    return bool(changed)
