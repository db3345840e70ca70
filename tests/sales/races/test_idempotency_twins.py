"""Twins of one keyed request, at once: one effect, one answer."""

import pytest

from cinema.sales import idempotency
from cinema.sales.models import Booking, BookingEvent, IdempotencyKey
from tests.conftest import refusal
from tests.support.factories import a_show
from tests.support.racing import race

pytestmark = pytest.mark.django_db(transaction=True)

TWINS = 20
REUSED = (422, "idempotency_key_reused")


def book(api, show, seat=5, key="k", **changes):
    return api.post(
        f"/api/shows/{show.pk}/book/", {"seat_number": seat}, Idempotency_Key=key, **changes
    )


def counts() -> tuple[int, int, int]:
    return Booking.objects.count(), BookingEvent.objects.count(), IdempotencyKey.objects.count()


def test_twenty_twins_have_one_effect_and_one_answer(api):
    show = a_show()

    answers = race(*[lambda: book(api, show)] * TWINS)

    won = {answer.content for answer in answers if answer.status_code == 201}
    assert len(won) == 1
    assert {refusal(answer) for answer in answers if answer.status_code != 201} <= {
        (409, "idempotency_in_progress")
    }
    assert counts() == (1, 1, 1)
    assert book(api, show).content in won


def test_twenty_twins_of_different_seats_sell_one(api):
    show = a_show()

    answers = race(*[lambda seat=seat: book(api, show, seat) for seat in range(1, TWINS + 1)])

    assert sorted(answer.status_code for answer in answers).count(201) == 1
    refused = {refusal(answer) for answer in answers if answer.status_code != 201}
    assert refused <= {REUSED, (409, "idempotency_in_progress")}
    assert counts() == (1, 1, 1)


def test_control_without_the_key_row_twins_sell_several(api, monkeypatch):
    """On every database: nothing but the row tells a twin from a new request."""
    monkeypatch.setattr(idempotency, "claim", lambda *_: True)
    show = a_show()

    answers = race(*[lambda seat=seat: book(api, show, seat) for seat in range(1, TWINS + 1)])

    assert sorted(answer.status_code for answer in answers).count(201) > 1
    assert Booking.objects.count() > 1


def test_twins_of_a_hold_confirm_and_cancel_have_one_effect(api):
    show = a_show()
    held = race(
        *[lambda: api.post(f"/api/shows/{show.pk}/hold/", {"seat_number": 5}, Idempotency_Key="h")]
        * 4
    )
    path = f"/api/bookings/{Booking.objects.get().pk}"
    confirmed = race(*[lambda: api.post(f"{path}/confirm/", Idempotency_Key="c")] * 4)
    cancelled = race(*[lambda: api.post(f"{path}/cancel/", Idempotency_Key="x")] * 4)

    for answers, status in ((held, 201), (confirmed, 200), (cancelled, 200)):
        assert len({answer.content for answer in answers if answer.status_code == status}) == 1
        assert {answer.status_code for answer in answers} <= {status, 409}
    assert list(BookingEvent.objects.values_list("kind", flat=True)) == [
        "held",
        "booked",
        "cancelled",
    ]
