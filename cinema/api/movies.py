"""What is on: films, shows and their seats. Public; a token is welcome and changes nothing."""

import hashlib
from typing import Any

import orjson
from django.db.models import FilteredRelation, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from ninja import Query, Router

from cinema import answers
from cinema.api.errors import refuses
from cinema.api.fields import Day, Flag, Id, Text
from cinema.api.schemas import MovieOut, MoviePage, Page, SeatMapOut, ShowOut, ShowPage
from cinema.errors import Invalid, NotFound
from cinema.models import Movie, Show, seats_free

router = Router(tags=["What is on"])


@router.get("/movies/", response=MoviePage, summary="Films", openapi_extra=refuses(Invalid))
def list_movies(
    request: HttpRequest, page: Query[Page], search: Text = "", showing_on: Day | None = None
) -> dict[str, Any]:
    """By title; `showing_on` keeps the films with a show on that day."""
    rows = Movie.objects.filter(title__icontains=search) if search else Movie.objects.all()
    if showing_on:
        rows = rows.filter(pk__in=Show.objects.on(showing_on).values("movie"))
    return page.of(rows, answers.movie)


@router.get("/movies/{int:movie_id}/", response=MovieOut, summary="One film", openapi_extra=refuses(NotFound))
def get_movie(request: HttpRequest, movie_id: Id) -> dict[str, Any]:
    row = Movie.objects.filter(pk=movie_id).first()
    if row is None:
        raise NotFound
    return answers.movie(row)


@router.get(
    "/movies/{int:movie_id}/shows/",
    response=ShowPage,
    summary="Shows of a film",
    openapi_extra=refuses(NotFound, Invalid),
)
def list_shows(
    request: HttpRequest, movie_id: Id, page: Query[Page], date: Day | None = None, available: Flag | None = None
) -> dict[str, Any]:
    """The upcoming shows, soonest first; with `date` that day's, past ones too. `available=true`: not the full ones."""
    shows = Show.objects.on(date) if date else Show.objects.upcoming()
    rows = _with_seats(shows.filter(movie=movie_id)).order_by("date_time", "id")
    if available is not None:
        rows = rows.filter(available_seats__gt=0) if available else rows.filter(available_seats=0)
    found = page.of(rows, lambda row: answers.show_with_seats(row, row.available_seats))
    if not found["count"] and not Movie.objects.filter(pk=movie_id).exists():
        raise NotFound
    return found


@router.get("/shows/{int:show_id}/", response=ShowOut, summary="One show", openapi_extra=refuses(NotFound))
def get_show(request: HttpRequest, show_id: Id) -> dict[str, Any]:
    row = _with_seats(Show.objects.filter(pk=show_id)).first()
    if row is None:
        raise NotFound
    return answers.show_with_seats(row, row.available_seats)


@router.get(
    "/shows/{int:show_id}/seats/",
    response=SeatMapOut,
    summary="The seat map of a show",
    openapi_extra=refuses(
        NotFound,
        parameters=[
            {
                "in": "header",
                "name": "If-None-Match",
                "schema": {"type": "string"},
                "description": "The ETag of the map you have: 304 if nothing changed since.",
            }
        ],
    ),
)
def get_seats(request: HttpRequest, show_id: Id) -> HttpResponseBase | None:
    """Always current. Ask again with If-None-Match: a map that has not changed is a 304 without a body."""
    held = Q(seats__held_until=None) | Q(seats__held_until__gt=Now())
    live = FilteredRelation("seats", condition=Q(seats__taken=True) & held)
    shows = Show.objects.filter(pk=show_id).order_by().annotate(live=live)
    rows = list(shows.values_list("total_seats", "live__seat_number"))
    if not rows:
        raise NotFound
    total, taken = rows[0][0], sorted(seat for _, seat in rows if seat)
    told = {"show_id": show_id, "total_seats": total, "available_seats": total - len(taken), "taken": taken}
    body = orjson.dumps(told)
    response = HttpResponse(body, content_type="application/json")
    # A hash of the body, not of a version: a hold that runs out changes the map without a write.
    response["ETag"] = etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    response["Cache-Control"] = "no-cache"
    return get_conditional_response(request, etag=etag, response=response)


def _with_seats(rows: Any) -> Any:
    return rows.select_related("movie", "screen").annotate(available_seats=seats_free())
