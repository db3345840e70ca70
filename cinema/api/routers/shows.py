"""What is on: one show, its seats as a map and as a picture. Public, as the films are."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.clickjacking import xframe_options_exempt
from ninja import Router
from pydantic.config import JsonDict

from cinema.api.errors import refuses
from cinema.api.fields import Id
from cinema.api.responses import if_changed, json_response
from cinema.api.schemas.movies import SeatMapOut, ShowOut
from cinema.errors import NotFound
from cinema.programme.models import Show
from cinema.seat_map import availability, picture
from cinema.seat_map.picture import Seat

router = Router(tags=["What is on"])

IF_NONE_MATCH: JsonDict = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "The ETag of the map you have: 304 if nothing changed since.",
}
SVG = "image/svg+xml"
DRAWN = refuses(NotFound, parameters=[IF_NONE_MATCH])
DRAWN["responses"][200] = {
    "description": "The picture",
    "content": {SVG: {"schema": {"type": "string"}}},
}
EMBEDDABLE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *"


@router.get(
    "/shows/{int:show_id}/", response=ShowOut, summary="One show", openapi_extra=refuses(NotFound)
)
def get_show(request: HttpRequest, show_id: Id) -> HttpResponse:
    return json_response(availability.one_show(show_id))


@router.get(
    "/shows/{int:show_id}/seats/",
    response={200: SeatMapOut, 304: None},
    summary="The seat map of a show",
    openapi_extra=refuses(NotFound, parameters=[IF_NONE_MATCH]),
)
def get_seats(request: HttpRequest, show_id: Id) -> HttpResponseBase:
    """Always current. Ask again with If-None-Match: a map that has not changed is a 304 without a
    body.
    """
    return if_changed(request, json_response(availability.seat_map(show_id)))


@router.get(
    "/shows/{int:show_id}/seats.svg",
    response={200: None, 304: None},
    summary="The seats of a show as a picture",
    openapi_extra=DRAWN,
)
@xframe_options_exempt  # for `<object>`; a 304 too, whose headers a browser adds to what it has
def get_picture(request: HttpRequest, show_id: Id) -> HttpResponseBase:
    """The hall as SVG, to be embedded: which seats are free and which are taken, in light and in
    dark.
    """
    seats = availability.seat_map(show_id)
    taken = set(seats.taken)

    def seat(number: int) -> Seat:
        kind = "taken" if number in taken else "free"
        return Seat(kind, f"Seat {number}: {kind}")

    note = _state_of_show(show_id)
    drawn = picture.draw(seats.total_seats, seat, ["free", "taken"], alone=True, note=note)
    response = HttpResponse(drawn, content_type=SVG)
    response["Content-Security-Policy"] = EMBEDDABLE
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return if_changed(request, response)


def _state_of_show(show_id: int) -> str:
    show = Show.objects.with_clock().filter(pk=show_id).first()
    if show is None:  # deleted since the map was read
        raise NotFound
    if show.cancelled_at:
        return "cancelled"
    if show.date_time <= show.now:
        return "started"
    return ""
