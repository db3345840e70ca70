"""Seats to sell as they go in, bookings as they come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.conf import settings
from ninja import Field, Schema
from pydantic import ConfigDict, model_validator

from cinema.api.fields import SeatNumber, StatusName
from cinema.api.schemas import examples
from cinema.api.schemas.bodies import Input
from cinema.api.schemas.movies import ShowInBooking


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


class BookingPage(Schema):
    model_config = ConfigDict(
        json_schema_extra={"example": {"items": [examples.BOOKING], "count": 1}}
    )

    items: list[BookingOut]
    count: int
