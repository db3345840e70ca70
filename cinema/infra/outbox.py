"""What a row that owes a mail carries.

The row is the message: a broker may lose its tasks, the mail stays owed.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now


class OwedQuerySet(models.QuerySet[Any]):
    def owed(self) -> Self:
        return self.filter(mail_due_at__isnull=False)

    def due(self) -> Self:
        """Owed, and neither waiting for a retry nor leased by a worker."""
        return self.filter(mail_due_at__lte=Now())

    def failed(self) -> Self:
        return self.filter(mail_failed_at__isnull=False)


class OwedMail(models.Model):
    """A row that owes a mail while `mail_due_at` is set.

    That is the next try, or the end of the lease of the worker that tries.

    `mail_attempts` is the fencing number: a worker that was suspended past its lease finds it
    changed. `request_id` is the request that owed it, for the worker's log line; empty where no
    request did.
    """

    mail_kind: ClassVar[str]  # what tasks, metrics and log lines call it

    mail_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    mail_attempts = models.PositiveIntegerField(default=0, editable=False)
    mail_sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    mail_failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    mail_error = models.CharField(max_length=200, blank=True, editable=False)
    request_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )

    objects = OwedQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                name="%(class)s_owed",
                fields=["mail_due_at"],
                condition=models.Q(mail_due_at__isnull=False),
            ),
            models.Index(
                name="%(class)s_failed",
                fields=["mail_failed_at"],
                condition=models.Q(mail_failed_at__isnull=False),
            ),
        ]

    @property
    def mail_state(self) -> str:
        if self.mail_sent_at:
            return "sent"
        if self.mail_failed_at:
            return "failed"
        return "owed" if self.mail_due_at else "none"


def kinds() -> dict[str, type[OwedMail]]:
    """Return every table whose rows may owe a mail, by its kind, in the order of their packages."""
    return {table.mail_kind: table for table in OwedMail.__subclasses__()}
