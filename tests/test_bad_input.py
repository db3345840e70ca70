"""A matrix of odd input: each with its exact status and code, and nothing changed in the database behind it."""

import json

import pytest
from django.apps import apps

from tests.conftest import refusal
from tests.factories import a_booking, a_show

pytestmark = pytest.mark.django_db

SIGN_UP = {
    "username": "somebody",
    "email": "some@example.com",
    "password": "testpass123",
    "password_confirm": "testpass123",
}
GOOD = json.dumps(SIGN_UP).encode()
JSON, KIB = "application/json", 1024
BAD_JSON, INVALID = (400, "bad_json"), (422, "invalid")
NOT_JSON, TOO_LARGE = (415, "unsupported_media_type"), (413, "body_too_large")


def rows() -> dict[str, int]:
    return {model._meta.label: model.objects.count() for model in apps.get_models() if model._meta.managed}


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


def signing_up_as(**changes) -> bytes:
    return json.dumps(SIGN_UP | changes).encode()


UNREADABLE = {
    "trailing comma": b'{"username": "x",}',
    "trailing comma in a list": b'{"seat_numbers": [1,]}',
    "single quotes": b"{'username': 'x'}",
    "no quotes": b"{username: 1}",
    "comment": b'{"username": "x"} // me',
    "two objects": b"{}{}",
    "cut short": GOOD[:-1],
    "only a brace": b"{",
    "only spaces": b"   ",
    "a word": b"hello",
    "XML": b"<user/>",
    "a form": b"username=x&email=y",
    "NaN": b'{"username": NaN}',
    "Infinity": b'{"username": Infinity}',
    "minus Infinity": b'{"username": -Infinity}',
    "nan in small letters": b'{"username": nan}',
    "a leading zero": b'{"username": 01}',
    "a leading plus": b'{"username": +1}',
    "a lone point": b'{"username": 1.}',
    "hexadecimal": b'{"username": 0x10}',
    "a key twice": b'{"username": "x", ' + GOOD[1:],
    "a key twice, once escaped": b'{"usern\\u0061me": "x", ' + GOOD[1:],
    "a key twice inside": b'{"username": {"a": 1, "a": 2}}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "latin-1": '{"username": "é"}'.encode("latin-1"),
    "a raw control character": b'{"username": "a\nb"}',
    "a raw NUL": b'{"username": "a\x00b"}',
    "only NULs": b"\x00" * 10,
    "a bad escape": b'{"username": "\\x41"}',
    "half an escape": b'{"username": "\\u12"}',
    "a lone high surrogate": signing_up_as(first_name="\ud800"),
    "a lone low surrogate": signing_up_as(first_name="\udfff"),
    "surrogates the wrong way round": b'{"username": "\\udc00\\ud800"}',
    "a lone surrogate as a key": b'{"\\ud800": 1}',
    "a surrogate in UTF-8": b'{"username": "\xed\xa0\x80"}',
    "an overlong form": b'{"username": "\xc0\xaf"}',
    "a stray byte": b'{"username": "\xff"}',
    "lists 10000 deep": b"[" * 10_000 + b"]" * 10_000,
    "objects 10000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "10000 open lists": b"[" * 10_000,
    "a number of 5000 digits": b'{"username": ' + b"9" * 5000 + b"}",
}

ODD_VALUES = {
    "null": b"null",
    "true": b"true",
    "a number": b"5",
    "a text": b'"username"',
    "a list": b"[]",
    "a list of it": b"[" + GOOD + b"]",
    "nothing": b"{}",
    "an unknown field": signing_up_as(admin=True),
    "a field of no name": signing_up_as(**{"": 1}),
    "a number of 4000 digits": b'{"username": ' + b"9" * 4000 + b"}",
    "a float beyond floats": b'{"username": 1e999}',
    "a number as name": signing_up_as(username=5),
    "null as name": signing_up_as(username=None),
    "an object as name": signing_up_as(username={"$ne": ""}),
    "an escaped NUL": signing_up_as(first_name="a\x00b"),
    "an escaped NUL in a password": signing_up_as(password="testpass\x00123", password_confirm="testpass\x00123"),
    "an escaped NUL in an address": signing_up_as(email="a\x00@example.com"),
    "a long name": signing_up_as(first_name="x" * 151),
    "a name of emoji": signing_up_as(username="😀😀😀"),
    "a very long name": signing_up_as(username="x" * 60_000),
    "lists 400 deep": b'{"username": ' + b"[" * 400 + b"]" * 400 + b"}",
}

KINDS = {
    "text/plain": NOT_JSON,
    "text/json": NOT_JSON,
    "application/x-www-form-urlencoded": NOT_JSON,
    "multipart/form-data": NOT_JSON,
    "multipart/form-data; boundary=x": NOT_JSON,
    "application/xml": NOT_JSON,
    "application/octet-stream": NOT_JSON,
    "application/json; charset=latin-1": NOT_JSON,
    "application/json; charset=utf-16": NOT_JSON,
    "application/json; charset=nonsense": NOT_JSON,
    "application/jsonx": NOT_JSON,
    "nonsense": NOT_JSON,
    "*/*": NOT_JSON,
    "application/json, text/plain": NOT_JSON,
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_not_json_is_refused(anonymous, raw):
    before = rows()

    assert refusal(anonymous("POST", "/api/signup/", raw=raw)) == BAD_JSON

    assert rows() == before


@pytest.mark.parametrize("raw", ODD_VALUES.values(), ids=ODD_VALUES)
def test_json_that_is_no_sign_up_is_refused(anonymous, raw):
    before = rows()

    response = anonymous("POST", "/api/signup/", raw=raw)

    assert refusal(response) == INVALID
    assert all(set(error) == {"field", "message"} and error["message"] for error in response.json()["errors"])
    assert rows() == before


@pytest.mark.parametrize("kind", KINDS)
def test_other_content_types_are_refused(api, kind):
    show = a_show()
    before = rows()

    assert refusal(api("POST", "/api/signup/", raw=GOOD, Content_Type=kind)) == KINDS[kind]
    response = api("POST", f"/api/shows/{show.pk}/book/", raw=b'{"seat_number": 5}', Content_Type=kind)
    assert refusal(response) == KINDS[kind]

    assert rows() == before


@pytest.mark.parametrize(
    "kind",
    ["", JSON, "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
     'application/json; charset="utf-8"', "application/json; version=1"],
)  # fmt: skip
def test_json_may_be_named_in_any_usual_way(anonymous, kind):
    assert anonymous("POST", "/api/signup/", raw=GOOD, Content_Type=kind).status_code == 201


@pytest.mark.parametrize("size", [64 * KIB + 1, 1024 * KIB])
def test_a_large_body_is_refused_wherever_it_goes(api, size):
    show, booking = a_show(), a_booking(api.caller)
    before = rows()

    for path in ("/api/signup/", "/api/login/", f"/api/shows/{show.pk}/book/", f"/api/bookings/{booking.pk}/cancel/"):
        assert refusal(api("POST", path, raw=padded(b'{"seat_number": 5}', size))) == TOO_LARGE, path
        assert refusal(api("POST", path, raw=b"\xff" * size)) == TOO_LARGE, path

    assert rows() == before


def test_64_kib_are_not_too_large(anonymous):
    assert anonymous("POST", "/api/signup/", raw=padded(GOOD, 64 * KIB)).status_code == 201
    assert refusal(anonymous("POST", "/api/signup/", raw=b"x" * 64 * KIB)) == BAD_JSON


def test_an_unauthenticated_body_is_not_even_read(anonymous):
    show = a_show()

    for raw in (b"junk", b"[" * 10_000, b'{"seat_number": 5}'):
        assert refusal(anonymous("POST", f"/api/shows/{show.pk}/book/", raw=raw)) == (401, "not_authenticated")


def test_a_missing_body_is_refused(anonymous):
    before = rows()

    for path in ("/api/signup/", "/api/login/", "/api/token/refresh/", "/api/logout/", "/api/password-reset/"):
        assert refusal(anonymous("POST", path)) in {INVALID, BAD_JSON}, path

    assert rows() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": "nonsense"}, {"Content_Length": "-1"}, {"Accept": "text/html"}, {"Accept": "nonsense"},
        {"Accept_Language": "é;q=x"}, {"Cookie": "sessionid=nonsense; csrftoken=\x00"}, {"Cookie": "=;;="},
        {"X_Forwarded_For": "nonsense, \x00"}, {"X_Forwarded_Proto": "ftp"}, {"Origin": "nonsense"},
        {"If_None_Match": "nonsense"}, {"X_HTTP_Method_Override": "DELETE"}, {"Accept_Encoding": "nonsense"},
        {"Range": "bytes=9-1"}, {"Referer": "é"}, {"User_Agent": "x" * 10_000}, {"X_Request_ID": "\x00"},
    ],
    ids=lambda headers: next(iter(headers)),
)  # fmt: skip
def test_an_odd_header_does_no_harm(anonymous, headers):
    show = a_show()

    assert anonymous.get("/api/movies/", **headers).status_code == 200
    assert anonymous.get(f"/api/shows/{show.pk}/seats/", **headers).status_code == 200


def test_odd_queries_do_no_harm(api):
    before = rows()

    for path in ("/api/movies/", "/api/my-bookings/", "/api/me/"):
        for query in ("x=1", "limit", "=", "&&&", "limit=1&limit=2", "%", "%zz=1", "search[]=a", "a" * 5000, "x=%00"):
            response = api.get(f"{path}?{query}")
            assert response.status_code in {200, 422}, (path, query)

    assert rows() == before


def test_more_parameters_than_anyone_needs_are_a_bad_request(anonymous):
    answer = anonymous.get("/api/movies/?" + "&".join(["a=1"] * 1001))

    assert refusal(answer) == (400, "bad_request")
