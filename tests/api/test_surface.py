"""Every operation of the OpenAPI document, walked: what each says of itself, and that it is true."""

import json
import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from ninja import Schema

from cinema import errors
from cinema.sales.models import Booking
from project.api import api as marquee
from project.serving.fast_path import find_route
from tests.conftest import refusal
from tests.support.factories import a_booking, a_hold, a_show

CONTRACT = {
    ("post", "/api/signup/"), ("post", "/api/login/"), ("post", "/api/token/refresh/"), ("post", "/api/logout/"),
    ("post", "/api/password-reset/"), ("post", "/api/password-reset/confirm/"), ("get", "/api/me/"),
    ("patch", "/api/me/"), ("post", "/api/me/password/"), ("get", "/api/movies/"), ("get", "/api/movies/{movie_id}/"),
    ("get", "/api/movies/{movie_id}/shows/"), ("get", "/api/shows/{show_id}/"), ("get", "/api/shows/{show_id}/seats/"),
    ("get", "/api/shows/{show_id}/seats.svg"),
    ("post", "/api/shows/{show_id}/book/"), ("post", "/api/shows/{show_id}/hold/"),
    ("post", "/api/bookings/{booking_id}/confirm/"), ("post", "/api/bookings/{booking_id}/cancel/"),
    ("get", "/api/my-bookings/"), ("get", "/api/bookings/{booking_id}/"),
}  # fmt: skip
NEED_A_TOKEN = {
    path for path in CONTRACT if re.search(r"/me/|/book/|/hold/|/bookings/|my-bookings", path[1])
}
# no operation answers the one; the other is ours to mend
UNDOCUMENTED = {
    "method_not_allowed",
    "defect",
}
CODES = {kind.code: kind for kind in errors.Refusal.__subclasses__()}


def document() -> dict:
    return json.loads(json.dumps(marquee.get_openapi_schema()))


def operations() -> list[tuple[str, str, dict]]:
    return [
        (method, path, told)
        for path, methods in document()["paths"].items()
        for method, told in methods.items()
    ]


OPERATIONS = pytest.mark.parametrize(
    ("method", "path", "told"),
    [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in operations()],
)


def all_schemas(base: type = Schema) -> Iterator[type[Schema]]:
    for kind in base.__subclasses__():
        yield kind
        yield from all_schemas(kind)


def codes(told: dict, status: str) -> set[str]:
    return set(
        told["responses"]
        .get(status, {})
        .get("content", {})
        .get("application/problem+json", {})
        .get("examples", {})
    )


def all_codes(told: dict) -> set[str]:
    return set().union(*(codes(told, status) for status in told["responses"]))


def test_the_paths_are_those_of_the_contract():
    assert {(method, path) for method, path, _ in operations()} == CONTRACT


@OPERATIONS
def test_an_operation_says_what_it_is_and_answers(method, path, told):
    good = [status for status in told["responses"] if status.startswith("2")]
    assert told["summary"]
    assert told["tags"]
    assert good
    for status in good:
        kind = "image/svg+xml" if path.endswith(".svg") else "application/json"
        assert status in {"202", "204"} or told["responses"][status]["content"][kind]["schema"]
    assert codes(told, "503") == {"unavailable"}


@OPERATIONS
def test_an_operation_with_a_token_says_so_and_asks_for_it(method, path, told, anonymous):
    needs = (method, path) in NEED_A_TOKEN
    address = re.sub(r"\{\w+\}", "1", path)

    assert bool(told.get("security")) is needs
    if needs:
        assert codes(told, "401") >= {"not_authenticated", "token_invalid", "token_expired"}
        for body in (None, {}, {"seat_number": 5}):
            assert refusal(anonymous(method.upper(), address, body)) == (401, "not_authenticated")
    else:
        assert "not_authenticated" not in codes(told, "401")


@OPERATIONS
def test_an_operation_with_a_body_says_what_it_refuses(method, path, told):
    if "requestBody" not in told:
        assert method == "get"
        return
    assert codes(told, "400") >= {"bad_json"}
    assert codes(told, "413") == {"body_too_large"}
    assert codes(told, "415") == {"unsupported_media_type"}
    assert codes(told, "422") >= {"invalid"}


@OPERATIONS
def test_an_operation_with_a_body_has_an_example(method, path, told):
    if not told.get("requestBody", {}).get("required"):
        return  # confirm and cancel need none
    content = told["requestBody"]["content"]["application/json"]
    named = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = document()["components"]["schemas"].get(named, content["schema"])

    assert (
        "example" in content or "examples" in content or "example" in schema or "examples" in schema
    )


@OPERATIONS
def test_a_success_with_a_body_has_an_example_that_fits(method, path, told):
    for status, answer in told["responses"].items():
        if int(status) >= 300 or "application/json" not in answer.get("content", {}):
            continue
        named = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]

        schema = next(kind for kind in all_schemas() if kind.__name__ == named)
        schema.model_validate(document()["components"]["schemas"][named]["example"])


@OPERATIONS
def test_an_operation_that_takes_keys_or_filters_declares_them(method, path, told):
    names = {parameter["name"] for parameter in told.get("parameters", [])}

    assert ("Idempotency-Key" in names) is bool(
        re.search(r"/(book|hold)/$|\}/(confirm|cancel)/$", path)
    )
    assert ("If-None-Match" in names) is bool(re.search(r"/seats(/|\.svg)$", path))
    assert ({"limit", "offset"} <= names) is bool(
        re.search(r"/(movies|shows|my-bookings)/$", path) and method == "get"
    )


@OPERATIONS
def test_every_documented_refusal_is_one_of_ours(method, path, told):
    for status in told["responses"]:
        for code in codes(told, status):
            assert CODES[code].status == int(status)


def test_every_refusal_is_documented_somewhere():
    documented = set().union(*(all_codes(told) for _, _, told in operations()))

    assert set(CODES) - documented == UNDOCUMENTED


def test_no_reference_leads_nowhere(anonymous):
    served = anonymous.get("/api/openapi.json")
    text = served.content.decode()

    assert served.status_code == 200
    assert served.json() == document()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert "BookingOut" in names
    assert names <= set(served.json()["components"]["schemas"])
    assert not re.search(r'"\$ref": ?"#/\$defs', text)


@pytest.mark.django_db
def test_of_routes_that_are_kept_each_show_has_its_own_and_nothing_else_is_kept(anonymous):
    shows = [a_show(), a_show()]
    find_route.cache_clear()

    for _ in range(2):
        told = [anonymous.get(f"/api/shows/{show.pk}/").json()["id"] for show in shows]
        assert told == [show.pk for show in shows]
        for nowhere in ("/api/nowhere/", f"/api/shows/{'9' * 5000}/", "/admin/login/", "/livez"):
            anonymous.get(nowhere)

    assert (find_route.cache_info().hits, find_route.cache_info().currsize) == (2, 2)


def test_an_unknown_path_is_a_problem(anonymous):
    for path in (
        "/api/",
        "/api/nothing/",
        "/api/movies",
        "/api/login",
        "/api/shows/1/nothing/",
        "/api/MOVIES/",
        "/api//movies/",
    ):
        for method in ("GET", "POST", "DELETE"):
            assert refusal(anonymous(method, path)) == (404, "not_found"), (method, path)


@OPERATIONS
def test_a_wrong_method_names_the_right_ones(method, path, told, anonymous):
    address = re.sub(r"\{\w+\}", "1", path)
    right = {each.upper() for each, one, _ in operations() if one == path}

    for wrong in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} - right:
        response = anonymous(wrong, address)
        assert refusal(response) == (405, "method_not_allowed"), wrong
        assert set(response.headers["Allow"].replace(" ", "").split(",")) >= right


def reads(api) -> list[str]:
    """Every read, with one thing to find behind it."""
    show = a_booking(api.caller).show
    booking = api.get("/api/my-bookings/").json()["items"][0]["id"]
    return [
        "/api/me/", "/api/movies/", "/api/movies/?search=film", f"/api/movies/{show.movie_id}/",
        f"/api/movies/{show.movie_id}/shows/", f"/api/movies/{show.movie_id}/shows/?available=true",
        f"/api/movies/?showing_on={show.date_time:%Y-%m-%d}", f"/api/shows/{show.pk}/", f"/api/shows/{show.pk}/seats/",
        f"/api/shows/{show.pk}/seats.svg", "/api/my-bookings/", "/api/my-bookings/?upcoming=true&status=booked",
        f"/api/bookings/{booking}/",
    ]  # fmt: skip


def test_reads_ask_the_database_no_more_for_more_rows(api):
    paths = reads(api)

    def queries() -> list[int]:
        found = []
        for path in paths:
            with CaptureQueriesContext(connection) as asked:
                assert api.get(path).status_code == 200
            found.append(len(asked))
        return found

    few = queries()
    show = Booking.objects.get().show
    for seat in range(10, 15):
        a_booking(api.caller, show, (seat, seat + 10))
        a_hold(api.caller, a_show(movie=show.movie), (seat, seat + 10))
        a_booking(api.caller)
    assert queries() == few
    assert max(few) <= 4


def test_generated_clients_find_each_call_by_the_name_they_know():
    """A client names its functions by these: moving a handler must not rename them."""
    names = {operation["operationId"] for _, _, operation in operations()}

    assert len(names) == len(CONTRACT)
    assert names == {
        *(f"cinema_api_accounts_{name}" for name in (
            "sign_up", "log_in", "refresh", "log_out", "ask_reset", "confirm_reset", "me", "change_me",
            "change_password",
        )),
        *(f"cinema_api_movies_{name}" for name in (
            "list_movies", "get_movie", "list_shows", "get_show", "get_seats", "get_picture",
        )),
        *(f"cinema_api_bookings_{name}" for name in (
            "book", "hold", "confirm", "cancel", "my_bookings", "get_booking",
        )),
    }  # fmt: skip


def test_a_description_does_not_show_how_wide_the_code_is():
    assert [path for _, path, one in operations() if "\n" in one.get("description", "")] == []
