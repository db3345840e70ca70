"""A refusal, as it comes out."""

from __future__ import annotations

from ninja import Field, Schema


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
