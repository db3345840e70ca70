"""The promises as questions to the facts: each function gives a sentence for every breach that it
finds.
"""

from collections.abc import Callable

from tests.faults.invariants.answers import (
    acknowledged_bookings_stand,
    answers_are_in_the_contract,
    waiting_is_told,
)
from tests.faults.invariants.effects import (
    keys_keep_successes_alone,
    nothing_happens_unasked,
    one_answer_per_key,
    taken_seats_are_taken,
)
from tests.faults.invariants.facts import Facts
from tests.faults.invariants.mails import (
    a_cancelled_show_is_mailed_once,
    every_mail_is_owed,
    every_owed_mail_arrives,
    no_mail_comes_twice,
    no_mail_is_left_alone,
    no_mail_waits_too_long,
)
from tests.faults.invariants.seats import (
    bookings_have_seats,
    events_match_states,
    holds_run_their_time,
    live_times_never_overlap,
    no_seat_is_live_twice,
    one_live_hold_each,
    sales_fit_their_show,
    seats_follow_their_booking,
)

Invariant = Callable[[Facts], list[str]]
MOST_SENTENCES = 5  # of one invariant: the first say enough
MORE_CONNECTIONS = 6  # than before: a thread's own that it had not opened yet
MORE_MEMORY = 1.3  # times what a program had before, and then
MORE_MEGABYTES = 40


def connections_and_memory_are_back(facts: Facts) -> list[str]:
    if facts.before is None or facts.after is None:
        return []
    told = []
    if facts.after.connections > facts.before.connections + MORE_CONNECTIONS:
        told.append(
            f"{facts.after.connections} connections to the database, {facts.before.connections} before."
        )
    for program, before in facts.before.memory.items():
        after = facts.after.memory.get(program, 0)
        if after > before * MORE_MEMORY + MORE_MEGABYTES * 2**20:
            told.append(
                f"{program} has {after / 2**20:.0f} MiB of memory, {before / 2**20:.0f} before."
            )
    return told


INVARIANTS: tuple[Invariant, ...] = (
    no_seat_is_live_twice,
    live_times_never_overlap,
    acknowledged_bookings_stand,
    nothing_happens_unasked,
    one_answer_per_key,
    keys_keep_successes_alone,
    taken_seats_are_taken,
    seats_follow_their_booking,
    bookings_have_seats,
    events_match_states,
    one_live_hold_each,
    holds_run_their_time,
    sales_fit_their_show,
    every_owed_mail_arrives,
    every_mail_is_owed,
    a_cancelled_show_is_mailed_once,
    no_mail_comes_twice,
    no_mail_is_left_alone,
    no_mail_waits_too_long,
    answers_are_in_the_contract,
    waiting_is_told,
    connections_and_memory_are_back,
)


def breaches(facts: Facts) -> list[str]:
    """What is wrong, as "invariant: sentence"; empty when every promise is kept."""
    return [
        f"{invariant.__name__}: {told}"
        for invariant in INVARIANTS
        for told in invariant(facts)[:MOST_SENTENCES]
    ]
