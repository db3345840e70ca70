"""What is on: films, and the shows of each. Public; a token is welcome and changes nothing."""

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from cinema.api.errors import refuses
from cinema.api.fields import Day, Flag, Id, Search
from cinema.api.responses import json_response
from cinema.api.schemas.movies import MovieOut, MoviePage, ShowPage
from cinema.api.schemas.pages import FIRST_PAGE, Page
from cinema.errors import Invalid, NotFound
from cinema.programme.models import Movie, Show
from cinema.programme.snapshots import MovieSnapshot
from cinema.seat_map import availability

router = Router(tags=["What is on"])


@router.get("/movies/", response=MoviePage, summary="Films", openapi_extra=refuses(Invalid))
def list_movies(
    request: HttpRequest, page: Query[Page], search: Search = "", showing_on: Day | None = None
) -> HttpResponse:
    """By title; `showing_on` keeps the films with a show on that day."""
    rows = Movie.objects.all()
    if search:
        rows = rows.filter(title__icontains=search)
    if showing_on:
        rows = rows.filter(pk__in=Show.objects.on(showing_on).values("movie"))
    found = page.cut(rows, lambda movies: [MovieSnapshot.read(movie) for movie in movies])
    return json_response(found)


@router.get(
    "/movies/{int:movie_id}/",
    response=MovieOut,
    summary="One film",
    openapi_extra=refuses(NotFound),
)
def get_movie(request: HttpRequest, movie_id: Id) -> HttpResponse:
    movie = Movie.objects.filter(pk=movie_id).first()
    if movie is None:
        raise NotFound
    return json_response(MovieSnapshot.read(movie))


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
    rows = availability.shows_of_movie(movie_id, date, available)
    if page == FIRST_PAGE and date is None and available is None:  # what everybody asks
        found = page.fill(availability.upcoming_shows(movie_id), rows.count)
    else:
        found = page.cut(rows, availability.read_shows)
    if not found["count"] and not Movie.objects.filter(pk=movie_id).exists():
        raise NotFound
    return json_response(found)
