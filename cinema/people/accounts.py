"""Accounts: made, and changed by their owners."""

from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction

from cinema.errors import EmailTaken, UsernameTaken
from cinema.people.models import User
from cinema.people.passwords import require_strong


def sign_up(
    username: str, email: str, password: str, first_name: str = "", last_name: str = ""
) -> User:
    """Make a customer.

    Raises Invalid for a weak password, UsernameTaken and EmailTaken, decided by the database.
    """
    user = User(username=username, email=email, first_name=first_name, last_name=last_name)
    user.clean()
    if user.is_walk_in:
        raise UsernameTaken
    require_strong(password, user, field="password")
    user.password = make_password(password)
    _save_unique(user)
    return user


def update_profile(user: User, changes: dict[str, str]) -> User:
    """Raises EmailTaken."""
    for field, value in changes.items():
        setattr(user, field, value)
    _save_unique(user, update_fields=list(changes))
    return user


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
