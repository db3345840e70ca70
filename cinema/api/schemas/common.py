"""What goes in, strictly, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.conf import settings
from django.db.models import QuerySet
from ninja import Field, Schema
from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cinema.api.fields import (
    NO_NUL,
    Email,
    Name,
    Password,
    SeatNumber,
    StatusName,
    Token,
    Username,
    WholeNumber,
)
from cinema.api.schemas import examples
from cinema.sales.snapshots import PAGE

Row = TypeVar("Row")


class Input(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Nothing(Input):
    """No body, or {}."""


class SignUp(Input):
    username: Username
    email: Email
    password: Password
    password_confirm: Password
    first_name: Name = ""
    last_name: Name = ""
    model_config = ConfigDict(json_schema_extra={"example": examples.SIGN_UP})

    @field_validator("password_confirm")
    @classmethod
    def same(cls, repeated: str, info: ValidationInfo) -> str:
        if repeated != info.data.get("password", repeated):
            raise ValueError("must repeat the password")
        return repeated


class LogIn(Input):
    username: Annotated[str, StringConstraints(max_length=150), NO_NUL]
    password: Annotated[str, StringConstraints(max_length=128), NO_NUL]
    model_config = ConfigDict(
        json_schema_extra={"example": {"username": "testuser", "password": "testpass123"}}
    )


class Refresh(Input):
    refresh: Token
    model_config = ConfigDict(
        json_schema_extra={"example": {"refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…"}}
    )


class ResetRequest(Input):
    email: Email
    model_config = ConfigDict(json_schema_extra={"example": {"email": "test@example.com"}})


class ResetConfirm(Input):
    token: Token
    new_password: Password
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"token": "1.d1x2k3-0f4e…", "new_password": "a new and longer one"}
        }
    )


def _any_of_them(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        del field["default"]  # what is left out stays as it is
    schema["example"] = {"first_name": "Tess"}


class Profile(Input):
    email: Email = ""
    first_name: Name = ""
    last_name: Name = ""
    model_config = ConfigDict(json_schema_extra=_any_of_them)


class NewPassword(Input):
    old_password: Annotated[str, StringConstraints(max_length=128), NO_NUL]
    new_password: Password
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"old_password": "testpass123", "new_password": "a new and longer one"}
        }
    )


def _one_or_several(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)
    schema["oneOf"] = [{"required": ["seat_number"]}, {"required": ["seat_numbers"]}]
    schema["example"] = {"seat_number": 5}


class Seats(Input):
    """One seat as `seat_number`, or several, all or none, as `seat_numbers`."""

    seat_number: SeatNumber = None  # type: ignore[assignment] # left out, never null
    seat_numbers: Annotated[
        list[SeatNumber],
        Field(
            min_length=1,
            max_length=settings.MAX_SEATS_PER_BOOKING,
            json_schema_extra={"uniqueItems": True},
        ),
    ] = None  # type: ignore[assignment]
    model_config = ConfigDict(json_schema_extra=_one_or_several)

    @model_validator(mode="after")
    def one_way(self) -> Seats:
        if (self.seat_number is None) == (self.seat_numbers is None):
            raise ValueError("send either seat_number or seat_numbers")
        if self.seat_numbers and len(set(self.seat_numbers)) < len(self.seat_numbers):
            raise ValueError("seat_numbers must not name a seat twice")
        return self

    @property
    def wanted(self) -> list[int]:
        return self.seat_numbers or [self.seat_number]


class Page(Schema):
    limit: WholeNumber = Field(PAGE, ge=1, le=100)
    offset: WholeNumber = Field(0, ge=0, le=1_000_000)

    def cut(
        self, rows: QuerySet[Any, Row], read: Callable[[QuerySet[Any, Row]], list[Any]]
    ) -> dict[str, Any]:
        """Return this page of the rows, as `read` turns them into items."""
        return self.fill(read(rows[self.offset : self.offset + self.limit]), rows.count)

    def fill(self, items: list[Any], count: Callable[[], int]) -> dict[str, Any]:
        """Return a page of these items. They are counted only where it does not show how many."""
        is_last = len(items) < self.limit and (items or not self.offset)
        return {"items": items, "count": self.offset + len(items) if is_last else count()}


FIRST_PAGE = Page(limit=PAGE, offset=0)


class TokensOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.TOKENS})

    access: str
    refresh: str


class UserOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.USER})

    id: int
    username: str
    email: str
    first_name: str
    last_name: str


class MovieOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.MOVIE})

    id: int
    title: str
    duration_minutes: int
    created_at: datetime
    updated_at: datetime


class ShowInBooking(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.SHOW_IN_BOOKING})

    id: int
    movie_id: int
    movie_title: str
    screen_name: str
    date_time: datetime = Field(description="When it starts, with offset.")
    ends_at: datetime
    total_seats: int
    cancelled: bool


class ShowOut(ShowInBooking):
    model_config = ConfigDict(json_schema_extra={"example": examples.SHOW})

    available_seats: int


class SeatMapOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.SEAT_MAP})

    show_id: int
    total_seats: int
    available_seats: int
    taken: list[int] = Field(description="Seat numbers that are booked or held, sorted.")


class BookingOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.BOOKING})

    id: int
    reference: str
    show: ShowInBooking
    seat_number: int = Field(description="The first of seat_numbers.")
    seat_numbers: list[int]
    status: StatusName
    expires_at: datetime | None
    expires_in_seconds: int | None
    created_at: datetime
    updated_at: datetime


class MoviePage(Schema):
    model_config = ConfigDict(
        json_schema_extra={"example": {"items": [examples.MOVIE], "count": 1}}
    )

    items: list[MovieOut]
    count: int


class ShowPage(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"items": [examples.SHOW], "count": 1}})

    items: list[ShowOut]
    count: int


class BookingPage(Schema):
    model_config = ConfigDict(
        json_schema_extra={"example": {"items": [examples.BOOKING], "count": 1}}
    )

    items: list[BookingOut]
    count: int


class FieldProblem(Schema):
    field: str
    message: str


class Problem(Schema):
    """A refusal (RFC 9457): `detail` is for people, `code` is stable and for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] = Field(
        [], description="With code invalid: what is wrong, field by field."
    )
    seats: list[int] = Field(
        [], description="With seat_taken, seat_contended, seat_out_of_range: which."
    )
    booking_id: int | None = Field(
        None, description="With hold_limit, and seat_taken by one's own hold: that hold."
    )
