"""Each breach of a promise is told by exactly its invariant, and sound facts by none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from cinema.people.models import User
from cinema.sales import bookings
from cinema.sales.models import BookingSeat
from tests.conftest import Api
from tests.faults.invariants.facts import Facts, Usage
from tests.faults.invariants.promises import INVARIANTS, breaches
from tests.faults.invariants.world import (
    HOLD_SECONDS,
    LEASE_SECONDS,
    NOW,
    SEATS_OF_A_SHOW,
    STARTS_AT,
    Mail,
    World,
    a_sound_world,
    forget,
)
from tests.faults.run.journal import Journal
from tests.support.factories import a_booking, a_caller, a_clerk, a_show

MiB = 2**20
Change = Callable[[World], Any]
BREACHES: dict[str, list[Change]] = {}


def breach(invariant: str) -> Callable[[Change], Change]:
    def note(change: Change) -> Change:
        BREACHES.setdefault(invariant, []).append(change)
        return change

    return note


@breach("no_seat_is_live_twice")
def a_booked_seat_is_booked_again(world: World):
    world.sold("book", NOW - 5, seats=(1,))


@breach("no_seat_is_live_twice")
def a_seat_under_a_live_hold_is_booked_whatever_the_marker_says(world: World):
    world.sold("book", NOW - 1, user=3, seats=(3,))


@breach("live_times_never_overlap")
def a_seat_was_sold_twice_for_a_while(world: World):
    world.cancelled(world.sold("book", NOW - 20, seats=(1,)), NOW - 10)


@breach("live_times_never_overlap")
def a_hold_was_taken_over_before_its_end(world: World):
    world.cancelled(world.sold("book", NOW - 68, user=3, seats=(2,)), NOW - 66)


@breach("acknowledged_bookings_stand")
def an_acknowledged_booking_is_gone(world: World):
    answer = world.told(1) | {"id": 99}
    world.call("book", NOW - 3, seats=(6,), answer=answer, status=201)


@breach("acknowledged_bookings_stand")
def a_confirmed_booking_has_expired(world: World):
    hold = world.sold("hold", NOW - 20, seats=(7,))
    world.call("confirm", NOW - 19, booking=hold, answer=world.told(hold) | {"status": "booked"})
    world.expired(hold, NOW - 12)


@breach("acknowledged_bookings_stand")
def a_cancel_that_answered_200_did_nothing(world: World):
    booked = world.sold("book", NOW - 20, seats=(7,))
    world.call(
        "cancel", NOW - 19, booking=booked, answer=world.told(booked) | {"status": "cancelled"}
    )


@breach("acknowledged_bookings_stand")
def a_booking_has_other_seats_than_it_was_told(world: World):
    booked = world.sold("book", NOW - 20, seats=(7,))
    world.journal.calls[-1].answer = world.told(booked) | {"seat_numbers": [7, 8]}


@breach("acknowledged_bookings_stand")
def a_booking_is_told_to_another_customer(world: World):
    world.call(
        "booking",
        NOW - 5,
        user=1,
        booking=2,
        method="GET",
        path="/api/bookings/2/",
        answer=world.told(2),
    )


@breach("acknowledged_bookings_stand")
def a_hold_that_had_run_out_is_booked_after_all(world: World):
    world.refused("confirm", NOW - 74, 410, "hold_expired", user=2, booking=2)


@breach("nothing_happens_unasked")
def a_refused_call_booked(world: World):
    world.sold("book", NOW - 5, seats=(8,))
    world.journal.calls.pop()
    world.refused("book", NOW - 5, 409, "seat_contended", seats=(8,), headers={"retry-after": "1"})


@breach("nothing_happens_unasked")
def one_unknown_call_booked_twice(world: World):
    for _ in range(2):
        world.cancelled(world.sold("book", NOW - 5, seats=(8,)), NOW - 4.9)
        world.journal.calls = [
            call for call in world.journal.calls if call.path != "/api/shows/1/book/" or call.key
        ]
        world.events[-2][3] = world.bookings[len(world.bookings)][7]
    world.events[-2][3] = world.events[-1][3] = NOW - 4.9
    world.unknown("book", NOW - 5, seats=(8,))


@breach("nothing_happens_unasked")
def a_repeat_of_a_key_hears_seat_taken_by_its_own_first_attempt(world: World):
    world.sold("book", NOW - 5, seats=(8,), key="k9")
    call = world.journal.calls[-1]
    forget(call)
    world.refused("book", NOW - 4, 409, "seat_taken", seats=(8,), key="k9", extra={"seats": [8]})


@breach("nothing_happens_unasked")
def a_booking_is_cancelled_and_nobody_asked(world: World):
    world.cancelled(world.sold("book", NOW - 5, seats=(8,)), NOW - 4)
    world.journal.calls.pop()


@breach("nothing_happens_unasked")
def a_refused_confirm_booked(world: World):
    world.confirmed(world.sold("hold", NOW - 5, seats=(8,)), NOW - 4)
    world.journal.calls.pop()
    world.refused(
        "confirm", NOW - 4, 409, "seat_contended", booking=7, headers={"retry-after": "1"}
    )


@breach("one_answer_per_key")
def a_repeat_has_another_body(world: World):
    world.call(
        "book", NOW - 95, seats=(1, 2), key="k1", answer=world.told(1) | {"more": 1}, status=201
    )


@breach("one_answer_per_key")
def a_repeat_of_an_answered_key_is_refused(world: World):
    world.refused(
        "book",
        NOW - 80,
        409,
        "seat_contended",
        seats=(1, 2),
        key="k1",
        headers={"retry-after": "1"},
    )


@breach("keys_keep_successes_alone")
def a_refusal_is_kept(world: World):
    world.keys.append((1, 409))


@breach("taken_seats_are_taken")
def a_seat_is_refused_behind_its_cancel(world: World):
    world.refused("book", NOW - 38.5, 409, "seat_taken", user=3, seats=(2,), extra={"seats": [2]})


@breach("taken_seats_are_taken")
def a_stale_hold_blocks_its_seat(world: World):
    world.refused("hold", NOW - 15, 409, "seat_taken", user=2, seats=(3,), extra={"seats": [3]})


@breach("taken_seats_are_taken")
def a_twin_hears_seat_taken_by_its_own_twin(world: World):
    world.refused(
        "book", NOW - 100, 409, "seat_taken", seats=(1, 2), key="k1", extra={"seats": [1, 2]}
    )


@breach("seats_follow_their_booking")
def a_cancelled_booking_keeps_its_seat(world: World):
    world.seats_of(1)[0][3] = True


@breach("seats_follow_their_booking")
def a_booked_seat_is_free(world: World):
    world.seats_of(2)[0][3] = None


@breach("seats_follow_their_booking")
def a_booked_seat_is_held_for_a_while_only(world: World):
    world.seats_of(2)[0][4] = NOW + 5


@breach("bookings_have_seats")
def a_booking_has_no_seat(world: World):
    hold = world.sold("hold", NOW - 5, user=2, seats=(8,))
    world.journal.calls[-1].answer["seat_numbers"] = []
    world.journal.calls[-1].body = {"seat_numbers": []}
    world.seats = [seat for seat in world.seats if seat[0] != hold]


@breach("events_match_states")
def a_confirm_left_no_event(world: World):
    hold = world.sold("hold", NOW - 5, seats=(8,))
    world.confirmed(hold, NOW - 4)
    world.events.pop()
    world.mails.pop()


@breach("events_match_states")
def a_confirm_left_two_events(world: World):
    hold = world.sold("hold", NOW - 5, seats=(8,))
    world.confirmed(hold, NOW - 4)
    world.event(hold, "booked", NOW - 4, mail=True)


@breach("one_live_hold_each")
def a_customer_holds_twice(world: World):
    world.sold("hold", NOW - 1, seats=(8,))


@breach("holds_run_their_time")
def a_hold_is_given_an_hour_more(world: World):
    hold = world.sold("hold", NOW - 1, user=2, seats=(8,))
    world.bookings[hold][6] += 3600
    world.seats_of(hold)[0][4] += 3600


@breach("holds_run_their_time")
def a_hold_is_dead_when_it_is_made(world: World):
    hold = world.sold("hold", NOW - 1, user=2, seats=(8,))
    world.bookings[hold][6] -= 3600
    world.seats_of(hold)[0][4] -= 3600


@breach("holds_run_their_time")
def a_hold_is_expired_before_its_time(world: World):
    world.expired(world.sold("hold", NOW - 30, user=2, seats=(8,)), NOW - 25)


@breach("sales_fit_their_show")
def a_seat_is_sold_that_the_hall_has_not(world: World):
    world.sold("book", NOW - 5, seats=(SEATS_OF_A_SHOW + 1,))


@breach("sales_fit_their_show")
def a_seat_is_sold_when_the_show_has_started(world: World):
    world.sold("book", STARTS_AT + 1, seats=(8,))
    world.journal.calls[-1].ended_at = NOW


@breach("every_owed_mail_arrives")
def a_mail_is_stamped_and_never_came(world: World):
    world.mails.pop()


@breach("every_owed_mail_arrives")
def a_mail_is_owed_by_no_row(world: World):
    world.sold("book", NOW - 5, seats=(8,))
    world.mails.pop()
    world.last_event()[5] = None


@breach("every_owed_mail_arrives")
def a_mail_was_given_up(world: World):
    world.sold("book", NOW - 5, seats=(8,))
    world.mails.pop()
    world.last_event()[5:7] = [None, NOW - 4]


@breach("every_mail_is_owed")
def a_mail_has_another_message_id(world: World):
    world.mails.append(Mail("<123.456@host>", "c1@x.org", NOW - 4))


@breach("every_mail_is_owed")
def a_hold_is_mailed(world: World):
    world.mails.append(Mail("<event-3-REF2@localhost>", "c2@x.org", NOW - 4))


@breach("every_mail_is_owed")
def a_mail_goes_to_another_customer(world: World):
    world.mails.append(replace(world.mails[0], to="c2@x.org"))
    world.mails.pop(0)


@breach("every_mail_is_owed")
def a_customer_without_an_account_is_mailed(world: World):
    world.sold("book", NOW - 5, user=3, seats=(8,))
    world.walk_ins.append(3)


@breach("every_mail_is_owed")
def each_booking_of_a_cancelled_show_is_mailed(world: World):
    event = told_in_anothers_mail(world)
    event[5] = NOW - 23
    world.mails.append(Mail(f"<event-{event[0]}-REF{event[1]}@localhost>", "c1@x.org", NOW - 23))


def told_in_anothers_mail(world: World) -> list[Any]:
    """The event of booking 8, which is told in the mail of booking 7."""
    return next(event for event in world.events if event[9] not in (None, event[0]))


@breach("a_cancelled_show_is_mailed_once")
def a_booking_is_told_in_another_customers_mail(world: World):
    letter = next(event for event in world.events if event[9] and world.bookings[event[1]][1] == 2)
    told_in_anothers_mail(world)[9] = letter[0]


@breach("a_cancelled_show_is_mailed_once")
def a_booking_of_a_cancelled_show_has_a_mail_of_its_own(world: World):
    event = told_in_anothers_mail(world)
    event[9], event[5] = event[0], NOW - 23
    world.mails.append(Mail(f"<event-{event[0]}-REF{event[1]}@localhost>", "c1@x.org", NOW - 23))


@breach("sales_fit_their_show")
def a_seat_of_a_cancelled_show_was_sold(world: World):
    world.cancelled(world.sold("book", NOW - 20, seats=(8,), show=2), NOW - 19)


@breach("sales_fit_their_show")
def a_hold_of_a_cancelled_show_was_confirmed(world: World):
    hold = world.sold("hold", NOW - 26, seats=(8,), show=2)
    world.confirmed(hold, NOW - 20)
    world.cancelled(hold, NOW - 19)


@breach("nothing_happens_unasked")
def a_booking_of_another_show_ended_with_the_cancelled_one(world: World):
    world.ended(world.sold("book", NOW - 20, seats=(8,)), "cancelled", NOW - 19, mail=True)


@breach("nothing_happens_unasked")
def a_booking_of_a_cancelled_show_was_ended_in_its_customers_name(world: World):
    event = told_in_anothers_mail(world)
    event[5], event[8:] = NOW - 23, [1, None]
    world.mails.append(Mail(f"<event-{event[0]}-REF{event[1]}@localhost>", "c1@x.org", NOW - 23))


@breach("no_mail_comes_twice")
def a_mail_comes_twice(world: World):
    world.mails.append(replace(world.mails[0], at=NOW - 50))


@breach("no_mail_is_left_alone")
def a_mail_is_left_alone_for_a_day(world: World):
    world.sold("book", NOW - 5, seats=(8,))
    world.mails.pop()
    world.last_event()[4:6] = [NOW + 86400, None]


@breach("no_mail_waits_too_long")
def a_mail_is_overdue(world: World):
    world.sold("book", NOW - 60, seats=(8,))
    world.mails.pop()
    world.last_event()[4:6] = [NOW - 50, None]


@breach("no_mail_waits_too_long")
def a_mail_is_owed_for_minutes(world: World):
    world.sold("book", NOW - 99, seats=(8,))
    world.mails.pop()
    world.events[-1][3] = world.bookings[len(world.bookings)][7] = NOW - 130
    world.journal.calls[0].sent_at = NOW - 140
    world.journal.calls[-1].sent_at = NOW - 131
    world.last_event()[4:6] = [NOW + 5, None]


@breach("answers_are_in_the_contract")
def a_call_answers_500(world: World):
    world.refused("book", NOW - 5, 500, "defect", seats=(8,))


@breach("answers_are_in_the_contract")
def a_code_is_not_declared(world: World):
    world.refused("cancel", NOW - 5, 409, "hold_limit", booking=2, user=2)


@breach("answers_are_in_the_contract")
def a_status_is_not_declared(world: World):
    world.refused("book", NOW - 5, 502, "bad_gateway", seats=(8,))


@breach("answers_are_in_the_contract")
def a_refusal_is_a_page(world: World):
    world.refused(
        "book", NOW - 5, 404, "not_found", seats=(8,), headers={"content-type": "text/html"}
    )


@breach("answers_are_in_the_contract")
def a_refused_token_does_not_say_how(world: World):
    world.refused("book", NOW - 5, 401, "token_invalid", seats=(8,))


@breach("waiting_is_told")
def a_503_does_not_say_how_long(world: World):
    world.refused("book", NOW - 5, 503, "unavailable", seats=(8,))


@breach("waiting_is_told")
def a_429_has_an_odd_time(world: World):
    world.refused("book", NOW - 5, 429, "throttled", seats=(8,), headers={"retry-after": "0"})


@breach("connections_and_memory_are_back")
def connections_are_left_behind(world: World):
    world.more = {"before": Usage(8, {"api": 100 * MiB}), "after": Usage(20, {"api": 100 * MiB})}


@breach("connections_and_memory_are_back")
def memory_grows(world: World):
    world.more = {"before": Usage(8, {"api": 100 * MiB}), "after": Usage(8, {"api": 300 * MiB})}


CASES = [(invariant, change) for invariant, changes in BREACHES.items() for change in changes]


@pytest.mark.parametrize(
    ("invariant", "change"), CASES, ids=[change.__name__ for _, change in CASES]
)
def test_a_breach_is_told_by_its_invariant_alone(invariant, change):
    world = a_sound_world()
    change(world)

    assert world.breached() == {invariant}, world.breaches()


def test_every_invariant_can_be_breached():
    assert {invariant.__name__ for invariant in INVARIANTS} == BREACHES.keys()


def test_sound_facts_breach_nothing():
    assert a_sound_world().breaches() == []


def test_a_second_mail_is_fine_in_the_moment_that_a_fault_made():
    world = a_sound_world()
    a_mail_comes_twice(world)
    world.more = {"second_mail_times": [(NOW - 55, NOW - 45)]}
    assert world.breaches() == []


def test_a_mail_may_be_given_up_while_the_server_refuses_for_good():
    world = a_sound_world()
    a_mail_was_given_up(world)
    world.more = {"failed_mail_times": [(NOW - 5, NOW)]}
    assert world.breaches() == []


def test_a_call_of_unknown_end_may_have_booked():
    world = a_sound_world()
    world.sold("book", NOW - 5, seats=(8,))
    forget(world.journal.calls[-1])
    assert world.breaches() == []


def test_a_mark_may_outlive_a_cancel_that_could_not_reach_redis():
    world = a_sound_world()
    a_seat_is_refused_behind_its_cancel(world)
    for cancel in world.journal.by("cancel"):
        cancel.fault = "redis-silent"
    assert world.breaches() == []


def test_times_are_read_as_each_database_gives_them():
    world = a_sound_world()
    query = world.query
    naive = lambda value: value.replace(tzinfo=None) if isinstance(value, datetime) else value  # noqa: E731
    for form in (
        naive,
        lambda value: naive(value).isoformat(" ") if isinstance(value, datetime) else value,
    ):
        world.query = lambda sql, form=form: [tuple(map(form, row)) for row in query(sql)]
        assert world.breaches() == []


class Customer:
    """A customer's client that writes its calls down."""

    def __init__(self, journal: Journal):
        self.journal, self.api = journal, Api(a_caller())

    def __call__(
        self, act: str, path: str, body: Any = None, key: str | None = None
    ) -> dict[str, Any]:
        call = self.journal.send(self.api.caller.user_id, act, "POST", path, body, key)
        response = self.api.post(path, body, **({"Idempotency-Key": key} if key else {}))
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.answered(response.status_code, headers, response.json())
        return call.answer


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def a_real_run() -> Facts:
    """By the product itself, over its API and on its tables."""
    journal, show = Journal(), a_show()
    ann, bob = Customer(journal), Customer(journal)
    path = f"/api/shows/{show.pk}"
    booked = ann("book", f"{path}/book/", {"seat_number": 1}, key="k")
    ann("book", f"{path}/book/", {"seat_number": 1}, key="k")
    held = bob("hold", f"{path}/hold/", {"seat_numbers": [2, 3]})
    ann("book", f"{path}/book/", {"seat_number": 2})
    bob("confirm", f"/api/bookings/{held['id']}/confirm/")
    ann("cancel", f"/api/bookings/{booked['id']}/cancel/")
    ann("cancel", f"/api/bookings/{booked['id']}/cancel/")
    bob("hold", f"{path}/hold/", {"seat_numbers": [1]})
    ann("book", f"{path}/book/", {"seat_number": 9})
    bookings.book(a_clerk(User.objects.walk_in()), show.pk, [8])
    bookings.cancel_show(a_clerk(), show.pk)
    bookings.cancel_bookings_of_cancelled_shows()
    bob("hold", f"{path}/hold/", {"seat_number": 1})
    return Facts(rows, journal, [], settings.HOLD_SECONDS, LEASE_SECONDS)


@pytest.mark.django_db(transaction=True)
def test_a_run_of_the_product_breaches_nothing():
    facts = a_real_run()
    assert breaches(facts) == []
    assert [call.status for call in facts.calls] == [
        201,
        201,
        201,
        409,
        200,
        200,
        200,
        201,
        201,
        409,
    ]


@pytest.mark.django_db(transaction=True)
def test_the_rows_of_the_product_are_judged():
    booking = a_booking()
    BookingSeat.objects.filter(booking=booking).update(taken=None)
    facts = Facts(rows, Journal(), [], HOLD_SECONDS, LEASE_SECONDS)
    assert breaches(facts) == [
        f"seats_follow_their_booking: Seat 5 of booked booking {booking.pk} is free."
    ]
