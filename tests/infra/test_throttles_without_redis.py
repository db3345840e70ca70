"""Throttles with Redis down, silent or full: counted in this process, by half, and never a server
error.
"""

import socket
from contextlib import contextmanager

import pytest
from django_redis import get_redis_connection

from cinema.errors import Throttled
from cinema.infra import redis, throttles
from cinema.sales.models import Booking
from tests.support.factories import a_show
from tests.support.racing import race
from tests.support.services import free_port, start_redis
from tests.support.suite.patience import own_time

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400  # a window that no test outlives, but at midnight


@contextmanager
def redis_at(settings, port: int):
    """What a fresh thread meets when it asks for Redis: each thread has a connection of its own."""
    there = settings.CACHES
    settings.CACHES = there | {
        "default": there["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}
    }
    try:
        yield
    finally:
        settings.CACHES = there


def in_a_fresh_thread(act):
    (result,) = race(act)
    if isinstance(result, Exception):
        raise result
    return result


def log_in(api, name) -> int:
    response = api.post("/api/login/", {"username": name, "password": "wrong"})
    assert response.status_code in {401, 429}
    return response.status_code


def test_with_redis_down_calls_are_counted_here_and_by_half(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (6, DAY)}

    with redis_at(settings, free_port()):
        answers = in_a_fresh_thread(lambda: [log_in(anonymous, f"name{n}") for n in range(8)])

    assert answers == [401, 401, 401, 429, 429, 429, 429, 429]
    assert redis.breaker.is_open


def test_with_redis_down_bookings_are_counted_too(api, settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (4, DAY)}
    path = f"/api/shows/{a_show().pk}/book/"

    with redis_at(settings, free_port()):
        answers = in_a_fresh_thread(
            lambda: [api.post(path, {"seat_number": n}).status_code for n in range(1, 5)]
        )

    assert answers == [201, 201, 429, 429]
    assert Booking.objects.count() == 2


def test_with_redis_down_one_call_is_always_let_through(settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (1, DAY)}

    with redis_at(settings, free_port()):
        in_a_fresh_thread(lambda: throttles.check("booking", "somebody"))
        with pytest.raises(Throttled):
            in_a_fresh_thread(lambda: throttles.check("booking", "somebody"))


def test_a_silent_redis_holds_nobody_up(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (6, DAY)}

    def slowest() -> float:
        seconds = []
        for number in range(5):
            started = own_time()
            log_in(anonymous, f"name{number}")
            seconds.append(own_time() - started)
        return max(seconds)

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        redis_at(settings, silent.getsockname()[1]),
    ):
        assert in_a_fresh_thread(slowest) < 1


def test_a_redis_that_cannot_write_is_no_server_error(anonymous, settings):
    settings.THROTTLES = settings.THROTTLES | {"login": (6, DAY)}
    port = free_port()
    server = start_redis(port)

    try:
        with redis_at(settings, port):
            get_redis_connection("default").config_set("maxmemory", 1)
            answers = in_a_fresh_thread(lambda: [log_in(anonymous, f"name{n}") for n in range(5)])
    finally:
        server.kill()
        server.wait()

    assert answers == [401, 401, 401, 429, 429]
