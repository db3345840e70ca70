"""Throttles: counted per account and per address, in one step, and stricter where Redis is away."""

import time

import pytest
from django_redis import get_redis_connection

from cinema.infra import throttles
from cinema.people.models import User
from cinema.sales.models import Booking
from tests.conftest import refusal
from tests.support.factories import a_customer, a_show
from tests.support.racing import kinds, race

pytestmark = pytest.mark.django_db(transaction=True)

THROTTLED = (429, "throttled")
DAY = 86_400  # a window that no test outlives, but at midnight


@pytest.fixture(autouse=True)
def not_at_midnight():
    """Windows are cut from the clock: wait where one is about to end."""
    left = DAY - time.time() % DAY
    if left < 20:
        time.sleep(left + 1)


def log_in(api, name="known", password="wrong", address="203.0.113.1", **headers) -> int:
    response = api.client.post(
        "/api/login/",
        {"username": name, "password": password},
        content_type="application/json",
        REMOTE_ADDR=address,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )
    assert response.status_code in {200, 401, 429}
    if response.status_code == 429:
        assert refusal(response) == THROTTLED
        assert 1 <= int(response.headers["Retry-After"]) <= DAY
    return response.status_code


def tries(api, times: int, **how) -> list[int]:
    return [log_in(api, **how) for _ in range(times)]


def test_logins_are_counted_per_address(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (3, DAY)}

    assert [log_in(anonymous, f"name{number}") for number in range(4)] == [401, 401, 401, 429]
    assert log_in(anonymous, "name9", address="203.0.113.2") == 401


def test_logins_are_counted_per_account_in_any_spelling(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (3, DAY)}
    spellings = ["known", "KNOWN", "ｋｎｏｗｎ", "Known"]

    answers = [
        log_in(anonymous, name, address=f"203.0.113.{n}") for n, name in enumerate(spellings)
    ]

    assert answers == [401, 401, 401, 429]
    assert log_in(anonymous, "another", address="203.0.113.9") == 401


def test_a_throttled_login_says_nothing_of_the_password(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (1, DAY)}
    a_customer("known")

    assert tries(anonymous, 2, password="wrong") == [401, 429]
    assert log_in(anonymous, password="a long enough passphrase") == 429


def test_a_forwarded_address_counts_for_nothing_without_proxies(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (3, DAY)}

    answers = [log_in(anonymous, f"name{n}", X_Forwarded_For=f"198.51.100.{n}") for n in range(4)]

    assert answers == [401, 401, 401, 429]


@pytest.mark.parametrize(("proxies", "behind"), [(1, ""), (2, ", 10.0.0.1")])
def test_behind_proxies_the_entry_that_ours_wrote_counts(anonymous, settings, proxies, behind):
    settings.THROTTLES = settings.THROTTLES | {"login": (3, DAY)}
    settings.NUM_PROXIES = proxies

    def answer(n, client):
        spoofed = f"198.51.100.{n}, 192.0.2.{n}, {client}{behind}"
        return log_in(anonymous, f"name{n}", address="10.0.0.9", X_Forwarded_For=spoofed)

    assert [answer(n, "203.0.113.7") for n in range(4)] == [401, 401, 401, 429]
    assert answer(9, "203.0.113.8") == 401


def test_too_few_entries_are_the_peers_own(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, DAY)}
    settings.NUM_PROXIES = 2

    answers = [log_in(anonymous, f"name{n}", X_Forwarded_For=f"198.51.100.{n}") for n in range(3)]

    assert answers == [401, 401, 429]


def test_sign_ups_are_counted_per_address(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"signup": (2, DAY)}

    def sign_up(name, address="203.0.113.1"):
        body = {
            "username": name,
            "email": f"{name}@example.com",
            "password": "testpass123",
            "password_confirm": "testpass123",
        }
        return anonymous.client.post(
            "/api/signup/", body, content_type="application/json", REMOTE_ADDR=address
        )

    assert [sign_up(name).status_code for name in "abc"] == [201, 201, 429]
    assert refusal(sign_up("d")) == THROTTLED
    assert User.objects.count() == 2
    assert sign_up("e", "203.0.113.2").status_code == 201


def test_bookings_are_counted_per_customer(api, other, settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (2, DAY)}
    show = a_show()

    def call(client, seat, verb="book"):
        return client.post(f"/api/shows/{show.pk}/{verb}/", {"seat_number": seat})

    assert [call(api, 1).status_code, call(api, 2, "hold").status_code] == [201, 201]
    response = call(api, 3)
    assert refusal(response) == THROTTLED
    assert int(response.headers["Retry-After"]) >= 1
    assert refusal(call(api, 3, "hold")) == THROTTLED
    assert Booking.objects.count() == 2
    assert call(other, 3).status_code == 201
    assert api.get("/api/my-bookings/").status_code == 200


def test_a_password_cannot_be_guessed_through_the_other_doors(api, anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (2, DAY)}
    body = {"old_password": "wrong", "new_password": "another long one"}

    answers = [api.post("/api/me/password/", body).status_code for _ in range(3)]
    resets = [
        anonymous.post("/api/password-reset/", {"email": "a@example.com"}).status_code
        for _ in range(3)
    ]

    assert answers == [422, 422, 429]
    assert resets == [202, 202, 429]


def test_an_empty_throttle_is_off(anonymous, settings):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)
    settings.AXES_ENABLED = False

    assert set(tries(anonymous, 30)) == {401}


def test_the_count_starts_again_with_the_next_window(settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (1, 1)}
    throttles.check("booking", "somebody")
    time.sleep(1.05)

    throttles.check("booking", "somebody")


def test_counts_are_kept_no_longer_than_their_window(settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (5, 60)}

    throttles.check("booking", "somebody")

    redis = get_redis_connection("default")
    (key,) = redis.keys("*throttle*")
    assert 0 < redis.ttl(key) <= 60
    assert b"somebody" not in key


@pytest.mark.parametrize("where", ["redis", "local"])
def test_of_sixteen_at_once_exactly_so_many_pass(settings, where):
    settings.THROTTLES = settings.THROTTLES | {"booking": (5, DAY)}
    if where == "local":
        settings.REDIS_URL = ""

    results = race(*[lambda: throttles.check("booking", "somebody")] * 16)

    assert kinds(results) == {"NoneType": 5, "Throttled": 11}
