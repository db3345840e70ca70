"""Tokens: what a right signature does not excuse, which keys verify, and where a header counts."""

import hmac
import json
import time
from base64 import urlsafe_b64encode

import jwt
import pytest
from django.conf import settings as configured

from cinema.people.models import AuthSession
from tests.conftest import refusal
from tests.support.factories import a_customer, a_show

pytestmark = pytest.mark.django_db(transaction=True)

LEFT_OUT = object()
OTHER_KEY = "another key of at least thirty-two characters"
INVALID, EXPIRED, ABSENT = (
    (401, "token_invalid"),
    (401, "token_expired"),
    (401, "not_authenticated"),
)


def decoded(api) -> dict:
    return jwt.decode(api.token, options={"verify_signature": False})


def signed_by_hand(header: object, claims: object) -> str:
    """What the library would not sign."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.digest(configured.JWT_SIGNING_KEYS[0].encode(), b".".join(parts), "sha256")
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def forged(
    api, *, key: str | None = None, algorithm: str = "HS256", header: dict | None = None, **changes
) -> str:
    """The caller's own access token with other claims, rightly signed unless told otherwise."""
    claims = decoded(api) | changes
    claims = {name: value for name, value in claims.items() if value is not LEFT_OUT}
    return jwt.encode(
        claims, configured.JWT_SIGNING_KEYS[0] if key is None else key, algorithm, headers=header
    )


def ask(api, token: str):
    return api.get("/api/me/", Authorization=f"Bearer {token}")


def refresh_token(api, **changes) -> str:
    jti = AuthSession.objects.get(pk=api.caller.session_id).refresh_jti
    return forged(api, **{"token_type": "refresh", "jti": jti} | changes)


@pytest.mark.parametrize("claim", ["user_id", "sid"])
def test_an_odd_id_under_a_right_signature_is_refused(api, claim):
    for value in (
        "abc",
        "1",
        "",
        True,
        False,
        None,
        0,
        -1,
        1.0,
        2**63,
        2**70,
        [],
        {},
        [1],
        "\x00",
        LEFT_OUT,
    ):
        assert refusal(ask(api, forged(api, **{claim: value}))) == INVALID, value


def test_anothers_login_is_not_ones_own(api, other):
    assert refusal(ask(api, forged(api, user_id=other.caller.user_id))) == INVALID
    assert refusal(ask(api, forged(api, sid=other.caller.session_id))) == INVALID
    assert refusal(ask(api, forged(api, user_id=2**63 - 1, sid=2**63 - 1))) == INVALID


def test_a_missing_claim_is_refused(api):
    for claim in ("exp", "iat", "jti", "aud", "iss", "token_type"):
        assert refusal(ask(api, forged(api, **{claim: LEFT_OUT}))) == INVALID, claim


def test_an_odd_claim_under_a_right_signature_is_refused(api):
    for claims in (
        {"aud": "another-api"}, {"aud": []}, {"aud": 5}, {"aud": {"marquee-api": 1}},
        {"iss": "another"}, {"iss": ""},
        {"token_type": "refresh"}, {"token_type": "ACCESS"}, {"token_type": ["access"]}, {"token_type": None},
        {"jti": 5}, {"jti": None}, {"iat": "yesterday"}, {"iat": []}, {"nbf": 2**40}, {"sub": 5},
        {"exp": "tomorrow"}, {"exp": None}, {"exp": []}, {"exp": float("inf")}, {"exp": float("nan")},
    ):  # fmt: skip
        assert refusal(ask(api, forged(api, **claims))) == INVALID, claims


@pytest.mark.parametrize("iss", [[], None, 5])
def test_an_issuer_is_text(api, iss):
    token = signed_by_hand({"alg": "HS256", "typ": "JWT"}, decoded(api) | {"iss": iss})

    assert refusal(ask(api, token)) == INVALID


def test_a_token_of_the_past_has_expired(api):
    for exp in (1, 0, -1, -(2**70), 1.5):
        assert refusal(ask(api, forged(api, exp=exp))) == EXPIRED, exp


def test_a_token_expires_to_the_second(api):
    now = int(time.time())

    assert refusal(ask(api, forged(api, exp=now))) == EXPIRED
    assert ask(api, forged(api, exp=now + 30)).status_code == 200


def test_a_far_future_is_a_future(api):
    for exp in (2**40, 2**70, 10**300):
        assert ask(api, forged(api, exp=exp)).status_code == 200, exp


@pytest.mark.parametrize("exp", ["9999999999", True, 2.0**40])
def test_an_expiry_is_a_whole_number(api, exp):
    assert refusal(ask(api, forged(api, exp=exp)))[0] == 401


@pytest.mark.parametrize("jti", ["a\x00b", "\ud800", "x" * 400, ""])
@pytest.mark.parametrize("call", ["/api/token/refresh/", "/api/logout/"])
def test_an_odd_jti_of_a_refresh_token_is_refused(api, anonymous, call, jti):
    response = anonymous.post(call, {"refresh": refresh_token(api, jti=jti)})

    assert response.status_code < 500
    assert response.status_code in ({401} if "refresh" in call else {204, 401})


@pytest.mark.parametrize(
    "claims",
    [{"user_id": "abc"}, {"sid": 2**70}, {"sid": True}, {"aud": "another"}, {"exp": "never"}],
)
def test_an_odd_claim_of_a_refresh_token_is_refused(api, anonymous, claims):
    for call in ("/api/token/refresh/", "/api/logout/"):
        assert refusal(anonymous.post(call, {"refresh": refresh_token(api, **claims)})) == INVALID

    assert AuthSession.objects.live().count() == 1


def test_a_token_of_one_kind_is_not_the_other(api, anonymous):
    assert refusal(ask(api, refresh_token(api))) == INVALID
    assert refusal(anonymous.post("/api/token/refresh/", {"refresh": api.token})) == INVALID
    assert anonymous.post("/api/token/refresh/", {"refresh": refresh_token(api)}).status_code == 200


def test_an_expired_refresh_token_is_told_apart(api, anonymous):
    for call in ("/api/token/refresh/", "/api/logout/"):
        assert refusal(anonymous.post(call, {"refresh": refresh_token(api, exp=1)})) == EXPIRED


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_algorithm_is_pinned(api, algorithm):
    assert (
        refusal(ask(api, forged(api, key=configured.JWT_SIGNING_KEYS[0] * 2, algorithm=algorithm)))
        == INVALID
    )
    assert refusal(ask(api, forged(api, algorithm=algorithm))) == INVALID


def test_an_unsigned_token_is_refused(api):
    assert refusal(ask(api, forged(api, key="", algorithm="none"))) == INVALID
    assert refusal(ask(api, api.token.rpartition(".")[0] + ".")) == INVALID


def test_another_key_or_a_changed_token_is_refused(api):
    head, claims, signature = api.token.split(".")

    assert refusal(ask(api, forged(api, key=OTHER_KEY))) == INVALID
    assert refusal(ask(api, f"{head}.{claims[:-4]}AAAA.{signature}")) == INVALID
    assert refusal(ask(api, f"{head}.{claims}.{signature[:10]}")) == INVALID


@pytest.mark.parametrize(
    "header",
    [
        {"kid": 5},
        {"b64": False},
        {"crit": ["exp"]},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": "hs256"},
    ],
    ids=str,
)
def test_an_odd_token_header_is_refused(api, header):
    assert (
        refusal(ask(api, signed_by_hand({"alg": "HS256", "typ": "JWT"} | header, decoded(api))))
        == INVALID
    )


def test_odd_claims_altogether_are_refused(api):
    for claims in ([], None, 5, "text", [[]], {}):
        assert refusal(ask(api, signed_by_hand({"alg": "HS256"}, claims))) == INVALID, claims


@pytest.mark.parametrize("depth", [100, 560, 7000])
def test_a_deep_token_is_refused(api, depth):
    deep = urlsafe_b64encode(b"[" * depth).decode().rstrip("=")

    assert refusal(ask(api, f"{deep}.e30.c2ln")) == INVALID
    assert refusal(ask(api, f"e30.{deep}.c2ln")) == INVALID


def test_rotating_the_keys_logs_nobody_out(api, settings):
    old = settings.JWT_SIGNING_KEYS

    settings.JWT_SIGNING_KEYS = [OTHER_KEY, *old]
    assert ask(api, api.token).status_code == 200
    assert ask(api, forged(api, key=OTHER_KEY)).status_code == 200
    assert refusal(ask(api, forged(api, key=old[0], exp=1))) == EXPIRED

    settings.JWT_SIGNING_KEYS = [OTHER_KEY]
    assert refusal(ask(api, api.token)) == INVALID


def test_the_scheme_may_be_written_in_any_way(api):
    for form in ("Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "  Bearer {}  "):
        assert api.get("/api/me/", Authorization=form.format(api.token)).status_code == 200, form


def test_an_odd_header_is_refused(api):
    for header, answer in (
        ("", ABSENT), ("Bearer", ABSENT), ("Bearer ", ABSENT), ("Basic dXNlcjpwdw==", ABSENT), ("Token {}", ABSENT),
        ("{}", ABSENT), ("Bearer x", INVALID), ("Bearer {} {}", INVALID), ("Bearer {},{}", INVALID),
        ("Bearer Bearer {}", INVALID), ("Bearer é", INVALID), ("Bearer \u00b2.\u00b3.\u00b9", INVALID),
        ("Bearer " + "x" * 100_000, INVALID), ("Bearer ..", INVALID), ("Bearer undefined", INVALID),
        ("Bearer '{}'", INVALID),
    ):  # fmt: skip
        assert (
            refusal(api.get("/api/me/", Authorization=header.replace("{}", api.token))) == answer
        ), header[:40]


def test_every_401_says_how_to_authenticate(api, anonymous):
    a_customer("known")
    answers = [
        anonymous.get("/api/me/"),
        ask(api, "nonsense"),
        ask(api, forged(api, exp=1)),
        anonymous.post("/api/login/", {"username": "known", "password": "wrong"}),
        anonymous.post("/api/token/refresh/", {"refresh": "nonsense"}),
        anonymous.post(
            "/api/password-reset/confirm/", {"token": "x", "new_password": "another long one"}
        ),
    ]

    assert [answer.status_code for answer in answers] == [401] * 6
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


@pytest.mark.parametrize(
    "path",
    ["movies/", "movies/{movie}/", "movies/{movie}/shows/", "shows/{show}/", "shows/{show}/seats/"],
)
def test_on_public_reads_a_token_changes_nothing(api, anonymous, path):
    show = a_show()
    path = "/api/" + path.format(movie=show.movie_id, show=show.pk)
    plain = anonymous.get(path)
    assert plain.status_code == 200

    for header in (
        f"Bearer {api.token}",
        "Bearer nonsense",
        f"Bearer {forged(api, exp=1)}",
        "Bearer",
        "Basic x",
        "é",
    ):
        response = anonymous.get(path, Authorization=header)
        assert (response.status_code, response.content) == (200, plain.content)
