"""The mail backend of a machine without a mail server: each mail is one `.eml` file.

Its name is the mail's Message-ID.

Django's own file backend appends, and forked workers share its file name, so two mails can end in
one file. Here a second copy of a mail overwrites the first, and nobody ever reads half a mail.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    def __init__(
        self, file_path: str | None = None, fail_silently: bool = False, **_: object
    ) -> None:
        super().__init__(fail_silently)
        self.folder = Path(file_path or settings.EMAIL_FILE_PATH)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        return sum(self._write(message) for message in email_messages if message.recipients())

    def _write(self, message: EmailMessage) -> bool:
        mail = message.message()
        try:
            write_whole(self.folder / file_name(mail["Message-ID"]), mail.as_bytes())
        except OSError:
            if not self.fail_silently:
                raise
            return False
        return True


def file_name(message_id: str) -> str:
    """Return the id without its brackets; a hash where that is no name for a file."""
    plain = message_id.strip().removeprefix("<").removesuffix(">")
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}", plain):
        return f"{plain}.eml"
    safe = re.sub(r"[^A-Za-z0-9_@+-]", "_", plain)[:100]
    return f"{safe}-{hashlib.sha256(plain.encode()).hexdigest()[:16]}.eml"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, for its owner's eyes: it may hold a token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".draft-", delete=False) as draft:
        try:
            draft.write(content)
            draft.close()
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink()
            raise
