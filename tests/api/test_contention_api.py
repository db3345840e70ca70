"""Seat locks as a customer meets them: another's refuses, one's own passes."""

import pytest
from django_redis import get_redis_connection

from cinema.sales.models import Booking
from cinema.sales.seat_locks import lock_key
from tests.conftest import refusal
from tests.support.factories import a_show

pytestmark = pytest.mark.django_db(transaction=True)


def lock(show, seat, user_id) -> None:
    get_redis_connection("default").set(lock_key(show.pk, seat), f"{user_id}:token", ex=5)


@pytest.mark.parametrize("call", ["book", "hold"])
def test_a_seat_that_another_is_trying_for_is_contended(api, other, call):
    show = a_show()
    lock(show, 6, other.caller.user_id)

    response = api.post(f"/api/shows/{show.pk}/{call}/", {"seat_numbers": [5, 6]})

    assert refusal(response) == (409, "seat_contended")
    assert (response.headers["Retry-After"], response.json()["seats"]) == ("1", [6])
    assert not Booking.objects.exists()
    assert not get_redis_connection("default").exists(lock_key(show.pk, 5))
    assert api.post(f"/api/shows/{show.pk}/{call}/", {"seat_number": 5}).status_code == 201


def test_a_longer_number_is_another_customer(api):
    show = a_show()
    lock(show, 5, f"{api.caller.user_id}0")

    assert refusal(api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 5})) == (
        409,
        "seat_contended",
    )


def test_ones_own_seat_lock_lets_a_retry_pass(api):
    show = a_show()
    lock(show, 5, api.caller.user_id)

    assert api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 5}).status_code == 201


def test_no_lock_is_left_behind(api):
    show = a_show()

    api.post(f"/api/shows/{show.pk}/book/", {"seat_numbers": [5, 6]})
    api.post(f"/api/shows/{show.pk}/book/", {"seat_numbers": [5, 7]})

    redis = get_redis_connection("default")
    assert [redis.exists(lock_key(show.pk, seat)) for seat in (5, 6, 7)] == [0, 0, 0]
