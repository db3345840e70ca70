"""Selling seats: hold, book, confirm, cancel, and one's own bookings."""

from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic.config import JsonDict

from cinema.api.auth import CallerRequest, CustomerRequest, caller, customer
from cinema.api.errors import refuses
from cinema.api.fields import Flag, Id, StatusName
from cinema.api.responses import json_response, outcome_response
from cinema.api.schemas.bodies import Input, Nothing
from cinema.api.schemas.bookings import BookingOut, BookingPage, Seats
from cinema.api.schemas.pages import FIRST_PAGE, Page
from cinema.errors import (
    BadIdempotencyKey,
    BookingClosed,
    HoldExpired,
    HoldLimit,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    SeatContended,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    Throttled,
)
from cinema.sales import bookings, snapshots
from cinema.sales.idempotency import Key, key_from

router = Router(tags=["Bookings"])

KEYED = (BadIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused, NotFound, ShowStarted)
SALE = (*KEYED, SeatTaken, SeatContended, ShowCancelled, SeatOutOfRange, Throttled)
NOTHING = Nothing()
KEY_HEADER: JsonDict = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
    "description": "Makes a repeat safe: for 24 hours the same key with the same request gets "
    "the first answer again.",
}


@router.post(
    "/shows/{int:show_id}/book/",
    auth=caller,
    response={201: BookingOut},
    summary="Book seats",
    openapi_extra=refuses(*SALE, body=True, auth=True, parameters=[KEY_HEADER]),
)
def book(request: CallerRequest, show_id: Id, body: Seats) -> HttpResponse:
    """In one step, all the seats or none."""
    return outcome_response(
        bookings.book(request.auth, show_id, body.wanted, _read_key(request, body))
    )


@router.post(
    "/shows/{int:show_id}/hold/",
    auth=caller,
    response={201: BookingOut, 200: BookingOut},
    summary="Hold seats",
    openapi_extra=refuses(HoldLimit, *SALE, body=True, auth=True, parameters=[KEY_HEADER]),
)
def hold(request: CallerRequest, show_id: Id, body: Seats) -> HttpResponse:
    """Kept for you until `expires_at`. The same seats again: 200, the same hold, its expiry
    unchanged.
    """
    return outcome_response(
        bookings.hold(request.auth, show_id, body.wanted, _read_key(request, body))
    )


@router.post(
    "/bookings/{int:booking_id}/confirm/",
    auth=caller,
    response=BookingOut,
    summary="Confirm a hold",
    openapi_extra=refuses(
        HoldExpired,
        BookingClosed,
        SeatContended,
        ShowCancelled,
        *KEYED,
        body=True,
        auth=True,
        parameters=[KEY_HEADER],
    ),
)
def confirm(request: CallerRequest, booking_id: Id, body: Nothing = NOTHING) -> HttpResponse:
    """Takes no body. Of a booked one: the same answer again."""
    return outcome_response(bookings.confirm(request.auth, booking_id, _read_key(request, body)))


@router.post(
    "/bookings/{int:booking_id}/cancel/",
    auth=caller,
    response=BookingOut,
    summary="Cancel a booking or a hold",
    openapi_extra=refuses(
        HoldExpired, SeatContended, *KEYED, body=True, auth=True, parameters=[KEY_HEADER]
    ),
)
def cancel(request: CallerRequest, booking_id: Id, body: Nothing = NOTHING) -> HttpResponse:
    """Takes no body. The seats are free at once. Of a cancelled one: the same answer again."""
    return outcome_response(bookings.cancel(request.auth, booking_id, _read_key(request, body)))


@router.get(
    "/my-bookings/",
    auth=customer,
    response=BookingPage,
    summary="Your bookings",
    openapi_extra=refuses(Invalid, auth=True),
)
def my_bookings(
    request: CustomerRequest,
    page: Query[Page],
    status: StatusName | None = None,
    upcoming: Flag | None = None,
) -> HttpResponse:
    """Newest first. A hold that ran out reads as expired."""
    rows = snapshots.booking_rows().filter(user=request.auth)
    if page == FIRST_PAGE and status is None and upcoming is None:  # what everybody asks
        return json_response(page.fill(snapshots.newest_bookings(request.auth.pk), rows.count))
    if status:
        rows = rows.with_status(status)
    if upcoming is not None:
        is_coming = Q(show__date_time__gt=Now())
        rows = rows.filter(is_coming if upcoming else ~is_coming)
    return json_response(page.cut(rows.order_by("-id"), snapshots.bookings))


@router.get(
    "/bookings/{int:booking_id}/",
    auth=customer,
    response=BookingOut,
    summary="One booking",
    openapi_extra=refuses(NotFound, auth=True),
)
def get_booking(request: CustomerRequest, booking_id: Id) -> HttpResponse:
    """Your own; another customer's is as if it did not exist."""
    found = snapshots.bookings(snapshots.booking_rows().filter(user=request.auth, pk=booking_id))
    if not found:
        raise NotFound
    return json_response(found[0])


def _read_key(request: HttpRequest, body: Input) -> Key | None:
    if (header := request.META.get("HTTP_IDEMPOTENCY_KEY")) is None:
        return None
    return key_from(header, request.method or "", request.path, body.model_dump(exclude_unset=True))
