"""Of the rows: who has a seat, since when, until when, and whether the history tells the same."""

from itertools import pairwise

from tests.faults.invariants.facts import (
    BOOKED,
    CANCELLED,
    CLOCK_SLACK_SECONDS,
    EXPIRED,
    PENDING,
    Booking,
    Facts,
    Seat,
    grouped,
)

FOREVER = float("inf")
# Between the reading of the show, which sets the expiry, and the event a link may be slow or silent
# for a while.
LONGEST_SALE_SECONDS = 10
PATHS = {
    PENDING: {("held",)},
    BOOKED: {("booked",), ("held", "booked")},
    CANCELLED: {("held", "cancelled"), ("booked", "cancelled"), ("held", "booked", "cancelled")},
    EXPIRED: {("held", "expired")},
}


def no_seat_is_live_twice(facts: Facts) -> list[str]:
    """By status and expiry of the bookings, whatever the marker of the constraint says."""
    live = [seat for seat in facts.seats if facts.is_live(facts.bookings[seat.booking])]
    return [
        f"Seat {number} of show {show} is sold twice: bookings {_numbers(seats)}."
        for (show, number), seats in _by_place(live)
        if len(seats) > 1
    ]


def live_times_never_overlap(facts: Facts) -> list[str]:
    """By the events, for bookings of which one has ended by now."""
    told = []
    for (show, number), seats in _by_place(facts.seats):
        times = sorted(
            (*_live_time(facts, facts.bookings[seat.booking]), seat.booking) for seat in seats
        )
        for (_, ends, first), (begins, later_ends, second) in pairwise(times):
            both_live = facts.is_live(facts.bookings[first]) and facts.is_live(
                facts.bookings[second]
            )
            if begins < min(ends, later_ends) - CLOCK_SLACK_SECONDS and not both_live:
                both = f"bookings {first}, {second}, for {min(ends, later_ends) - begins:.1f} s"
                told.append(f"Seat {number} of show {show} was sold twice: {both}.")
    return told


def seats_follow_their_booking(facts: Facts) -> list[str]:
    """Free when it is cancelled or expired; else taken, and held as long as it."""
    told = []
    for seat in facts.seats:
        booking = facts.bookings[seat.booking]
        ended = booking.status in (CANCELLED, EXPIRED)
        if seat.taken == ended:
            state = "still taken" if ended else "free"
            told.append(f"Seat {seat.number} of {booking.status} booking {booking.id} is {state}.")
        if not ended and seat.held_until != (
            booking.expires_at if booking.status == PENDING else None
        ):
            told.append(
                f"Seat {seat.number} is not held as long as its {booking.status} booking {booking.id}."
            )
    return told


def one_live_hold_each(facts: Facts) -> list[str]:
    holds = [one for one in facts.bookings.values() if one.status == PENDING and facts.is_live(one)]
    return [
        f"Customer {user} has {len(theirs)} live holds of show {show}."
        for (user, show), theirs in grouped(holds, lambda hold: (hold.user, hold.show)).items()
        if len(theirs) > 1
    ]


def holds_run_their_time(facts: Facts) -> list[str]:
    """By the database's clock: HOLD_SECONDS or until the show starts, and not a moment less before
    they expire.
    """
    told = []
    for booking in facts.bookings.values():
        at = {event.kind: event.at for event in facts.events_of.get(booking.id, [])}
        if booking.expires_at is None or "held" not in at:
            continue
        ends = min(at["held"] + facts.hold_seconds, facts.shows[booking.show].starts_at)
        if not ends - LONGEST_SALE_SECONDS < booking.expires_at < ends + CLOCK_SLACK_SECONDS:
            given = booking.expires_at - at["held"]
            told.append(
                f"Hold {booking.id} was given {given:.1f} s and not {ends - at['held']:.1f}."
            )
        elif (early := booking.expires_at - at.get("expired", FOREVER)) > CLOCK_SLACK_SECONDS:
            told.append(f"Hold {booking.id} was expired {early:.1f} s before its time.")
    return told


def sales_fit_their_show(facts: Facts) -> list[str]:
    """In the hall, and before the show has begun or is cancelled."""
    live = [seat for seat in facts.seats if facts.is_live(facts.bookings[seat.booking])]
    beyond = [seat for seat in live if seat.number > facts.shows[seat.show].total_seats]
    rows = facts.bookings.values()
    late = [
        row
        for row in rows
        if row.created_at > facts.shows[row.show].starts_at + CLOCK_SLACK_SECONDS
    ]
    return [
        *_sold_of_a_cancelled_show(facts),
        *(
            f"Booking {seat.booking} has seat {seat.number}, which its show has not."
            for seat in beyond
        ),
        *(f"Booking {row.id} was made when its show had started." for row in late),
    ]


def _sold_of_a_cancelled_show(facts: Facts) -> list[str]:
    """By the events: a hold must not be confirmed either."""
    told = []
    for event in facts.events:
        ends = facts.shows[facts.bookings[event.booking].show].cancelled_at
        if event.kind in ("held", "booked") and ends and event.at > ends + CLOCK_SLACK_SECONDS:
            told.append(
                f"Booking {event.booking} was {event.kind} when its show had been cancelled."
            )
    return told


def events_match_states(facts: Facts) -> list[str]:
    told = []
    for booking in facts.bookings.values():
        kinds = tuple(event.kind for event in facts.events_of.get(booking.id, []))
        if kinds not in PATHS[booking.status]:
            told.append(
                f"Booking {booking.id} is {booking.status}, and its events are: {', '.join(kinds) or 'none'}."
            )
    return told


def bookings_have_seats(facts: Facts) -> list[str]:
    return [
        f"Booking {number} has no seat."
        for number in facts.bookings
        if number not in facts.seats_of
    ]


def _live_time(facts: Facts, booking: Booking) -> tuple[float, float]:
    at = {event.kind: event.at for event in facts.events_of.get(booking.id, [])}
    begins = min(at.values(), default=booking.created_at)
    if booking.status == BOOKED:
        return begins, FOREVER
    if booking.status == CANCELLED:
        return begins, at.get("cancelled", begins)
    return begins, min(booking.expires_at or begins, at.get("expired", FOREVER))


def _by_place(seats: list[Seat]) -> list[tuple[tuple[int, int], list[Seat]]]:
    return sorted(grouped(seats, lambda seat: (seat.show, seat.number)).items())


def _numbers(seats: list[Seat]) -> str:
    return ", ".join(str(seat.booking) for seat in seats)
