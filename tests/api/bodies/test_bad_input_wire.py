"""What no client library sends: raw WSGI environments, as a server hands them on, with lies about
the body in them.
"""

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest

from project import wsgi
from tests.support.factories import a_hold, a_show
from tests.support.unchanged import nothing_changes

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_UP = b'{"username": "x", "email": "a@example.com", "password": "testpass123", "password_confirm": "testpass123"}'
INVALID, BAD_JSON, NOT_JSON = (422, "invalid"), (400, "bad_json"), (415, "unsupported_media_type")
TOO_LARGE, BAD_REQUEST = (413, "body_too_large"), (400, "bad_request")


@pytest.fixture
def hold(api):
    return a_hold(api.caller, a_show(), (2,))


@pytest.fixture(autouse=True)
def unchanged(hold, request):
    with nothing_changes():
        yield


class Broken(io.BytesIO):
    """The client goes away in the middle of its body."""

    def read(self, *_):
        raise OSError("connection reset")


def call(method="POST", path="/api/signup/", body=b"", **environ) -> tuple[int, str]:
    """Status and code. What is None is left out, as some servers do."""
    given = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.input": io.BytesIO(body),
    }
    given |= {
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost",
    } | environ
    setup_testing_defaults(given)
    answered = []
    told = wsgi.application(
        {name: value for name, value in given.items() if value is not None},
        lambda status, headers: answered.append((status, dict(headers))),
    )
    status, headers = answered[0]
    content = b"".join(told)
    problem = headers.get("Content-Type") == "application/problem+json"
    return int(status[:3]), json.loads(content)["code"] if problem else ""


TYPES = {
    "text/plain": NOT_JSON, "*/*": NOT_JSON,
    "application/json; charset*=x''%FF": NOT_JSON, "application/json; charset*=utf-8''utf-8": NOT_JSON,
    "application/json; charset*0*=hex''%00": NOT_JSON, "application/json; a*=rot13''b": NOT_JSON,
    'application/json; charset="': NOT_JSON, "application/json; charset=": NOT_JSON, ";": INVALID,
    "multipart/form-data; boundary*=x''%FF": NOT_JSON, "application/json;;;": INVALID, "application/json; =": INVALID,
    "application/json;" + " a=b;" * 5000: INVALID, None: INVALID, "": INVALID,
    "application/json\xff": NOT_JSON, "\x00": NOT_JSON, "application/json; charset=\xff": NOT_JSON,
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=repr)
def test_an_odd_content_type(kind):
    assert call(body=b"{}", CONTENT_TYPE=kind) == TYPES[kind]


@pytest.mark.parametrize(
    ("length", "body", "answer"),
    [
        ("70000", b"{}", TOO_LARGE), ("99999999999999999999", b"{}", TOO_LARGE), ("nonsense", SIGN_UP, BAD_REQUEST),
        ("-1", SIGN_UP, BAD_REQUEST), ("", SIGN_UP, INVALID), (None, SIGN_UP, INVALID), ("1e2", SIGN_UP, BAD_REQUEST),
        ("+5", SIGN_UP, BAD_REQUEST), ("5, 5", SIGN_UP, BAD_REQUEST), ("9" * 5000, SIGN_UP, BAD_REQUEST),
        ("\xb2", SIGN_UP, BAD_REQUEST), ("5\n", SIGN_UP, BAD_REQUEST), (" 5", SIGN_UP, BAD_REQUEST),
        ("5", SIGN_UP, BAD_JSON), ("1", SIGN_UP, BAD_JSON), ("500", SIGN_UP[:-1], BAD_JSON), ("0", SIGN_UP, INVALID),
    ],
)  # fmt: skip
def test_a_length_that_is_not_the_bodys(length, body, answer):
    assert call(body=body, CONTENT_LENGTH=length) == answer


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"{", BAD_JSON), (b"{}", INVALID), (b"", INVALID), (b" " * 65_537, TOO_LARGE), (b"[" * 65_536, BAD_JSON)],
    ids=["cut", "empty object", "nothing", "large", "deep"],
)  # fmt: skip
def test_a_body_in_chunks(body, answer):
    for length in (None, ""):
        assert call(body=body, CONTENT_LENGTH=length, HTTP_TRANSFER_ENCODING="chunked") == answer


@pytest.mark.parametrize("length", [None, "20"])
def test_a_client_that_goes_away_is_no_server_error(api, hold, length):
    chunked = {} if length else {"HTTP_TRANSFER_ENCODING": "chunked"}
    token = f"Bearer {api.token}"
    for path in ("/api/signup/", f"/api/bookings/{hold.pk}/cancel/"):
        answer = call(
            path=path,
            CONTENT_LENGTH=length,
            HTTP_AUTHORIZATION=token,
            **chunked,
            **{"wsgi.input": Broken()},
        )
        assert answer == BAD_REQUEST


@pytest.mark.parametrize(
    "path",
    [
        "/api/shows/\xff/",
        "/api/\x00/",
        "/api/shows/\xd9\xa1/",
        "/api/\xed\xa0\x80/",
        "/api/" + "\xff" * 500,
        "/api/\n",
    ],
)
def test_an_odd_path_is_not_found(path):
    for method in ("GET", "POST", "\xff", ""):
        assert call(method, path) == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["\xff=\xfe", "search=\xff", "limit=\x00", "a=\x00", "search=\xed\xa0\x80", "\x00"]
)
def test_an_odd_query_is_no_server_error(query):
    assert call("GET", "/api/movies/", QUERY_STRING=query)[0] in {200, 422}


@pytest.mark.parametrize(
    "method", ["", "BREW", "\xff", "A" * 5000, "get", "GET ", "\x00", "POST\n"]
)
def test_an_odd_method_is_not_allowed(method):
    assert call(method, "/api/signup/") == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": None}, {"REMOTE_ADDR": ""}, {"REMOTE_ADDR": "nonsense"}, {"QUERY_STRING": None},
        {"SERVER_PORT": "nonsense"}, {"SERVER_NAME": ""}, {"HTTP_COOKIE": "\xff=; a=\x00"},
        {"HTTP_AUTHORIZATION": "Bearer \xff"}, {"HTTP_IDEMPOTENCY_KEY": "\xff"}, {"HTTP_X_REQUEST_ID": "\xff\n"},
        {"HTTP_ORIGIN": "http://[\xff"}, {"HTTP_ACCEPT": "\xff"}, {"HTTP_X_FORWARDED_FOR": "\xff"},
        {"HTTP_RANGE": "\xff"}, {"SCRIPT_NAME": "/x"}, {"wsgi.url_scheme": "ftp"}, {"HTTP_EXPECT": "x"},
        {"HTTP_CONTENT_ENCODING": "gzip"},
    ],
    ids=lambda environ: next(iter(environ)),
)  # fmt: skip
def test_an_odd_environment_does_no_harm(environ):
    assert call("GET", "/api/movies/", CONTENT_LENGTH=None, **environ)[0] == 200


@pytest.mark.parametrize("host", [None, "", "\xff", "a b", "localhost:x", "[", "evil.example"])
def test_an_odd_host_is_a_bad_request(host):
    assert call("GET", "/api/movies/", HTTP_HOST=host, SERVER_NAME="evil.example") == BAD_REQUEST


def test_the_pages_outside_the_api_stand_it_too():
    for path in (
        "/",
        "/swagger/",
        "/admin/",
        "/admin/login/",
        "/livez",
        "/static/\xff",
        "/nothing\xff",
        "*",
        "",
    ):
        for environ in (
            {"CONTENT_TYPE": "a/b; c*=x''%FF"},
            {"QUERY_STRING": "\xff"},
            {"HTTP_COOKIE": "\x00"},
        ):
            assert call("GET", path, **environ)[0] < 500, (path, environ)


def test_a_content_type_that_django_cannot_read_would_be_a_server_error():
    """The control: without the guard in project/wsgi.py nobody catches it."""
    with pytest.raises((LookupError, ValueError)):
        wsgi.handler(
            {"REQUEST_METHOD": "GET", "CONTENT_TYPE": "a/b; c*=x''%FF", "wsgi.input": io.BytesIO()},
            None,
        )
