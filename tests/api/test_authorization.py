"""Who may do what: every operation of the OpenAPI document by every kind of caller, its answer
derived from rules.

1. An operation that declares no security answers everybody alike, whatever stands in the Authorization header.
2. One that does refuses every token but a live access token, and nothing changes behind the refusal.
3. What belongs to a customer is not there for anybody else, staff among them: they have the admin.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jwt
import pytest
from django.db.models.functions import Now

from cinema.api import auth
from cinema.infra.database.compiled import Compiled
from cinema.people import passwords, tokens
from cinema.people.models import AuthSession, LoginQuerySet, User
from cinema.sales import snapshots
from cinema.sales.models import Booking
from tests.api.test_surface import operations
from tests.conftest import Api, refusal
from tests.people.test_tokens import forged, refresh_token
from tests.support.factories import PASSWORD, a_caller, a_customer, a_hold, a_show, numbers
from tests.support.unchanged import contents

pytestmark = pytest.mark.django_db(transaction=True)

INVALID, NOT_FOUND = (401, "token_invalid"), (404, "not_found")


class World:
    """A customer with a hold, another one, one of staff, and something to sell."""

    def __init__(self) -> None:
        self.owner, self.other = Api(a_caller()), Api(a_caller())
        self.staff = Api(a_caller(a_customer(is_staff=True, is_superuser=True)))
        self.show = a_show()
        self.hold = a_hold(self.owner.caller, self.show, (5,))

    def address(self, path: str) -> str:
        return path.format(
            movie_id=self.show.movie_id, show_id=self.show.pk, booking_id=self.hold.pk
        )


class Place(NamedTuple):
    """How an operation is called so that it succeeds, by whoever may, and where its answer shows
    whose it is.
    """

    body: Callable[[World, Api], Any] = lambda world, api: None
    own: Callable[[dict, User], bool] = lambda told, user: True


def signing_up(world: World, api: Api) -> dict:
    name = f"new{next(numbers)}"
    return {
        "username": name,
        "email": f"{name}@example.com",
        "password": PASSWORD,
        "password_confirm": PASSWORD,
    }


NOTHING, REFRESH = Place(), Place(lambda world, api: {"refresh": refresh_token(world.other)})
OWN_ID = lambda told, user: told["id"] == user.pk  # noqa: E731
OWN_BOOKING = lambda told, user: Booking.objects.get(pk=told["id"]).user == user  # noqa: E731
OWN_LIST = lambda told, user: told["count"] == Booking.objects.filter(user=user).count()  # noqa: E731
NEW_PASSWORD = "another long enough one"
PLACES = {
    ("post", "/api/signup/"): Place(signing_up),
    ("post", "/api/login/"): Place(
        lambda world, _: {"username": world.other.user.username, "password": PASSWORD}
    ),
    ("post", "/api/token/refresh/"): REFRESH,
    ("post", "/api/logout/"): REFRESH,
    ("post", "/api/password-reset/"): Place(lambda world, _: {"email": world.other.user.email}),
    ("post", "/api/password-reset/confirm/"): Place(
        lambda world, _: {
            "token": passwords.reset_token(world.other.user),
            "new_password": NEW_PASSWORD,
        }
    ),
    ("get", "/api/me/"): Place(own=OWN_ID),
    ("patch", "/api/me/"): Place(lambda *_: {"first_name": "Tess"}, OWN_ID),
    ("post", "/api/me/password/"): Place(
        lambda *_: {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    ),
    ("get", "/api/movies/"): NOTHING,
    ("get", "/api/movies/{movie_id}/"): NOTHING,
    ("get", "/api/movies/{movie_id}/shows/"): NOTHING,
    ("get", "/api/shows/{show_id}/"): NOTHING,
    ("get", "/api/shows/{show_id}/seats/"): NOTHING,
    ("get", "/api/shows/{show_id}/seats.svg"): NOTHING,
    ("post", "/api/shows/{show_id}/book/"): Place(lambda *_: {"seat_number": 7}, OWN_BOOKING),
    ("post", "/api/shows/{show_id}/hold/"): Place(
        lambda world, api: {"seat_number": 5 if api is world.owner else 7}, OWN_BOOKING
    ),
    ("post", "/api/bookings/{booking_id}/confirm/"): Place(own=OWN_BOOKING),
    ("post", "/api/bookings/{booking_id}/cancel/"): Place(own=OWN_BOOKING),
    ("get", "/api/my-bookings/"): Place(own=OWN_LIST),
    ("get", "/api/bookings/{booking_id}/"): Place(own=OWN_BOOKING),
}
OPERATIONS = pytest.mark.parametrize(
    ("method", "path", "told"),
    [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in operations()],
)


def ask(world: World, api: Api, method: str, path: str, **headers):
    return api(
        method.upper(), world.address(path), PLACES[method, path].body(world, api), **headers
    )


def inactive(_: World) -> str:
    api = Api(a_caller())
    User.objects.filter(pk=api.caller.user_id).update(is_active=False)
    return api.token


def of_an_ended_login(_: World) -> str:
    api = Api(a_caller())
    AuthSession.objects.filter(pk=api.caller.session_id).revoke()
    return api.token


def of_an_old_password(_: World) -> str:
    api = Api(a_caller())
    passwords.change_password(api.user, PASSWORD, NEW_PASSWORD)
    return api.token


def of_a_deleted_account(_: World) -> str:
    api = Api(a_caller())
    User.objects.filter(pk=api.caller.user_id).delete()
    return api.token


OTHER_KEY = "another key of at least thirty-two characters"
BEARERS = {
    "inactive": (inactive, INVALID),
    "login ended": (of_an_ended_login, INVALID),
    "password changed": (of_an_old_password, INVALID),
    "account deleted": (of_a_deleted_account, INVALID),
    "refresh token": (lambda world: refresh_token(world.owner), INVALID),
    "expired": (lambda world: forged(world.owner, exp=1), (401, "token_expired")),
    "another key": (lambda world: forged(world.owner, key=OTHER_KEY), INVALID),
    "unsigned": (lambda world: forged(world.owner, key="", algorithm="none"), INVALID),
    "nonsense": (lambda _: "nonsense", INVALID),
}
ABSENT = (401, "not_authenticated")
HEADERS = {
    "anonymous": (lambda _: "", ABSENT),
    "another scheme": (lambda _: "Basic Y2xlcms6cHc=", ABSENT),
    "no scheme": (lambda world: world.owner.token, ABSENT),
}


def authorization(world: World, who: str) -> tuple[str, tuple[int, str]]:
    """What a caller that is nobody sends as his Authorization, and how he is refused."""
    if who in HEADERS:
        make, answer = HEADERS[who]
        return make(world), answer
    make, answer = BEARERS[who]
    return f"Bearer {make(world)}", answer


def success(told: dict) -> int:
    """The status of a call that does something: of two, 201 is the one that made it."""
    return max(int(status) for status in told["responses"] if status.startswith("2"))


def test_every_operation_has_its_place():
    assert {(method, path) for method, path, _ in operations()} == set(PLACES)


def require_refusal(world: World, method: str, path: str) -> None:
    callers = {who: authorization(world, who) for who in [*BEARERS, *HEADERS]}
    before = contents()

    for who, (header, answer) in callers.items():
        response = ask(world, Api(), method, path, Authorization=header)
        assert refusal(response) == answer, who
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert contents() == before, who


def require_ones_own(world: World, method: str, path: str, told: dict, who: str) -> None:
    api = getattr(world, who)
    user, before = api.user, contents()

    response = ask(world, api, method, path)

    if "security" in told and "{booking_id}" in path and who != "owner":
        nowhere = api(method.upper(), path.format(booking_id=2**40))
        assert refusal(response) == refusal(nowhere) == NOT_FOUND
        assert response.json() | {"request_id": ""} == nowhere.json() | {"request_id": ""}
        assert contents() == before
    else:
        assert response.status_code in {success(told), 200}, response.content
        picture = response.headers["Content-Type"] == "image/svg+xml"
        assert (
            picture
            or not response.content
            or PLACES[method, path].own(json.loads(response.content), user)
        )
        assert method != "get" or contents() == before


@OPERATIONS
def test_who_has_no_right_is_refused_and_changes_nothing(method, path, told):
    if "security" in told:
        require_refusal(World(), method, path)


@OPERATIONS
@pytest.mark.parametrize("who", ["owner", "other", "staff"])
def test_a_customer_is_answered_and_has_what_is_his_own(method, path, told, who):
    require_ones_own(World(), method, path, told, who)


@OPERATIONS
def test_what_needs_no_token_answers_everybody_alike(method, path, told):
    if "security" in told:
        return
    for who in [*BEARERS, *HEADERS]:
        world = World()
        header, _ = authorization(world, who)

        assert ask(world, Api(), method, path, Authorization=header).status_code == success(told), (
            who
        )


def break_the_kind(monkeypatch) -> None:
    """Tokens of any kind, and of any age."""

    def read(raw: str, kind: str) -> tokens.Claims:
        claims = jwt.decode(raw, options={"verify_signature": False})
        return tokens.Claims(claims["user_id"], claims["sid"], claims["jti"], claims["exp"])

    monkeypatch.setattr(tokens, "read", read)


class Anybodys:
    """Bookings, whoever asks."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def filter(self, user: User, **which: Any) -> Any:
        return self.rows.filter(**which)


def test_a_login_that_nobody_asks_for_would_be_seen(monkeypatch):
    monkeypatch.setattr(LoginQuerySet, "live", lambda rows: rows.all())

    with pytest.raises(AssertionError):
        require_refusal(World(), "get", "/api/me/")


def test_a_kind_of_token_that_nobody_asks_for_would_be_seen(monkeypatch):
    break_the_kind(monkeypatch)

    with pytest.raises(AssertionError):
        require_refusal(World(), "get", "/api/me/")


def test_an_owner_whom_nobody_asks_for_would_be_seen(monkeypatch):
    world, real = World(), snapshots.booking_rows
    monkeypatch.setattr(snapshots, "booking_rows", lambda: Anybodys(real()))
    monkeypatch.setattr(snapshots, "NEWEST", Compiled(snapshots.NEWEST.build))  # written anew

    for path in ("/api/bookings/{booking_id}/", "/api/my-bookings/"):
        told = next(told for method, one, told in operations() if (method, one) == ("get", path))
        with pytest.raises(AssertionError):
            require_ones_own(world, "get", path, told, "other")


def test_a_change_behind_a_refusal_would_be_seen(monkeypatch):
    real = auth.tokens.read

    def read(raw: str, kind: str) -> tokens.Claims:
        Booking.objects.update(updated_at=Now())
        return real(raw, kind)

    monkeypatch.setattr(auth.tokens, "read", read)

    with pytest.raises(AssertionError, match="inactive"):
        require_refusal(World(), "get", "/api/me/")
