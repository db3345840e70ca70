"""Two customers log in and refresh in threads beside each other: every token names the one who
asked for it.
"""

import time
from itertools import cycle, islice

import pytest
from django.db import connection

from cinema.people import logins, tokens
from tests.conftest import Api
from tests.support.factories import PASSWORD, a_customer
from tests.support.racing import race

pytestmark = pytest.mark.django_db(transaction=True)

# 1 000 logins and 1 000 refreshes; two fifths of it where the database has less to mix up, with one
# writer or one way
THREADS, ROUNDS = 8, 125 if connection.vendor == "postgresql" else 50


def post(api, path, body) -> dict:
    response = api.post(path, body)
    assert response.status_code == 200, response.content
    return response.json()


def named(api, pair) -> set:
    """Everybody whom these two tokens name, signed or asked."""
    claims = [tokens.read(pair[kind], kind).user_id for kind in ("access", "refresh")]
    return {*claims, api.get("/api/me/", Authorization=f"Bearer {pair['access']}").json().get("id")}


def in_and_on(users, rounds) -> list[str]:
    """What went wrong when each of them logged in and refreshed in turn, `rounds` times in all."""
    api, wrong = Api(), []
    for user in islice(cycle(users), rounds):
        pair = post(api, "/api/login/", {"username": user.username, "password": PASSWORD})
        found = [named(api, pair)]
        pair = post(api, "/api/token/refresh/", {"refresh": pair["refresh"]})
        found += [named(api, pair)]
        wrong += [f"{user.pk} got tokens of {found}"] if found != [{user.pk}, {user.pk}] else []
    return wrong


def mixed_up(rounds: int) -> list[str]:
    one, two = a_customer(), a_customer()
    acts = [
        lambda users=users: in_and_on(users, rounds)
        for users in islice(cycle([(one, two), (two, one)]), THREADS)
    ]
    results = race(*acts)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [line for result in results for line in result]


def test_of_all_logins_and_refreshes_every_token_names_its_caller():
    assert mixed_up(ROUNDS) == []


def test_a_token_that_threads_share_would_be_seen(monkeypatch):
    """The control: claims that stand in one place for all threads, as a library's once did."""
    shared = {}
    real = tokens.sign

    def sign(user_id, session_id, jti):
        shared.update(user_id=user_id, session_id=session_id, jti=jti)
        time.sleep(0.001)
        return real(shared["user_id"], shared["session_id"], shared["jti"])

    monkeypatch.setattr(logins.tokens, "sign", sign)

    with pytest.raises(AssertionError):
        assert mixed_up(8) == []
