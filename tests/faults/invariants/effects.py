"""Of the journal and the rows together: every effect was asked for, every key has one, every
refusal is true.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.invariants.facts import (
    BOOKED,
    CANCELLED,
    CLOCK_SLACK_SECONDS,
    Booking,
    Facts,
    grouped,
)
from tests.faults.run.journal import OK, REFUSED, Call

SALES = ("hold", "book")
CHANGES = {"confirm": "booked", "cancel": "cancelled"}  # act → the event that it makes
DECIDED = {"seat_taken", "hold_limit"}  # a repeat of a key whose first attempt sold hears neither
MARK_SECONDS = 1.5  # a mark of a taken seat may outlive a cancel that could not reach Redis
BREAKER_SECONDS = 7  # or did not ask it: behind an outage a process asks again after 5 s
COMMIT_SECONDS = 15  # a cancel that was never acknowledged may wait this long for its commit
# a seat's bookings are live one after the other: what was live at a moment is among the last before
# it
BACK = 20


class Time(NamedTuple):
    """When a booking had a seat; `vague` where its mark may have stayed a little longer."""

    begins: float
    ends: float
    booking: int
    vague: bool


@dataclass
class Ask:
    """One wish for seats: an unkeyed call, or all calls with one key."""

    calls: list[Call]
    used: bool = False

    @property
    def first(self) -> Call:
        return self.calls[0]

    @property
    def answered(self) -> set[int]:
        return {call.answer["id"] for call in self.calls if call.outcome == OK and call.answer}

    def may_have_made(self, booking: Booking, seats: list[int]) -> bool:
        """By a call that nobody knows the end of, sent before the booking was made."""
        first = self.first
        if (
            self.used
            or self.answered
            or first.customer != booking.user
            or show_of(first) != booking.show
        ):
            return False
        if wanted(first) != seats:
            return False
        made = booking.created_at
        open_ended = any(
            is_unknown(call) and call.sent_at <= made + CLOCK_SLACK_SECONDS for call in self.calls
        )
        return open_ended and not self.refused_behind(made)

    def refused_behind(self, made: float) -> bool:
        return any(call.code in DECIDED and call.sent_at > made for call in self.calls)


def nothing_happens_unasked(facts: Facts) -> list[str]:
    """A refusal did nothing, a repeat of a key did nothing twice, and nobody repeated a call that
    was not kept.
    """
    return [*_sold_unasked(facts), *_changed_unasked(facts)]


def one_answer_per_key(facts: Facts) -> list[str]:
    """One body for every repeat, and no refusal once the key has been answered."""
    told = []
    for ask in _keyed(facts):
        answered = [call for call in ask.calls if call.outcome == OK]
        if not answered:
            continue
        name = f"The key of call {answered[0].number} ({answered[0].act}, customer {answered[0].customer})"
        if any(
            (call.status, call.answer) != (answered[0].status, answered[0].answer)
            for call in answered
        ):
            told.append(f"{name} was answered in two ways.")
        known_at = min(call.ended_at or call.sent_at for call in answered)
        late = [call for call in ask.calls if call.outcome == REFUSED and call.sent_at > known_at]
        if codes := sorted({str(call.code) for call in late if call.status not in (401, 429, 503)}):
            told.append(f"{name} was answered, and a repeat refused: {', '.join(codes)}.")
    return told


def keys_keep_successes_alone(facts: Facts) -> list[str]:
    odd = [row for row in facts.keys if row.status not in (200, 201)]
    return [f"A kept key of customer {row.user} has the status {row.status}." for row in odd]


def taken_seats_are_taken(facts: Facts) -> list[str]:
    """Every `seat_taken` names seats that somebody had at that time; none of a cancel that had
    answered 200.
    """
    times, own = _live_times(facts), _own_bookings(facts)
    told = []
    for call in facts.calls:
        if call.code != "seat_taken" or not call.answer:
            continue
        for seat in call.answer.get("seats", []):
            if not _was_live(
                call,
                times.get((show_of(call), seat), []),
                own.get((call.customer, call.key), set()),
            ):
                told.append(
                    f"Seat {seat} of show {show_of(call)} was refused as taken (call {call.number}, {call.act}), "
                    "and nobody else had it."
                )
    return told


def _sold_unasked(facts: Facts) -> list[str]:
    customers, begun = _customers(facts)
    asks = [ask for ask in _asks(facts) if ask.first.act in SALES]
    told_of = set().union(*(ask.answered for ask in asks))
    open_asks = grouped([ask for ask in asks if not ask.answered], lambda ask: ask.first.customer)
    told = []
    for row in facts.bookings.values():
        if (
            row.user not in customers
            or row.id in told_of
            or row.created_at < begun - CLOCK_SLACK_SECONDS
        ):
            continue
        seats = sorted(facts.numbers_of(row.id))
        ask = next(
            (ask for ask in reversed(open_asks.get(row.user, [])) if ask.may_have_made(row, seats)),
            None,
        )
        if ask:
            ask.used = True
        else:
            whose = f"customer {row.user}, show {row.show}, seats {seats}"
            told.append(f"Booking {row.id} ({whose}) comes from no call that may have made it.")
    return told


def _changed_unasked(facts: Facts) -> list[str]:
    customers, begun = _customers(facts)
    asked = {
        (call.act, booking_of(call))
        for call in facts.calls
        if call.act in CHANGES and may_have_acted(call)
    }
    told = []
    for booking, events in facts.events_of.items():
        if booking not in facts.bookings or facts.bookings[booking].user not in customers:
            continue
        since = [event for event in events[1:] if event.at >= begun - CLOCK_SLACK_SECONDS]
        kinds = [event.kind for event in since if not facts.ended_with_its_show(event)]
        for act, kind in CHANGES.items():
            if kind in kinds and (act, booking) not in asked:
                told.append(f"Booking {booking} was {kind}, and no call asked for it.")
    return told


def _customers(facts: Facts) -> tuple[set[int], float]:
    """Whose calls are in the journal, and since when: what others did, or they did before, nobody
    wrote down.
    """
    return {call.customer for call in facts.calls}, min(
        (call.sent_at for call in facts.calls), default=0.0
    )


def _was_live(call: Call, times: list[Time], own: set[int]) -> bool:
    """At some moment of the call, and by a booking that is not this key's own."""
    upto = bisect_right(times, call.ended_at or call.sent_at, key=lambda time: time.begins)
    for time in times[max(0, upto - BACK) : upto]:
        slack = MARK_SECONDS if time.vague or "redis" in call.fault else 0
        if time.ends > call.sent_at - slack and time.booking not in own:
            return True
    return False


def _live_times(facts: Facts) -> dict[tuple[int, int], list[Time]]:
    """By show and seat."""
    cancels, without_redis = _acknowledged_cancels(facts)
    times = defaultdict(list)
    for seat in facts.seats:
        row = facts.bookings[seat.booking]
        time = Time(
            row.created_at, _ends(facts, row, cancels.get(row.id)), row.id, row.id in without_redis
        )
        times[seat.show, seat.number].append(time)
    return {place: sorted(those) for place, those in times.items()}


def _acknowledged_cancels(facts: Facts) -> tuple[dict[int, Call], set[int]]:
    """The first of each booking, and the bookings for which Redis may not have been asked."""
    cancels: dict[int, Call] = {}
    without_redis, redis_failed_at = set(), 0.0
    for call in facts.calls:
        redis_failed_at = call.sent_at if "redis" in call.fault else redis_failed_at
        if call.act == "cancel" and call.outcome == OK and booking_of(call) not in cancels:
            cancels[booking_of(call)] = call
            if call.sent_at - redis_failed_at < BREAKER_SECONDS:
                without_redis.add(booking_of(call))
    return cancels, without_redis


def _ends(facts: Facts, row: Booking, cancel: Call | None) -> float:
    """To the acknowledged cancel, the expiry, or a while behind the event."""
    if row.status == BOOKED:
        return float("inf")
    if row.status != CANCELLED:
        return row.expires_at or 0.0
    if cancel and cancel.ended_at:
        return cancel.ended_at
    return (
        max((event.at for event in facts.events_of.get(row.id, [])), default=row.created_at)
        + COMMIT_SECONDS
    )


def _own_bookings(facts: Facts) -> dict[tuple[int, str | None], set[int]]:
    """Customer and key → the bookings that this key has made: a repeat is never refused by them."""
    made = {
        (ask.first.customer, ask.first.key): ask.answered
        for ask in _keyed(facts)
        if ask.first.act in SALES
    }
    return {whose: bookings for whose, bookings in made.items() if bookings}


def _asks(facts: Facts) -> list[Ask]:
    unkeyed = [Ask([call]) for call in facts.calls if call.key is None and may_have_acted(call)]
    return sorted([*unkeyed, *_keyed(facts)], key=lambda ask: ask.first.sent_at)


def _keyed(facts: Facts) -> Iterator[Ask]:
    keyed = grouped(
        [call for call in facts.calls if call.key is not None],
        lambda call: (call.customer, call.key),
    )
    for calls in keyed.values():
        first = calls[0]
        # not a key that was reused
        if all((call.path, call.body) == (first.path, first.body) for call in calls):
            yield Ask(calls)


def may_have_acted(call: Call) -> bool:
    return call.outcome != REFUSED or is_unknown(call)


def is_unknown(call: Call) -> bool:
    """No answer, or one that says "done or not done": only a 4xx surely did nothing."""
    return call.outcome not in (OK, REFUSED) or (call.status or 0) >= 500


def show_of(call: Call) -> int:
    return int(re.search(r"/shows/(\d+)/", call.path)[1])


def booking_of(call: Call) -> int:
    return int(re.search(r"/bookings/(\d+)/", call.path)[1])


def wanted(call: Call) -> list[int]:
    body = call.body or {}
    return sorted(body.get("seat_numbers") or [body.get("seat_number")])
