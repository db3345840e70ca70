"""The values that a call takes, as types: strict where pydantic would be lenient.

Each refuses with a sentence for people.
"""

from datetime import date
from typing import Annotated, Literal, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from ninja import Field, Path
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic.config import JsonDict

from cinema.people.models import User

LARGEST_ID = 2**63 - 1
LARGEST_SEAT = 2**31 - 1
Raw = TypeVar("Raw")  # a value as it came, before pydantic reads it


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain a NUL character")
    return text


def _canonical_username(name: str) -> str:
    name = User.normalize_username(name)
    try:
        for validate in User._meta.get_field("username").validators:
            validate(name)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    return name


def _canonical_email(email: str) -> str:
    email = User.objects.normalize_email(email)
    # two spellings of a domain may be two owners: no library of ours knows them all
    if not email.isascii():
        raise ValueError("must be written in ASCII, the domain as xn--…")
    try:
        validate_email(email)
    except ValidationError:
        raise ValueError("must be an e-mail address like name@example.com") from None
    if len(email) > 254:
        raise ValueError("must have at most 254 characters")
    return email


def _require_digits(value: Raw) -> Raw:
    """In a query, pydantic would take 1.0, 1_0 or digits of other scripts for a whole number."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError("must be a whole number")
    return value


def _iso_day(value: Raw) -> Raw:
    """In a query, pydantic would take a number for a date."""
    if not isinstance(value, str):
        return value
    if len(value) != 10 or not value[4] == value[7] == "-" or not value.isascii():
        raise ValueError("must be a day like 2026-12-24")
    return value


def _day_as_pattern(schema: JsonDict) -> None:
    """The document's vocabulary has no bounds for a date."""
    del schema["ge"], schema["le"]
    schema["pattern"] = "^(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$"


def _require_flag(value: Raw) -> Raw:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value


Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
NO_NUL = AfterValidator(_no_nul)
Name = Annotated[str, StringConstraints(max_length=150), NO_NUL]
Search = Annotated[str, StringConstraints(max_length=200), NO_NUL]  # as long as a title
Password = Annotated[str, StringConstraints(min_length=1, max_length=128), NO_NUL]
Username = Annotated[
    str,
    StringConstraints(min_length=1, max_length=150),
    NO_NUL,
    AfterValidator(_canonical_username),
]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    NO_NUL,
    AfterValidator(_canonical_email),
    Field(json_schema_extra={"format": "email"}),
]
Token = Annotated[str, StringConstraints(min_length=1, max_length=2048), NO_NUL]
SeatNumber = Annotated[int, Field(ge=1, le=LARGEST_SEAT)]
Day = Annotated[
    date,
    BeforeValidator(_iso_day),
    Field(ge=date(1900, 1, 1), le=date(2999, 12, 31), json_schema_extra=_day_as_pattern),
]
Flag = Annotated[bool, BeforeValidator(_require_flag)]
StatusName = Literal["pending", "booked", "cancelled", "expired"]
WholeNumber = Annotated[int, BeforeValidator(_require_digits)]
