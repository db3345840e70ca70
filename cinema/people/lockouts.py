"""Lock-outs: too many wrong passwords lock a username for the address they came from.

The tables and the way in are django-axes's; the counting is ours. Its own lets a guess in that is
being hashed while others reach the limit, and keeps what was posted and which program asked.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from axes.backends import AxesBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from cinema.errors import Throttled
from cinema.people.models import User

LONGEST_NAME = 150  # NFKC makes some names longer than the column


class Backend(AxesBackend):  # type: ignore[misc]
    """Django's own, asked while the pair of username and address is not locked."""

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None
    ) -> Any:
        """Raises PermissionDenied for a locked pair. Without a request it is a shell or a test."""
        if request is None or not settings.AXES_ENABLED:
            return ModelBackend.authenticate(self, request, username, password)
        super().authenticate(request, username, password)  # a locked pair costs no hash
        user = ModelBackend.authenticate(self, request, username, password)
        if user is not None:
            # guesses beside this one may have locked it meanwhile
            super().authenticate(request, username, password)
            _pair(request, username).delete()
        return user


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        row = _pair(request, (credentials or {}).get("username")).exclude(_is_over()).first()
        return row.failures_since_start if row else 0

    def user_login_failed(
        self, _: Any, credentials: dict[str, Any], request: Any = None, **__: object
    ) -> None:
        """Count a failure.

        Of many at once, as many as the limit allows are answered that they were wrong; the others,
        that it is locked.
        """
        if request is None:
            return
        request.axes_credentials = credentials
        if not request.axes_locked_out:
            request.axes_locked_out = not _count_failure(request, credentials["username"])

    def user_logged_in(self, *_: object, **__: object) -> None: ...

    def user_logged_out(self, *_: object, **__: object) -> None: ...


def require_open(request: HttpRequest | None) -> None:
    """Raise Throttled if the login that failed was refused for its lock, right password or not."""
    if not getattr(request, "axes_locked_out", False):
        return
    attempt = _pair(request, request.axes_credentials["username"]).first()  # type: ignore[union-attr]
    until = locked_until(attempt) if attempt else None
    # staff have cleared it just now
    seconds = ceil((until - timezone.now()).total_seconds()) if until else 1
    wait = f"{ceil(seconds / 60)} minutes" if seconds > 60 else "a minute"
    raise Throttled(
        f"Too many wrong passwords for this username. Wait {wait}, then try again.",
        retry_after=seconds,
    )


def locked_until(attempt: AccessAttempt) -> datetime | None:
    """Return the end of a lock by this machine's clock, for display; None if it is not locked."""
    end: datetime = attempt.attempt_time + _cool_off()
    reached = attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT
    return end if reached and end > timezone.now() else None


def purge() -> int:
    """Delete the counts that no longer count."""
    return int(AccessAttempt.objects.filter(_is_over()).delete()[0])


def _pair_fields(request: Any, username: str | None) -> dict[str, str]:
    """One row for each username and address, whatever program the guesses come by."""
    name = User.normalize_username(username or "")[:LONGEST_NAME]
    return {"username": name, "ip_address": request.axes_ip_address, "user_agent": ""}


def _pair(request: Any, username: str | None) -> QuerySet[AccessAttempt]:
    rows: QuerySet[AccessAttempt] = AccessAttempt.objects.filter(**_pair_fields(request, username))
    return rows


def _count_failure(request: Any, username: str | None) -> bool:
    """Count one more failure, in one statement; False if the limit was reached without it."""
    pair = _pair(request, username)
    if _count_in(pair):
        return True
    AccessAttempt.objects.get_or_create(
        **_pair_fields(request, username), defaults={"failures_since_start": 0}
    )
    return _count_in(pair)


def _count_in(pair: QuerySet[AccessAttempt]) -> bool:
    failures = Case(When(_is_over(), then=1), default=F("failures_since_start") + 1)
    open_ = pair.filter(_is_over() | Q(failures_since_start__lt=settings.AXES_FAILURE_LIMIT))
    # the time stands last: MariaDB reads what the columns before it have just been set to
    return bool(open_.update(failures_since_start=failures, attempt_time=Now()))


def _is_over() -> Q:
    """Select what is so long after the last failure that it starts again from one."""
    return Q(attempt_time__lte=Now() - _cool_off())


def _cool_off() -> timedelta:
    span: timedelta = settings.AXES_COOLOFF_TIME
    return span
