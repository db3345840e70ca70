"""A matrix of odd bodies: each with its exact status and code, and nothing changed in the database
behind it.

Odd paths, queries and headers are in test_bad_input_requests.py, what no client library sends in
test_bad_input_wire.py.
"""

import json

import pytest

from cinema.sales.models import Booking
from tests.conftest import refusal
from tests.support.factories import PASSWORD
from tests.support.unchanged import nothing_changes

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("unchanged"),
]

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
    "an escaped NUL in a password": signing_up_as(
        password="testpass\x00123", password_confirm="testpass\x00123"
    ),
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


SEATS = {
    "nothing": b"{}",
    "null": b'{"seat_number": null}',
    "both": b'{"seat_number": 5, "seat_numbers": [6]}',
    "both, the same": b'{"seat_number": 5, "seat_numbers": [5]}',
    "both, one null": b'{"seat_number": 5, "seat_numbers": null}',
    "zero": b'{"seat_number": 0}',
    "minus zero": b'{"seat_number": -0}',
    "minus one": b'{"seat_number": -1}',
    "a float": b'{"seat_number": 5.0}',
    "half a seat": b'{"seat_number": 5.5}',
    "an exponent": b'{"seat_number": 1e1}',
    "a float beyond floats": b'{"seat_number": 1e999}',
    "text": b'{"seat_number": "5"}',
    "text in wide digits": '{"seat_number": "５"}'.encode(),
    "empty text": b'{"seat_number": ""}',
    "true": b'{"seat_number": true}',
    "false": b'{"seat_number": false}',
    "a list as one seat": b'{"seat_number": [5]}',
    "an object as one seat": b'{"seat_number": {"$gt": 0}}',
    "31 bits and one": b'{"seat_number": 2147483648}',
    "63 bits and one": b'{"seat_number": 9223372036854775808}',
    "far below": b'{"seat_number": -9223372036854775809}',
    "4000 digits": b'{"seat_number": ' + b"9" * 4000 + b"}",
    "no seats": b'{"seat_numbers": []}',
    "a seat twice": b'{"seat_numbers": [5, 6, 5]}',
    "eleven seats": json.dumps({"seat_numbers": [*range(10, 21)]}).encode(),
    "ten thousand seats": json.dumps({"seat_numbers": [*range(1, 10_001)]}).encode(),
    "mixed with text": b'{"seat_numbers": [5, "6"]}',
    "mixed with true": b'{"seat_numbers": [5, true]}',
    "mixed with null": b'{"seat_numbers": [5, null]}',
    "mixed with a float": b'{"seat_numbers": [5, 6.0]}',
    "mixed with zero": b'{"seat_numbers": [5, 0]}',
    "mixed with what no column holds": b'{"seat_numbers": [5, 99999999999999999999]}',
    "a list in the list": b'{"seat_numbers": [[5]]}',
    "several as text": b'{"seat_numbers": "5,6"}',
    "several as a number": b'{"seat_numbers": 5}',
    "several as an object": b'{"seat_numbers": {"0": 5}}',
    "another spelling": b'{"Seat_Number": 5}',
    "a field more": b'{"seat_number": 5, "price": 0}',
    "another's id": b'{"seat_number": 5, "user_id": 1}',
    "a prototype": b'{"seat_number": 5, "__proto__": {"admin": true}}',
    "a NUL in a key": b'{"seat_number\\u0000": 5}',
    "an empty key": b'{"seat_number": 5, "": 1}',
    "a list around it": b'[{"seat_number": 5}]',
    "null as body": b"null",
    "a number as body": b"5",
}
NO_SUCH_SEAT = {
    "one beyond the hall": b'{"seat_number": 101}',
    "the last number": b'{"seat_number": 2147483647}',
    "one of several": b'{"seat_numbers": [1, 101]}',
}
LONG = "x" * 129
ACCOUNT = {
    ("/api/login/", "no field"): {},
    ("/api/login/", "no password"): {"username": "x"},
    ("/api/login/", "null"): {"username": None, "password": PASSWORD},
    ("/api/login/", "a number"): {"username": 5, "password": PASSWORD},
    ("/api/login/", "a list"): {"username": ["x"], "password": PASSWORD},
    ("/api/login/", "an object"): {"username": {"$ne": ""}, "password": {"$ne": ""}},
    ("/api/login/", "a NUL"): {"username": "x\x00", "password": PASSWORD},
    ("/api/login/", "a NUL in the password"): {"username": "x", "password": "\x00"},
    ("/api/login/", "a long name"): {"username": "x" * 151, "password": PASSWORD},
    ("/api/login/", "a long password"): {"username": "x", "password": LONG},
    ("/api/login/", "a field more"): {"username": "x", "password": PASSWORD, "is_staff": True},
    ("/api/token/refresh/", "nothing"): {},
    ("/api/token/refresh/", "null"): {"refresh": None},
    ("/api/token/refresh/", "empty"): {"refresh": ""},
    ("/api/token/refresh/", "a list"): {"refresh": ["x"]},
    ("/api/token/refresh/", "too long"): {"refresh": "x" * 2049},
    ("/api/logout/", "a NUL"): {"refresh": "\x00"},
    ("/api/logout/", "true"): {"refresh": True},
    ("/api/password-reset/", "no address"): {"email": "nobody"},
    ("/api/password-reset/", "two addresses"): {"email": "a@example.com,b@example.com"},
    ("/api/password-reset/", "a header"): {"email": "a@example.com\r\nBcc: b@example.com"},
    ("/api/password-reset/", "a list"): {"email": ["a@example.com"]},
    ("/api/password-reset/", "another script"): {"email": "a@exämple.com"},
    ("/api/password-reset/", "too long"): {"email": "a" * 250 + "@example.com"},
    ("/api/password-reset/", "a NUL"): {"email": "a\x00@example.com"},
    ("/api/password-reset/confirm/", "no password"): {"token": "x"},
    ("/api/password-reset/confirm/", "an empty one"): {"token": "x", "new_password": ""},
    ("/api/password-reset/confirm/", "a long one"): {"token": "x", "new_password": LONG},
    ("/api/signup/", "a name of spaces"): SIGN_UP | {"username": "   "},
    ("/api/signup/", "a name with a slash"): SIGN_UP | {"username": "a/b"},
    ("/api/signup/", "a name with a line's end"): SIGN_UP | {"username": "somebody\n"},
    ("/api/signup/", "a name of marks alone"): SIGN_UP | {"username": "\u0301\u0301"},
    ("/api/signup/", "a name that grows"): SIGN_UP | {"username": "ﷺ" * 150},
    ("/api/signup/", "a name in another script"): SIGN_UP | {"username": "ѕоmеbоdу"},
    ("/api/signup/", "a name that is invisible"): SIGN_UP | {"username": "some\u200bbody"},
    ("/api/signup/", "an empty address"): SIGN_UP | {"email": ""},
    ("/api/signup/", "an address without a host"): SIGN_UP | {"email": "a@"},
    ("/api/signup/", "an address as an object"): SIGN_UP | {"email": {"address": "a@example.com"}},
    ("/api/signup/", "a weak password"): SIGN_UP
    | {"password": "12345678", "password_confirm": "12345678"},
    ("/api/signup/", "two passwords"): SIGN_UP | {"password_confirm": "another1234"},
    ("/api/signup/", "a password like the name"): SIGN_UP
    | {"password": "somebody1", "password_confirm": "somebody1"},
    ("/api/signup/", "a long password"): SIGN_UP | {"password": LONG, "password_confirm": LONG},
    ("/api/signup/", "null as first name"): SIGN_UP | {"first_name": None},
    ("/api/signup/", "rights"): SIGN_UP | {"is_superuser": True},
    ("/api/me/password/", "nothing"): {},
    ("/api/me/password/", "a wrong one"): {
        "old_password": "wrong",
        "new_password": "another long one",
    },
    ("/api/me/password/", "a weak one"): {"old_password": PASSWORD, "new_password": "short"},
    ("/api/me/password/", "a number"): {"old_password": PASSWORD, "new_password": 12345678},
    ("/api/me/password/", "a NUL"): {
        "old_password": PASSWORD,
        "new_password": "another\x00long one",
    },
}
PROFILES = {
    "another's field": {"username": "x"},
    "rights": {"is_staff": True},
    "null": {"first_name": None},
    "a number": {"last_name": 5},
    "a list": {"first_name": ["x"]},
    "too long": {"first_name": "x" * 151},
    "a NUL": {"first_name": "\x00"},
    "an empty address": {"email": ""},
    "no address": {"email": "x"},
    "a list as body": [],
    "text as body": "first_name",
}


def others(answers: dict, wanted: tuple[int, str]) -> dict:
    """The answers that are not the wanted one, by the name of their input."""
    return {
        name: found for name, response in answers.items() if (found := refusal(response)) != wanted
    }


def sent(api, method: str, path: str, raws: dict[str, bytes]) -> dict:
    return {name: api(method, path, raw=raw) for name, raw in raws.items()}


def test_the_matrix_is_long_enough():
    assert len(UNREADABLE) + len(ODD_VALUES) + len(KINDS) + len(SEATS) + len(NO_SUCH_SEAT) >= 120
    assert len(ACCOUNT) + len(PROFILES) >= 50


@pytest.mark.usefixtures("may_change")
def test_a_change_behind_a_refusal_would_be_seen(request, world):
    assert "unchanged" in request.fixturenames

    with pytest.raises(AssertionError), nothing_changes():
        Booking.objects.filter(pk=world[1].pk).update(reference="2222222222")


def test_what_is_not_json_is_refused(api, anonymous, world):
    show, hold = world

    assert others(sent(anonymous, "POST", "/api/signup/", UNREADABLE), BAD_JSON) == {}
    assert others(sent(api, "POST", f"/api/shows/{show.pk}/book/", UNREADABLE), BAD_JSON) == {}
    assert others(sent(api, "PATCH", "/api/me/", UNREADABLE), BAD_JSON) == {}
    assert others(sent(api, "POST", f"/api/bookings/{hold.pk}/cancel/", UNREADABLE), BAD_JSON) == {}


def test_json_that_is_no_sign_up_is_refused(anonymous):
    answers = sent(anonymous, "POST", "/api/signup/", ODD_VALUES)

    assert others(answers, INVALID) == {}
    for response in answers.values():
        errors = response.json()["errors"]
        assert all(set(error) == {"field", "message"} and error["message"] for error in errors)


@pytest.mark.parametrize("verb", ["book", "hold"])
def test_odd_seats_are_refused(api, world, verb):
    path = f"/api/shows/{world[0].pk}/{verb}/"

    assert others(sent(api, "POST", path, SEATS), INVALID) == {}
    assert others(sent(api, "POST", path, NO_SUCH_SEAT), (422, "seat_out_of_range")) == {}


@pytest.mark.parametrize("verb", ["confirm", "cancel"])
def test_what_takes_no_body_refuses_one(api, world, verb):
    path = f"/api/bookings/{world[1].pk}/{verb}/"
    raws = {
        "a field": b'{"a": 1}',
        "a list": b"[]",
        "text": b'"x"',
        "a number": b"0",
        "true": b"true",
        "null": b"null",
    }

    assert others(sent(api, "POST", path, raws), INVALID) == {}


def test_odd_accounts_are_refused(api):
    answers = {place: api.post(place[0], body) for place, body in ACCOUNT.items()}

    assert others(answers, INVALID) == {}


def test_odd_profiles_are_refused(api):
    assert (
        others({name: api("PATCH", "/api/me/", body) for name, body in PROFILES.items()}, INVALID)
        == {}
    )


def test_other_content_types_are_refused(api, world):
    for path, raw in (
        ("/api/signup/", GOOD),
        (f"/api/shows/{world[0].pk}/book/", b'{"seat_number": 5}'),
    ):
        answers = {kind: api("POST", path, raw=raw, Content_Type=kind) for kind in KINDS}

        assert {kind: refusal(answer) for kind, answer in answers.items()} == KINDS


@pytest.mark.usefixtures("may_change")
@pytest.mark.parametrize(
    "kind",
    ["", JSON, "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
     'application/json; charset="utf-8"', "application/json; version=1"],
)  # fmt: skip
def test_json_may_be_named_in_any_usual_way(anonymous, kind):
    assert anonymous("POST", "/api/signup/", raw=GOOD, Content_Type=kind).status_code == 201


@pytest.mark.parametrize("size", [64 * KIB + 1, 1024 * KIB])
def test_a_large_body_is_refused_wherever_it_goes(api, world, size):
    show, hold = world

    for path in (
        "/api/signup/",
        "/api/login/",
        f"/api/shows/{show.pk}/book/",
        f"/api/bookings/{hold.pk}/cancel/",
    ):
        assert refusal(api("POST", path, raw=padded(b'{"seat_number": 5}', size))) == TOO_LARGE, (
            path
        )
        assert refusal(api("POST", path, raw=b"\xff" * size)) == TOO_LARGE, path


@pytest.mark.usefixtures("may_change")
def test_64_kib_are_not_too_large(anonymous):
    assert anonymous("POST", "/api/signup/", raw=padded(GOOD, 64 * KIB)).status_code == 201
    assert refusal(anonymous("POST", "/api/signup/", raw=b"x" * 64 * KIB)) == BAD_JSON


def test_an_unauthenticated_body_is_not_even_read(anonymous, world):
    for raw in (b"junk", b"[" * 10_000, b'{"seat_number": 5}', b"x" * 65 * KIB):
        response = anonymous(
            "POST", f"/api/shows/{world[0].pk}/book/", raw=raw, Content_Type="text/plain"
        )
        assert refusal(response) == (401, "not_authenticated")


def test_a_missing_body_is_refused(anonymous):
    for path in (
        "/api/signup/",
        "/api/login/",
        "/api/token/refresh/",
        "/api/logout/",
        "/api/password-reset/",
    ):
        assert refusal(anonymous("POST", path)) == INVALID, path


@pytest.mark.usefixtures("may_change")
def test_right_values_in_odd_dress_are_taken(api, world):
    """The control of the refusals: these bodies are as odd, and right."""
    path = f"/api/shows/{world[0].pk}/book/"
    for raw in (
        b' \n{"seat_number":\t10}\r\n',
        b'{"seat\\u005fnumber": 11}',
        b'{"seat_numbers": [13, 12]}',
    ):
        assert api("POST", path, raw=raw).status_code == 201, raw
