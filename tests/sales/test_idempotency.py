"""Idempotency keys: one effect and one answer for a request and all its repeats."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from cinema.people.models import AuthSession
from cinema.sales import idempotency
from cinema.sales.models import Booking, BookingEvent, IdempotencyKey
from tests.conftest import refusal
from tests.support.factories import a_booking, a_hold, a_show

pytestmark = pytest.mark.django_db(transaction=True)

REUSED = (422, "idempotency_key_reused")


def book(api, show, seat=5, key="k", **changes):
    return api.post(
        f"/api/shows/{show.pk}/book/", {"seat_number": seat}, Idempotency_Key=key, **changes
    )


def counts() -> tuple[int, int, int]:
    return Booking.objects.count(), BookingEvent.objects.count(), IdempotencyKey.objects.count()


def age(**by) -> None:
    IdempotencyKey.objects.update(created_at=Now() - timedelta(**by))


def test_a_repeat_gets_the_first_answer_and_changes_nothing(api):
    show = a_show()
    first = book(api, show)

    repeats = [book(api, show) for _ in range(3)]

    assert first.status_code == 201
    assert {(repeat.status_code, repeat.content) for repeat in repeats} == {(201, first.content)}
    assert {repeat.headers["Content-Type"] for repeat in repeats} == {"application/json"}
    assert counts() == (1, 1, 1)


def test_a_repeat_gets_the_answer_of_then_whatever_came_since(api):
    show = a_show()
    first = book(api, show)
    api.post(f"/api/bookings/{first.json()['id']}/cancel/")

    repeat = book(api, show)

    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert Booking.objects.get().status == "cancelled"


def test_without_a_key_a_repeat_is_a_new_request(api):
    show = a_show()
    first = api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 5})

    assert first.status_code == 201
    assert refusal(api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 5})) == (
        409,
        "seat_taken",
    )
    assert counts() == (1, 1, 0)


def test_a_keyed_hold_keeps_its_201(api):
    path, body = f"/api/shows/{a_show().pk}/hold/", {"seat_numbers": [5, 6]}
    first = api.post(path, body, Idempotency_Key="k")

    repeat = api.post(path, body, Idempotency_Key="k")

    assert first.status_code == 201
    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert api.post(path, body, Idempotency_Key="k2").status_code == 200
    assert counts() == (1, 1, 2)


@pytest.mark.parametrize(("call", "make"), [("confirm", a_hold), ("cancel", a_booking)])
def test_confirm_and_cancel_take_keys_without_a_body(api, call, make):
    path = f"/api/bookings/{make(api.caller).pk}/{call}/"

    first = api.post(path, Idempotency_Key="k")
    repeat = api.post(path, Idempotency_Key="k")
    with_braces = api.post(path, {}, Idempotency_Key="k")

    assert first.status_code == 200
    assert (repeat.status_code, repeat.content) == (200, first.content)
    assert (with_braces.status_code, with_braces.content) == (200, first.content)
    assert counts() == (1, 2, 1)


def test_another_request_with_the_same_key_is_refused(api):
    show, second_show = a_show(), a_show()
    first = book(api, show)
    booking = first.json()["id"]
    before = counts()

    others = [
        book(api, show, seat=6),
        book(api, second_show),
        api.post(f"/api/shows/{show.pk}/book/", {"seat_numbers": [5]}, Idempotency_Key="k"),
        api.post(f"/api/shows/{show.pk}/hold/", {"seat_number": 5}, Idempotency_Key="k"),
        api.post(f"/api/bookings/{booking}/cancel/", Idempotency_Key="k"),
        api.post(f"/api/bookings/{booking}/confirm/", Idempotency_Key="k"),
    ]

    assert [refusal(other) for other in others] == [REUSED] * 6
    assert counts() == before
    assert book(api, show).content == first.content


def test_the_body_counts_by_what_it_says_and_not_by_its_spelling(api):
    path = f"/api/shows/{a_show().pk}/book/"
    spellings = [b'{"seat_number":5}', b' {\n"seat_number" : 5 } ', b'{"seat\\u005fnumber": 5}']

    answers = [api("POST", path, raw=raw, Idempotency_Key="k") for raw in spellings]

    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201, answers[0].content)
    }
    assert counts() == (1, 1, 1)


def test_the_order_in_a_body_does_not_matter_to_the_fingerprint():
    first = idempotency.key_from("k", "POST", "/p/", {"a": 1, "b": {"c": 2, "d": 3}})
    other_order = idempotency.key_from("k", "POST", "/p/", {"b": {"d": 3, "c": 2}, "a": 1})

    assert first == other_order
    for method, path, body in (("PUT", "/p/", {}), ("POST", "/q/", {}), ("POST", "/p/", {"a": 1})):
        changed = idempotency.key_from("k", method, path, body)
        assert changed.sha256 == first.sha256
        assert changed.fingerprint != idempotency.key_from("k", "POST", "/p/", {}).fingerprint


def test_a_key_is_its_customers_own(api, other):
    show = a_show()

    mine, theirs = book(api, show, seat=5), book(other, show, seat=6)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert counts() == (2, 2, 2)


def test_keys_differ_by_case(api):
    show = a_show()

    answers = [
        book(api, show, seat, key)
        for seat, key in ((1, "key"), (2, "KEY"), (3, "Key"), (4, "key2"))
    ]

    assert [answer.status_code for answer in answers] == [201] * 4
    assert book(api, show, 1, "key").content == answers[0].content


def test_any_printable_ascii_is_a_key(api):
    show = a_show()

    for seat, key in enumerate(
        ("x", "k" * 255, "a b", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "0"), start=1
    ):
        assert book(api, show, seat, key).status_code == 201
        assert book(api, show, seat, key).status_code == 201
    assert counts() == (5, 5, 5)


@pytest.mark.parametrize("call", ["book", "hold", "confirm", "cancel"])
def test_odd_keys_are_refused(api, call):
    show, mine = a_show(), a_hold(api.caller)
    before = counts()

    for odd in ("", "k" * 256, "é", "ключ", "a\tb", "a\x00b", "a\x7f", "a\nb", "a\x1b"):
        if call in {"book", "hold"}:
            response = api.post(
                f"/api/shows/{show.pk}/{call}/", {"seat_number": 5}, Idempotency_Key=odd
            )
        else:
            response = api.post(f"/api/bookings/{mine.pk}/{call}/", Idempotency_Key=odd)
        assert refusal(response) == (400, "bad_idempotency_key"), odd
    assert counts() == before


def test_a_refusal_leaves_no_row_and_the_key_is_free_again(api):
    show = a_show(total_seats=10)
    theirs = a_booking(show=show, seats=(5,))

    assert refusal(book(api, show)) == (409, "seat_taken")
    assert refusal(book(api, show, seat=11)) == (422, "seat_out_of_range")
    assert refusal(book(api, show, seat="5")) == (422, "invalid")
    assert IdempotencyKey.objects.count() == 0

    theirs.seats.update(taken=None)
    assert book(api, show).status_code == 201


def test_a_key_older_than_a_day_is_new(api):
    show = a_show()
    first = book(api, show)

    age(hours=23, minutes=59)
    assert book(api, show).content == first.content
    assert idempotency.purge() == 0

    age(hours=24, seconds=1)
    assert refusal(book(api, show)) == (409, "seat_taken")
    assert book(api, show, seat=6).status_code == 201
    assert IdempotencyKey.objects.count() == 1


def test_purge_deletes_what_no_longer_counts(api):
    show = a_show()
    book(api, show, 1, "old")
    age(hours=24, seconds=1)
    book(api, show, 2, "new")

    assert idempotency.purge() == 1

    assert IdempotencyKey.objects.count() == 1
    assert book(api, show, 2, "new").status_code == 201


def test_the_callers_right_is_asked_before_any_replay(api):
    show = a_show()
    book(api, show)
    AuthSession.objects.update(revoked_at=Now())

    assert refusal(book(api, show)) == (401, "token_invalid")
    assert counts() == (1, 1, 1)


def test_the_key_itself_is_not_stored(api):
    book(api, a_show(), key="my-secret-key")

    row = IdempotencyKey.objects.values().get()
    assert (row["user_id"], row["status"]) == (api.caller.user_id, 201)
    assert not any("my-secret-key" in str(value) for value in row.values())
