"""What is on: films, shows and their seats. Public; a token is welcome and changes nothing."""

import hashlib
from datetime import date
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import FilteredRelation, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from ninja import Query, Router

from cinema.api.errors import refuses
from cinema.api.fields import Day, Flag, Id, Search
from cinema.api.responses import json_response
from cinema.api.schemas.common import (
    FIRST_PAGE,
    MovieOut,
    MoviePage,
    Page,
    SeatMapOut,
    ShowOut,
    ShowPage,
)
from cinema.errors import Invalid, NotFound
from cinema.infra.database import prepared
from cinema.infra.database.compiled import Compiled
from cinema.programme.models import Movie, Show, ShowQuerySet
from cinema.sales import snapshots
from cinema.sales.models import BookingSeat, seats_free
from cinema.seat_map import picture
from cinema.seat_map.picture import Seat

router = Router(tags=["What is on"])

IF_NONE_MATCH = {
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


@router.get("/movies/", response=MoviePage, summary="Films", openapi_extra=refuses(Invalid))
def list_movies(
    request: HttpRequest, page: Query[Page], search: Search = "", showing_on: Day | None = None
) -> dict[str, Any]:
    """By title; `showing_on` keeps the films with a show on that day."""
    rows = Movie.objects.filter(title__icontains=search) if search else Movie.objects.all()
    if showing_on:
        rows = rows.filter(pk__in=Show.objects.on(showing_on).values("movie"))
    return page.of(rows, lambda movies: [snapshots.movie(row) for row in movies])


@router.get(
    "/movies/{int:movie_id}/",
    response=MovieOut,
    summary="One film",
    openapi_extra=refuses(NotFound),
)
def get_movie(request: HttpRequest, movie_id: Id) -> dict[str, Any]:
    row = Movie.objects.filter(pk=movie_id).first()
    if row is None:
        raise NotFound
    return snapshots.movie(row)


@router.get(
    "/movies/{int:movie_id}/shows/",
    response=ShowPage,
    summary="Shows of a film",
    openapi_extra=refuses(NotFound, Invalid),
)
def list_shows(
    request: HttpRequest,
    movie_id: Id,
    page: Query[Page],
    date: Day | None = None,
    available: Flag | None = None,
) -> HttpResponse:
    """The upcoming shows, soonest first; with `date` that day's, past ones too. `available=true`:
    not the full ones.
    """
    if page == FIRST_PAGE and date is None and available is None:  # what everybody asks
        items = [_show(*row) for row in UPCOMING.rows(movie_id)]
        found = page.told(items, lambda: _shows(movie_id).count())
    else:
        found = page.of(
            _shows(movie_id, date, available), lambda shows: [_show(*row) for row in shows]
        )
    if not found["count"] and not Movie.objects.filter(pk=movie_id).exists():
        raise NotFound
    return json_response(found)


@router.get(
    "/shows/{int:show_id}/", response=ShowOut, summary="One show", openapi_extra=refuses(NotFound)
)
def get_show(request: HttpRequest, show_id: Id) -> HttpResponse:
    rows = ONE_SHOW.rows(show_id)
    if not rows:
        raise NotFound
    return json_response(_show(*rows[0]))


@router.get(
    "/shows/{int:show_id}/seats/",
    response={200: SeatMapOut, 304: None},
    summary="The seat map of a show",
    openapi_extra=refuses(NotFound, parameters=[IF_NONE_MATCH]),
)
def get_seats(request: HttpRequest, show_id: Id) -> HttpResponseBase | None:
    """Always current. Ask again with If-None-Match: a map that has not changed is a 304 without a
    body.
    """
    total, taken = _seat_map(show_id)
    response = json_response(
        {
            "show_id": show_id,
            "total_seats": total,
            "available_seats": total - len(taken),
            "taken": taken,
        }
    )
    return _if_changed(request, response)


@router.get(
    "/shows/{int:show_id}/seats.svg",
    response={200: None, 304: None},
    summary="The seats of a show as a picture",
    openapi_extra=DRAWN,
)
def get_picture(request: HttpRequest, show_id: Id) -> HttpResponseBase | None:
    """The hall as SVG, to be embedded: which seats are free and which are taken, in light and in
    dark.
    """
    total, seats = _seat_map(show_id)
    show: Any = Show.objects.annotate(now=Now()).filter(pk=show_id).first()
    if show is None:  # deleted since the map was read
        raise NotFound
    note = "cancelled" if show.cancelled_at else "started" if show.date_time <= show.now else ""
    taken = set(seats)

    def seat(number: int) -> Seat:
        kind = "taken" if number in taken else "free"
        return Seat(kind, f"Seat {number}: {kind}")

    drawn = picture.draw(total, seat, ["free", "taken"], alone=True, note=note)
    response = HttpResponse(drawn, content_type=SVG)
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *"
    )
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    answer: Any = _if_changed(request, response)
    answer.xframe_options_exempt = (
        True  # for `<object>`; of a 304 as well, whose headers a browser adds to what it has
    )
    return answer  # type: ignore[no-any-return]


def _seat_map(show_id: int) -> tuple[int, list[int]]:
    """The hall's size and its taken seats, sorted."""
    rows = SEATS.rows(show_id)
    if not rows:
        raise NotFound
    total, taken = rows[0]
    return total, taken if prepared.serves() else sorted(seat for _, seat in rows if seat)


def _if_changed(request: HttpRequest, response: HttpResponse) -> HttpResponseBase | None:
    # A hash of the body, not of a version: a hold that runs out changes the map without a write.
    response["ETag"] = etag = f'"{hashlib.blake2b(response.content, digest_size=12).hexdigest()}"'
    response["Cache-Control"] = "no-cache"
    if "HTTP_IF_NONE_MATCH" not in request.META:
        return response
    for other in (
        "HTTP_IF_MATCH",
        "HTTP_IF_UNMODIFIED_SINCE",
    ):  # for who would write; a read is not refused by them
        request.META.pop(other, None)
    return get_conditional_response(request, etag=etag, response=response)


def _columns(shows: ShowQuerySet) -> QuerySet[Show, Any]:
    return shows.annotate(available_seats=seats_free()).values_list(
        *snapshots.SHOW_COLUMNS, "available_seats"
    )


def _shows(
    movie_id: int, day: date | None = None, available: bool | None = None
) -> QuerySet[Show, Any]:
    shows = Show.objects.on(day) if day else Show.objects.upcoming()
    rows = _columns(shows.filter(movie=movie_id)).order_by("date_time", "id")
    full = Q(available_seats=0)
    return rows if available is None else rows.filter(~full if available else full)


def _show(*columns: Any) -> snapshots.Answer:
    """A row of `_columns`, told."""
    return snapshots.show_of(*columns[:-1]) | {"available_seats": columns[-1]}


def _seats(show_id: int) -> QuerySet[Show, Any]:
    """The hall's size with each live seat's number, or with NULL if there is none.

    On PostgreSQL in one row, with the numbers as a sorted array: a tenth less of the map's time.
    """
    shows = Show.objects.filter(pk=show_id).order_by()
    if prepared.serves():
        seats = BookingSeat.objects.live().filter(show=OuterRef("pk")).order_by("seat_number")
        return shows.values_list("total_seats", ArraySubquery(seats.values("seat_number")))
    held = Q(seats__held_until=None) | Q(seats__held_until__gt=Now())
    live = FilteredRelation("seats", condition=Q(seats__taken=True) & held)
    return shows.annotate(live=live).values_list("total_seats", "live__seat_number")


UPCOMING = Compiled(lambda movie_id: _shows(movie_id)[: snapshots.PAGE])
ONE_SHOW = Compiled(lambda show_id: _columns(Show.objects.filter(pk=show_id)))
SEATS = Compiled(_seats)
