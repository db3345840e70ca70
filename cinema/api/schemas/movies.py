"""Films, shows and seat maps, as they come out."""

from __future__ import annotations

from datetime import datetime

from ninja import Field, Schema
from pydantic import ConfigDict

from cinema.api.schemas import examples


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
