"""Which answers of a mail server are permanent, and how an answer is kept for staff."""

from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPResponseException, SMTPSenderRefused

# 5xx, but about our settings: no customer's mail is refused for good by these.
ABOUT_OUR_LOGIN = {530, 534, 535, 538}


def is_permanent(error: Exception) -> bool:
    """Return whether it is a 5xx for this recipient or this message.

    What the server has against us is temporary, and so is the rest.
    """
    if not isinstance(error, SMTPRecipientsRefused | SMTPDataError | SMTPSenderRefused):
        return False
    return all(500 <= code < 600 and code not in ABOUT_OUR_LOGIN for code in _codes(error))


def describe(error: Exception) -> str:
    """Return class and code alone: the server's own words may hold an address."""
    return " ".join([type(error).__name__, *map(str, _codes(error))])


def _codes(error: Exception) -> list[int]:
    if isinstance(error, SMTPRecipientsRefused):
        return sorted({code for code, _ in error.recipients.values()})
    if isinstance(error, SMTPResponseException):
        return [error.smtp_code]
    if isinstance(error, OSError) and error.errno:
        return [error.errno]
    return []
