"""Tables of who: customers and staff, their logins and the mails for a forgotten password."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import Any, ClassVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models.functions import Now

from cinema.infra.outbox import OwedMail
from cinema.people import ended_logins

WALK_IN = "walk-in"


def is_walk_in(relation: str = "") -> models.Q:
    """Return the condition that a user, or the one at the end of `relation`, is the walk-in."""
    return models.Q(**{f"{relation}__username" if relation else "username": WALK_IN})


class Customers(UserManager["User"]):
    """Accounts by their canonical names, so that two spellings are never two accounts."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return unicodedata.normalize("NFKC", email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return super().get_by_natural_key(User.normalize_username(username or ""))

    def walk_in(self) -> User:
        """Return the one account of customers without an account.

        Its bookings owe no mail, and nobody can log in as it.
        """
        nobody = {"password": make_password(None)}
        return self.get_or_create(username=WALK_IN, defaults=nobody)[0]


class User(AbstractUser):
    username = models.CharField(
        max_length=150,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[a-z0-9_.@+-]{1,150}\Z", "Use letters a-z, digits and _ . @ + - only."
            )
        ],
        help_text="1 to 150 of a-z, 0-9 and _ . @ + -; capitals become small letters.",
        error_messages={"unique": "This username belongs to somebody else."},
    )
    email = models.EmailField(
        max_length=254,
        unique=True,
        error_messages={"unique": "This e-mail address already has an account."},
    )

    objects: ClassVar[Customers] = Customers()
    _password: str | None  # Django's: the raw one, from set_password until it is saved

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                name="walk_in_is_nobody",
                condition=~models.Q(username=WALK_IN)
                | models.Q(
                    email="",
                    # none at all: what Django calls unusable
                    password__startswith="!",  # noqa: S106
                    is_active=True,
                    is_staff=False,
                    is_superuser=False,
                ),
                violation_error_message="The walk-in account has no address, no password and no rights.",
            )
        ]

    @property
    def is_walk_in(self) -> bool:
        return self.username == WALK_IN

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the canonical name. What is no text, as a form may hold, comes back as it is."""
        name = super().normalize_username(username)
        return name.casefold() if isinstance(name, str) else name

    def clean(self) -> None:
        self.username = self.normalize_username(self.username)
        self.email = Customers.normalize_email(self.email)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new password or a deactivation ends every login, also when staff do it in the admin."""
        self.clean()
        with transaction.atomic():
            changed = self._password is not None or not self.has_usable_password()
            ends_logins = self.pk and (changed or not self.is_active)
            super().save(*args, **kwargs)
            if ends_logins:
                self.logins.revoke()


class LoginQuerySet(models.QuerySet["AuthSession"]):
    def live(self) -> LoginQuerySet:
        return self.filter(revoked_at=None, expires_at__gt=Now(), user__is_active=True)

    def revoke(self) -> int:
        """End these logins, and return how many.

        From then on their customers are refused by the database alone, not by a mark.
        """
        users = set(self.filter(revoked_at=None).values_list("user", flat=True))
        ended = self.filter(revoked_at=None).update(revoked_at=Now())
        for user in users:
            # No network call inside the transaction.
            transaction.on_commit(partial(ended_logins.mark, user))
        return ended

    def ended(self) -> LoginQuerySet:
        return self.filter(models.Q(revoked_at__isnull=False) | models.Q(expires_at__lte=Now()))


class AuthSession(models.Model):
    """One login: its id is the `sid` claim of its tokens.

    Only its current refresh token can be used.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="logins")
    refresh_jti = models.CharField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = LoginQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Login {self.pk}"


class PasswordReset(OwedMail):
    """One mail with a link for a forgotten password.

    The link's token is made when the mail is, and never stored.
    """

    mail_kind = "reset"

    user = models.ForeignKey(User, models.CASCADE, related_name="password_resets")
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Password reset {self.pk}"
