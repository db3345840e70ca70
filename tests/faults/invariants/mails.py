"""Of the mails: one for every owed event, none for others, and a second copy only where a fault
made its moment.
"""

import re
from collections.abc import Sequence

from tests.faults.invariants.facts import Event, Facts, Mail, grouped

OF_EVENT = re.compile(r"<event-(\d+)-(\w+)@[^<>@\s]+>")
OF_RESET = re.compile(r"<reset-\d+-\w+@[^<>@\s]+>")
# a queued mail is left alone this long, and one that failed often
QUEUED_SECONDS, LONGEST_PAUSE_SECONDS = (
    30,
    900,
)
SWEEP_SECONDS = 10  # every 3 s, on a machine that is busy
PATIENCE_SECONDS = 120  # behind its event, for a mail that no server has refused


def every_owed_mail_arrives(facts: Facts) -> list[str]:
    arrived = {mail.message_id.partition("@")[0] for mail in facts.mails}
    told = []
    for event in _owing(facts):
        name = f"The mail of event {event.id} ({event.kind}, booking {event.booking})"
        if event.failed_at and not _within(facts.failed_mail_times, event.failed_at):
            told.append(f"{name} was given up, and no server had refused it for good.")
        elif (
            event.sent_at
            and event.sent_at < facts.taken_at
            and _name_of(facts, event) not in arrived
        ):
            told.append(f"{name} is stamped as sent, and has not arrived.")
        elif not (event.failed_at or event.sent_at or event.due_at):
            told.append(f"{name} is owed by no row: it is lost.")
    return told


def every_mail_is_owed(facts: Facts) -> list[str]:
    owing = {event.id: event for event in _owing(facts)}
    needless = [
        event for event in facts.events if event.id not in owing and (event.due_at or event.sent_at)
    ]
    strange = [mail for mail in facts.mails if not _owed(facts, mail, owing)]
    return [
        *(
            f"Event {event.id} ({event.kind}, booking {event.booking}) owes a needless mail."
            for event in needless
        ),
        *(f"A mail came that no event owes: {mail.message_id}." for mail in strange),
    ]


def a_cancelled_show_is_mailed_once(facts: Facts) -> list[str]:
    """One mail a customer, and it tells of every booking that ended with the show; also of none of
    another's.
    """
    events = {event.id: event for event in facts.events}
    ended = [event for event in _ended(facts) if facts.ended_with_its_show(event)]
    told = []
    for event in (event for event in facts.events if event.mailed_with):
        letter = events.get(event.mailed_with or 0)
        if (
            letter is None
            or letter.mailed_with != letter.id
            or _place(facts, letter) != _place(facts, event)
        ):
            told.append(
                f"Event {event.id} (booking {event.booking}) is told in a mail that is none of its own."
            )
    for (user, show), theirs in grouped(ended, lambda event: _place(facts, event)).items():
        letters = {event.mailed_with for event in theirs}
        if user not in facts.walk_ins and (len(letters) > 1 or None in letters):
            told.append(
                f"Customer {user} is not told in one mail of all that ended with show {show}."
            )
    return told


def no_mail_comes_twice(facts: Facts) -> list[str]:
    told = []
    for name, copies in grouped(facts.mails, lambda mail: mail.message_id).items():
        again = sorted(mail.at for mail in copies)[1:]
        if not all(_within(facts.second_mail_times, at) for at in again):
            told.append(f"{len(copies)} mails came with the Message-ID {name}.")
    return told


def no_mail_is_left_alone(facts: Facts) -> list[str]:
    """What is owed is due within the lease or the queue's time, or within the pause behind a
    failure.
    """
    told = []
    for event in _waiting(facts):
        ahead = (event.due_at or 0) - facts.now
        if (
            ahead
            > (LONGEST_PAUSE_SECONDS if event.error else max(QUEUED_SECONDS, facts.lease_seconds))
            + 2
        ):
            name = f"The mail of event {event.id} ({event.kind}, booking {event.booking})"
            told.append(f"{name} is left alone for {ahead:.0f} s.")
    return told


def no_mail_waits_too_long(facts: Facts) -> list[str]:
    """While all servers and workers are well."""
    told = []
    for event in _waiting(facts):
        name = f"The mail of event {event.id} ({event.kind}, booking {event.booking})"
        overdue, owed = facts.now - (event.due_at or 0), facts.now - event.at
        if overdue > SWEEP_SECONDS:
            told.append(f"{name} is overdue by {overdue:.0f} s.")
        elif not event.error and owed > PATIENCE_SECONDS:
            told.append(f"{name} has been owed for {owed:.0f} s.")
    return told


def _waiting(facts: Facts) -> list[Event]:
    return [event for event in facts.events if event.due_at is not None]


def _owing(facts: Facts) -> list[Event]:
    owing = [event for event in facts.events if event.kind == "booked"]
    owing += [event for event in _ended(facts) if event.mailed_with in (None, event.id)]
    return [event for event in owing if facts.bookings[event.booking].user not in facts.walk_ins]


def _ended(facts: Facts) -> list[Event]:
    """The cancellations of what had been booked."""
    booked = {event.booking: event.id for event in reversed(facts.events) if event.kind == "booked"}
    cancelled = [event for event in facts.events if event.kind == "cancelled"]
    return [event for event in cancelled if booked.get(event.booking, event.id) < event.id]


def _place(facts: Facts, event: Event) -> tuple[int, int]:
    booking = facts.bookings[event.booking]
    return booking.user, booking.show


def _name_of(facts: Facts, event: Event) -> str:
    """Its Message-ID up to the host."""
    return f"<event-{event.id}-{facts.bookings[event.booking].reference}"


def _owed(facts: Facts, mail: Mail, owing: dict[int, Event]) -> bool:
    """Also to the right customer, and named by the right booking."""
    if OF_RESET.fullmatch(mail.message_id):
        return True
    named = OF_EVENT.fullmatch(mail.message_id)
    event = owing.get(int(named[1])) if named else None
    if named is None or event is None:
        return False
    booking = facts.bookings[event.booking]
    return named[2] == booking.reference and mail.to == facts.addresses[booking.user]


def _within(times: Sequence[tuple[float, float]], at: float) -> bool:
    return any(begins <= at <= ends for begins, ends in times)
