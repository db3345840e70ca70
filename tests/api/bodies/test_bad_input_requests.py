"""Odd paths, queries, headers, tokens and keys: each with its exact status and code, and nothing
changed behind it.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cinema.infra import redis
from cinema.sales.models import Booking, IdempotencyKey
from tests.conftest import refusal
from tests.people.test_tokens import refresh_token

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("unchanged"),
]

NOT_FOUND, INVALID, BAD_KEY = (404, "not_found"), (422, "invalid"), (400, "bad_idempotency_key")
ABSENT, TOKEN_INVALID, BAD_REQUEST = (
    (401, "not_authenticated"),
    (401, "token_invalid"),
    (400, "bad_request"),
)
OK = (200, "")

IDS = {
    "zero": "0", "minus one": "-1", "minus zero": "-0", "plus one": "%2B1", "a float": "1.0", "an exponent": "1e0",
    "hexadecimal": "0x1", "words": "abc", "null": "null", "nothing": "", "a space": "%20", "a space behind": "1%20",
    "63 bits": "9223372036854775807", "63 bits and one": "9223372036854775808", "64 bits": "18446744073709551616",
    "400 digits": "9" * 400, "5000 digits": "9" * 5000, "arabic digits": "%D9%A1", "wide digits": "%EF%BC%91",
    "superscript": "%C2%B2", "a NUL": "%00", "a NUL behind": "1%00", "a line's end": "1%0A", "no UTF-8": "%FF",
    "a surrogate": "%ED%A0%80", "a slash": "1%2F2", "a path up": "%2e%2e", "a query": "1%3Fx=1", "two": "1,2",
    "a comma": "1,", "an underscore": "1_0", "SQL": "1%20OR%201=1", "a list": "[1]", "a template": "%7Bid%7D",
    "an emoji": "%F0%9F%98%80", "a percent sign": "%25", "half an escape": "%", "no escape": "%zz", "true": "true",
}  # fmt: skip
PLACES = {
    "GET": ["movies/{}/", "movies/{}/shows/", "shows/{}/", "shows/{}/seats/", "bookings/{}/"],
    "POST": ["shows/{}/book/", "shows/{}/hold/", "bookings/{}/confirm/", "bookings/{}/cancel/"],
}

PAGES = {
    "limit=": INVALID, "limit=0": INVALID, "limit=101": INVALID, "limit=-1": INVALID, "limit=1.0": INVALID,
    "limit=1e1": INVALID, "limit=%2B1": INVALID, "limit=+1": INVALID, "limit=1_0": INVALID, "limit=0x10": INVALID,
    "limit=true": INVALID, "limit=null": INVALID, "limit=NaN": INVALID, "limit=Infinity": INVALID,
    "limit=%D9%A1": INVALID, "limit=%EF%BC%91": INVALID, "limit=%C2%B2": INVALID, "limit=1%00": INVALID,
    "limit=%FF": INVALID, "limit=1,2": INVALID, "limit=[1]": INVALID, "limit=" + "9" * 25: INVALID,
    "limit=" + "9" * 5000: INVALID, "limit=1&limit=x": INVALID, "limit=%001": INVALID, "limit=1%0A": INVALID,
    "offset=-1": INVALID, "offset=1.5": INVALID, "offset=1000001": INVALID, "offset=" + "9" * 19: INVALID,
    "offset=" + "9" * 40: INVALID, "offset=abc": INVALID, "offset=": INVALID, "offset=%20": INVALID,
    "limit=100&offset=1000000": OK, "limit=1&limit=2": OK, "limit=010": OK, "x=1": OK, "limit[]=5": OK, "LIMIT=x": OK,
    "=": OK, "&&&": OK, "%": OK, "%zz": OK, "?": OK, "%FF=%FE": OK, "a" * 8000: OK, ";": OK, "%00=%00": OK,
    "&".join(["a=1"] * 1001): BAD_REQUEST,
}  # fmt: skip
DAYS = {
    "2026-02-30": INVALID, "2026-02-29": INVALID, "2026-13-01": INVALID, "2026-00-10": INVALID, "0000-00-00": INVALID,
    "0001-01-01": INVALID, "9999-12-31": INVALID, "10000-01-01": INVALID, "-2026-01-01": INVALID, "2026-2-3": INVALID,
    "20260203": INVALID, "2026-W05-1": INVALID, "2026-034": INVALID, "2026-02-03T00:00": INVALID,
    "2026-02-03T00:00:00Z": INVALID, "2026/02/03": INVALID, "03.02.2026": INVALID, "today": INVALID, "": INVALID,
    "1770076800": INVALID, "0": INVALID, "null": INVALID, "2026-02-03%00": INVALID, "%202026-02-03": INVALID,
    "2026-02-03%20": INVALID, "%D9%A2026-02-03": INVALID, "2026%E2%88%9202-03": INVALID, "%FF": INVALID,
    "1899-12-31": INVALID, "3000-01-01": INVALID, "2026-02-03": OK, "2028-02-29": OK, "1900-01-01": OK,
    "2999-12-31": OK,
}  # fmt: skip
WORDS = {
    "%00": INVALID, "a%00b": INVALID, "x" * 201: INVALID, "%F0%9F%98%80" * 201: INVALID, "": OK, "x" * 200: OK,
    "%F0%9F%98%80" * 200: OK, "%25": OK, "_": OK, "%5C": OK, "'": OK, "%22": OK, "%FF": OK, "%ED%A0%80": OK,
    "'%20OR%201=1--": OK, "%0A": OK, "%E2%80%AE": OK, "[a-z]*": OK, "(": OK, "a&search=b": OK,
}  # fmt: skip
FLAGS = {
    "1": INVALID, "0": INVALID, "yes": INVALID, "True": INVALID, "TRUE": INVALID, "": INVALID, "null": INVALID,
    "%00": INVALID, "true%20": INVALID, "t": INVALID, "true": OK, "false": OK,
}  # fmt: skip
STATUSES = {
    "Booked": INVALID, "": INVALID, "all": INVALID, "booked,pending": INVALID, "null": INVALID, "%00": INVALID,
    "booked%00": INVALID, "0": INVALID, "booked": OK, "expired": OK,
}  # fmt: skip

HARMLESS = {
    "Accept": [
        "text/html",
        "nonsense",
        "",
        "*/*;q=x",
        "application/xml",
        "é",
        ", ,",
        "a/b;" * 1000,
    ],
    "Accept-Language": ["é;q=x", "a-" * 500, "\x00", "*;q=9"],
    "Accept-Encoding": ["nonsense", "gzip;q=x", ""],
    "Cookie": [
        "sessionid=nonsense; csrftoken=\x00",
        "=;;=",
        "a=" + "x" * 5000,
        "sessionid=" + "x" * 100,
    ],
    "X-Forwarded-For": ["nonsense, \x00", "::ffff:1.2.3.4", "," * 500, "[::1]:99999"],
    "X-Forwarded-Proto": ["ftp", "https"],
    "X-Forwarded-Host": ["evil.example", "\x00"],
    "Forwarded": ["for=x;proto=y"],
    "Origin": ["nonsense", "null", "http://[::1", "http://é", "https://evil.example"],
    "Referer": ["é", "http://[x"],
    "Range": ["bytes=0-1", "bytes=9-1", "bytes=-", "x", "bytes=0-" + "9" * 500],
    "If-Range": ['"x"'],
    "If-Match": ["*", '"x"', "x", 'W/"x"', ""],
    "If-Unmodified-Since": ["Sun, 06 Nov 1994 08:49:37 GMT", "nonsense", "0"],
    "If-Modified-Since": [
        "Sun, 06 Nov 2094 08:49:37 GMT",
        "nonsense",
        "Sun, 06 Nov 99999 08:49:37 GMT",
    ],
    "If-None-Match": [
        "nonsense",
        '"x"',
        'W/"x", "y",,',
        '"' * 999,
        '"\x00"',
        "W/",
        "",
        '"é"',
        "," * 5000,
    ],
    "X-HTTP-Method-Override": ["DELETE", "PATCH", "\x00"],
    "X-Method-Override": ["POST"],
    "X-Request-ID": ["\x00", "x" * 65, "é", "a b", "../../x", "<script>"],
    "User-Agent": ["x" * 10_000, "\x00", "é"],
    "Authorization": ["Basic x", "Bearer", "Bearer \x00", "é", "Bearer " + "x" * 100_000],
    "Idempotency-Key": ["", "é", "x" * 256],
    "Content-Length": ["", "0", "00"],
    "Content-Type": ["text/plain", "nonsense", "multipart/form-data"],
    "Transfer-Encoding": ["x"],
    "Expect": ["100-continue", "nonsense"],
    "Upgrade": ["websocket", "h2c"],
    "Host": ["localhost:99999"],
}
HOSTS = ["", "evil.example", "localhost:abc", "local host", "localhost/", "é", "[::1", "localhost, localhost", "\x00",
         "a" * 300, "localhost@evil.example"]  # fmt: skip
KEYS = {
    "empty": "", "256 characters": "x" * 256, "an umlaut": "é", "another script": "ключ", "an emoji": "😀",
    "a tab": "a\tb", "a NUL": "a\x00", "delete": "\x7f", "an escape": "\x1b[0m", "a hard space": "a\xa0b",
    "60 000 characters": "x" * 60_000, "latin-1": "\xff", "a line separator": "\u2028",
}  # fmt: skip
COOKIES = ["sessionid=" + "\x00" * 20, 'sessionid="\\000aaaaaaaaaaaaaaaaaaaa"; csrftoken="\\000"; messages="\\000"',
           "sessionid=" + "é" * 20, "sessionid=" + "a" * 4000, "sessionid=", "csrftoken=é", "messages=x"]  # fmt: skip
TOKENS = {
    "": ABSENT, "Bearer": ABSENT, "Bearer ": ABSENT, "Bearer\t{}": ABSENT, "Basic dTpw": ABSENT, "Token {}": ABSENT,
    "{}": ABSENT, "Bearer:{}": ABSENT, "Bearer=": ABSENT, "Digest x": ABSENT, "Bearer é": TOKEN_INVALID,
    "Bearer null": TOKEN_INVALID, "Bearer undefined": TOKEN_INVALID, "Bearer ..": TOKEN_INVALID,
    "Bearer a.b.c": TOKEN_INVALID, "Bearer {}.": TOKEN_INVALID, "Bearer .{}": TOKEN_INVALID,
    "Bearer {} {}": TOKEN_INVALID, "Bearer {},{}": TOKEN_INVALID, "Bearer Bearer {}": TOKEN_INVALID,
    "Bearer '{}'": TOKEN_INVALID, 'Bearer "{}"': TOKEN_INVALID, "Bearer <{}>": TOKEN_INVALID,
    "Bearer {}\x00": TOKEN_INVALID, "Bearer \u200b{}": TOKEN_INVALID, "Bearer {}x=": TOKEN_INVALID,
    "Bearer " + "x" * 100_000: TOKEN_INVALID, "Bearer " + "." * 50_000: TOKEN_INVALID,
    "Bearer eyJhbGciOiJub25lIn0.e30.": TOKEN_INVALID, "Bearer e30.e30.": TOKEN_INVALID,
    "Bearer bnVsbA.bnVsbA.": TOKEN_INVALID, "Bearer W10.W10.W10": TOKEN_INVALID,
}  # fmt: skip


def told(response) -> tuple[int, str]:
    return OK if response.status_code == 200 else refusal(response)


def differing(answers: dict, wanted: dict) -> dict:
    """What was answered otherwise, by its input."""
    found = {name: told(response) for name, response in answers.items()}
    return {name[:60]: found[name] for name in wanted if found[name] != wanted[name]}


def asked(api, path: str, values: dict) -> dict:
    return {value: api.get(path + value) for value in values}


def test_the_matrix_is_long_enough():
    matrices = (IDS, PAGES, DAYS, WORDS, FLAGS, STATUSES, KEYS, TOKENS, HOSTS)

    assert sum(map(len, matrices)) + sum(map(len, HARMLESS.values())) >= 250


@pytest.mark.parametrize(
    ("method", "place"), [(method, place) for method, each in PLACES.items() for place in each]
)
def test_an_odd_id_is_not_found(api, method, place):
    body = {"seat_number": 5} if "shows" in place and method == "POST" else None
    answers = {name: api(method, "/api/" + place.format(id_), body) for name, id_ in IDS.items()}

    assert differing(answers, dict.fromkeys(IDS, NOT_FOUND)) == {}


@pytest.mark.parametrize("path", ["movies/", "movies/{}/shows/", "my-bookings/"])
def test_an_odd_page_is_refused(api, world, path):
    path = f"/api/{path.format(world[0].movie_id)}?"

    assert differing(asked(api, path, PAGES), PAGES) == {}


@pytest.mark.parametrize("path", ["movies/?showing_on=", "movies/{}/shows/?date="])
def test_an_odd_day_is_refused(api, world, path):
    assert differing(asked(api, f"/api/{path.format(world[0].movie_id)}", DAYS), DAYS) == {}


def test_an_odd_filter_is_refused(api, world):
    shows = f"/api/movies/{world[0].movie_id}/shows/?available="

    assert differing(asked(api, "/api/movies/?search=", WORDS), WORDS) == {}
    assert differing(asked(api, shows, FLAGS), FLAGS) == {}
    assert differing(asked(api, "/api/my-bookings/?upcoming=", FLAGS), FLAGS) == {}
    assert differing(asked(api, "/api/my-bookings/?status=", STATUSES), STATUSES) == {}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("path", ["/api/movies/", "/api/shows/{}/seats/", "/api/openapi.json"])
def test_an_odd_header_does_no_harm(anonymous, world, name, path):
    path = path.format(world[0].pk)
    answers = {
        value: anonymous.get(path, **{name.replace("-", "_"): value}) for value in HARMLESS[name]
    }

    assert differing(answers, dict.fromkeys(HARMLESS[name], OK)) == {}


def test_a_map_that_one_has_is_not_sent_again(anonymous, world):
    """The control: the header is read where it is right, and whatever else is sent."""
    path = f"/api/shows/{world[0].pk}/seats/"
    etag = anonymous.get(path).headers["ETag"]

    for value in (etag, f"W/{etag}", "*", f'"x", {etag}', f'W/"x" , W/{etag},'):
        for others in (
            {},
            {"If_Match": '"x"', "If_Unmodified_Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        ):
            assert anonymous.get(path, If_None_Match=value, **others).status_code == 304, value


@pytest.mark.parametrize("path", ["/api/movies/", "/api/login/", "/api/nothing/"])
def test_an_odd_host_is_a_bad_request(anonymous, path):
    for host in HOSTS:
        assert refusal(anonymous.get(path, Host=host)) == BAD_REQUEST, host


@pytest.mark.parametrize(
    "length", ["nonsense", "-1", "1e3", "+1", "1.0", "0x1", "²", "9" * 5000, "1,1", "\x00"]
)
def test_an_odd_length_is_a_bad_request(api, world, length):
    cancel = f"/api/bookings/{world[1].pk}/cancel/"
    for method, path in (("GET", "/api/movies/"), ("POST", cancel), ("POST", "/api/nothing/")):
        assert refusal(api(method, path, Content_Length=length)) == BAD_REQUEST, (method, path)


@pytest.mark.parametrize("name", ["X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"])
def test_no_header_makes_another_method_of_it(api, anonymous, world, name):
    hold = world[1]

    assert api.get(f"/api/bookings/{hold.pk}/", **{name: "DELETE"}).status_code == 200
    assert refusal(api.get(f"/api/bookings/{hold.pk}/cancel/", **{name: "POST"})) == (
        405,
        "method_not_allowed",
    )
    assert refusal(anonymous.get("/api/login/?_method=POST", **{name: "POST"})) == (
        405,
        "method_not_allowed",
    )


@pytest.mark.parametrize("verb", ["book", "hold", "confirm", "cancel"])
def test_an_odd_key_is_refused(api, world, verb):
    show, hold = world
    selling = verb in {"book", "hold"}
    path = f"/api/shows/{show.pk}/{verb}/" if selling else f"/api/bookings/{hold.pk}/{verb}/"
    body = {"seat_number": 5} if selling else None

    answers = {name: api.post(path, body, Idempotency_Key=key) for name, key in KEYS.items()}

    assert differing(answers, dict.fromkeys(KEYS, BAD_KEY)) == {}
    assert not IdempotencyKey.objects.exists()


@pytest.mark.usefixtures("may_change")
def test_odd_keys_that_are_right_are_taken(api, world):
    keys = [
        "x",
        "x" * 255,
        " ",
        "a b",
        "~!@#$%^&*()",
        "'; DROP TABLE x; --",
        "A",
        "a",
        "%00",
        '{"a": 1}',
    ]

    for seat, key in enumerate(keys, 10):
        path, body = f"/api/shows/{world[0].pk}/book/", {"seat_number": seat}
        answers = [api.post(path, body, Idempotency_Key=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201], key
        assert answers[0].json()["id"] == answers[1].json()["id"]

    assert IdempotencyKey.objects.count() == len(keys)
    assert Booking.objects.count() == len(keys) + 2


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/me/"), ("POST", "/api/shows/{}/book/")])
def test_an_odd_token_is_refused(api, world, method, path):
    path, body = path.format(world[0].pk), {"seat_number": 5} if method == "POST" else None
    answers = {
        form: api(method, path, body, Authorization=form.replace("{}", api.token))
        for form in TOKENS
    }

    assert differing(answers, TOKENS) == {}


def test_an_odd_token_in_a_body_is_refused(api, anonymous):
    odd = ["x", "a.b.c", "..", " " + refresh_token(api), refresh_token(api) + "\n", refresh_token(api) * 2, api.token,
           "é", "😀", "x" * 2048, refresh_token(api, jti=5), refresh_token(api, sid="x")]  # fmt: skip

    for path in ("/api/token/refresh/", "/api/logout/"):
        for token in odd:
            assert refusal(anonymous.post(path, {"refresh": token})) == TOKEN_INVALID, (path, token)


def test_what_is_refused_at_the_door_asks_nobody(api, anonymous, world, monkeypatch):
    """Body, headers and token are read before any work: no query, no lock, no count in Redis."""
    monkeypatch.setattr(redis.breaker, "run", lambda *_, **__: pytest.fail("Redis was asked"))
    path, good = f"/api/shows/{world[0].pk}/book/", b'{"seat_number": 5}'
    refused = {
        BAD_KEY: lambda: api("POST", path, raw=good, Idempotency_Key="é"),
        INVALID: lambda: api("POST", path, raw=b'{"seat_number": "5"}'),
        (400, "bad_json"): lambda: api("POST", path, raw=b"{"),
        (413, "body_too_large"): lambda: api("POST", path, raw=b"x" * 65_537),
        (415, "unsupported_media_type"): lambda: api(
            "POST", path, raw=good, Content_Type="text/plain"
        ),
        TOKEN_INVALID: lambda: api("POST", path, raw=good, Authorization="Bearer x"),
        ABSENT: lambda: anonymous("POST", path, raw=good),
        BAD_REQUEST: lambda: api("POST", path, raw=good, Host="evil.example"),
        NOT_FOUND: lambda: api("POST", "/api/shows/0/book/", raw=good),
        (405, "method_not_allowed"): lambda: api("PUT", path, raw=good),
    }

    for answer, call in refused.items():
        with CaptureQueriesContext(connection) as asked:
            assert refusal(call()) == answer
        assert len(asked) == 0, answer


@pytest.mark.parametrize("length", [8_000, 60_000])
def test_a_long_path_is_not_found(api, length):
    for path in (
        "/api/" + "a" * length,
        "/api/shows/" + "1" * length + "/seats/",
        "/api/" + "a/" * (length // 2),
    ):
        assert refusal(api.get(path)) == NOT_FOUND


def test_an_odd_path_is_not_found(api):
    odd = ["%00", "movies%00/", "%FF/", "../api/movies/", "./movies/", "movies/;a", "movies/%0d%0aX:1/", "%252e%252e/",
           "{}/", "*", " /", "movies%252F", "movies/index.html", "MOVIES/", "v1/movies/"]  # fmt: skip
    for path in (f"/api/{one}" for one in odd):
        for method in ("GET", "POST", "DELETE"):
            assert refusal(api(method, path)) == NOT_FOUND, (method, path)


@pytest.mark.parametrize(
    "path", ["/swagger/", "/redoc/", "/livez", "/readyz", "/admin/login/", "/"]
)
def test_odd_requests_of_the_pages_are_no_server_error(anonymous, path):
    for query in (
        "?x=%00",
        "?%FF",
        "?next=%00",
        "?next=//evil.example",
        "?" + "a" * 8000,
        "?_method=DELETE",
    ):
        for headers in (
            {},
            {"Accept_Language": "\x00"},
            {"If_Match": '"x"'},
            *({"Cookie": each} for each in COOKIES),
        ):
            assert anonymous.get(path + query, **headers).status_code in {200, 302}, (
                query,
                headers,
            )
    for method in ("PUT", "DELETE", "BREW", "TRACE"):
        assert anonymous(method, path).status_code in {200, 302, 403, 405}, method
