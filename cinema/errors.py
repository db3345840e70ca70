"""Every refusal of Marquee, on one screen.

An exception is named for the refusal; `code` is stable and documented.

Refusal
├── 400  BadJson · BadIdempotencyKey · BadRequest
├── 401  NotAuthenticated · TokenInvalid · TokenExpired · BadCredentials
├── 404  NotFound                 (also for what belongs to another customer)
├── 405  MethodNotAllowed · 413 BodyTooLarge · 415 UnsupportedMediaType
├── 409  SeatTaken · SeatContended · ShowStarted · ShowCancelled · BookingClosed · HoldLimit
│        UsernameTaken · EmailTaken · IdempotencyInProgress
├── 410  HoldExpired
├── 422  Invalid · SeatOutOfRange · IdempotencyKeyReused
├── 429  Throttled · 503 Unavailable   (both, and SeatContended, with retry_after in seconds)
└── 500  Defect                   (ours, never the caller's input)
"""

from typing import Any, ClassVar, Self


class Refusal(Exception):
    """A sentence for a person (`detail`), a stable `code`, and members for programs (`extra`)."""

    status: ClassVar[int]
    code: ClassVar[str]
    detail: str
    retry_after: int | None = None

    def __init__(self, detail: str = "", *, retry_after: int | None = None, **extra: Any) -> None:
        self.detail = detail or self.detail
        self.retry_after = retry_after or self.retry_after
        self.extra = extra
        super().__init__(self.detail)


class BadJson(Refusal):
    status, code = 400, "bad_json"
    detail = "The body is not valid JSON in UTF-8. Send one JSON object."


class BadRequest(Refusal):
    status, code = 400, "bad_request"
    detail = "The request itself is malformed: check its address, its Host and its other headers."


class BadIdempotencyKey(Refusal):
    status, code = 400, "bad_idempotency_key"
    detail = "Idempotency-Key must be 1 to 255 printable ASCII characters. A UUID is a good key."


class NotAuthenticated(Refusal):
    status, code = 401, "not_authenticated"
    detail = (
        "This call needs an access token. Log in and send it as 'Authorization: Bearer <access>'."
    )


class TokenInvalid(Refusal):
    status, code = 401, "token_invalid"
    detail = "This token is not valid, or its login has ended. Log in again."


class TokenExpired(Refusal):
    status, code = 401, "token_expired"
    detail = "This token has expired. Refresh it, or log in again."


class BadCredentials(Refusal):
    status, code = 401, "bad_credentials"
    detail = "Username or password is wrong."


class NotFound(Refusal):
    status, code = 404, "not_found"
    detail = "There is nothing at this address, or it is not yours."


class MethodNotAllowed(Refusal):
    status, code = 405, "method_not_allowed"
    detail = "This address does not answer to this method. The Allow header names those it does."


class BodyTooLarge(Refusal):
    status, code = 413, "body_too_large"
    detail = "The body is larger than 64 KiB."


class UnsupportedMediaType(Refusal):
    status, code = 415, "unsupported_media_type"
    detail = "Send the body as JSON, with 'Content-Type: application/json'."


class SeatTaken(Refusal):
    status, code = 409, "seat_taken"
    detail = "A seat you asked for is taken. Choose another."

    sold: list[int]  # of these, the seats that are booked: no clock gives them back

    def __init__(self, detail: str = "", *, sold: list[int] | None = None, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.sold = sold or []

    @classmethod
    def of(cls, seats: list[int], sold: list[int] | None = None) -> Self:
        return cls(
            f"Taken: {', '.join(map(str, seats))}. Choose other seats.", sold=sold, seats=seats
        )


class SeatContended(Refusal):
    status, code = 409, "seat_contended"
    detail = "Somebody else is trying for the same seat at this moment. Try again in a second."
    retry_after = 1


class ShowStarted(Refusal):
    status, code = 409, "show_started"
    detail = "The show has started, so its bookings can no longer be changed."


class ShowCancelled(Refusal):
    status, code = 409, "show_cancelled"
    detail = "The show is cancelled, so nothing is sold for it."


class BookingClosed(Refusal):
    status, code = 409, "booking_closed"
    detail = "This booking is cancelled and cannot be confirmed. Book again."


class HoldLimit(Refusal):
    status, code = 409, "hold_limit"
    detail = "You already hold other seats of this show. Confirm or cancel that hold first."


class UsernameTaken(Refusal):
    status, code = 409, "username_taken"
    detail = "This username belongs to somebody else. Choose another."


class EmailTaken(Refusal):
    status, code = 409, "email_taken"
    detail = "This e-mail address already has an account. Log in, or reset its password."


class IdempotencyInProgress(Refusal):
    status, code = 409, "idempotency_in_progress"
    detail = (
        "The first request with this Idempotency-Key is still under way. Repeat it in a second."
    )
    retry_after = 1


class HoldExpired(Refusal):
    status, code = 410, "hold_expired"
    detail = "This hold has run out. Hold or book the seats again."


class Invalid(Refusal):
    """`errors` says it field by field: [{"field": …, "message": …}]."""

    status, code = 422, "invalid"
    detail = "The request has values that are not valid; 'errors' names each."


class SeatOutOfRange(Refusal):
    status, code = 422, "seat_out_of_range"
    detail = "The show has no such seat."

    @classmethod
    def of(cls, seats: list[int], total_seats: int) -> Self:
        return cls(f"This show has the seats 1 to {total_seats}.", seats=seats)


class IdempotencyKeyReused(Refusal):
    status, code = 422, "idempotency_key_reused"
    detail = "This Idempotency-Key was used for another request. Send a new key with a new request."


class Throttled(Refusal):
    status, code = 429, "throttled"
    detail = "Too many calls in a short time. Wait, then try again."
    retry_after = 60


class Unavailable(Refusal):
    status, code = 503, "unavailable"
    detail = (
        "The service cannot answer now. Nothing was changed by halves; try again in some seconds."
    )
    retry_after = 2


class Defect(Refusal):
    status, code = 500, "defect"
    detail = "Something broke on our side. Tell us the request_id, and we will find it."
