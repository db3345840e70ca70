"""The negative controls: each breaks one guard of the product, and the drill must fail by it.

The programs of the drill run under one by `DJANGO_SETTINGS_MODULE=tests.faults.controls.settings`
and `DRILL_BREAK=<name>`; nothing in the product knows of it.
"""

import os
from dataclasses import dataclass

from django.apps import AppConfig
from django.utils.module_loading import import_string

NO_CONSTRAINT = (
    "ALTER TABLE cinema_bookingseat DROP CONSTRAINT IF EXISTS seat_sold_once",
    "DROP INDEX IF EXISTS seat_sold_once",  # what it is on PostgreSQL
)


@dataclass(frozen=True)
class Control:
    """`caught_by` is the fault under which it is caught, `told` a pattern of the invariant or the
    words that say so.
    """

    name: str
    about: str
    caught_by: str
    told: str
    sql: tuple[str, ...] = ()  # in the drill's database, behind the migrations

    def apply(self) -> None:
        """In a process of the product, when Django is ready."""
        import_string(f"tests.faults.controls.guards.{self.name.replace('-', '_')}")()


ALL = [
    Control(
        "no-unique-constraint",
        "The database has no constraint over show, seat and marker: the seat lock and a look decide.",
        "rush-without-redis",
        "sold twice",
        NO_CONSTRAINT,
    ),
    Control(
        "lock-only-in-redis",
        "A key in Redis says who has a seat.",
        "redis-flushed",
        "sold twice",
        NO_CONSTRAINT,
    ),
    Control(
        "no-compare-and-set",
        "A change of status names the booking, and not the status that it had.",
        "double-clicks",
        "events_match_states",
    ),
    Control(
        "no-transaction",
        "A confirm is committed step by step.",
        "api-killed",
        # the second, if the booking was cancelled before anybody looked
        "events_match_states|every_mail_is_owed",
    ),
    Control(
        "no-transaction-of-a-sweep",
        "The bookings of a cancelled show are ended statement by statement.",
        "show-cancelled",
        "seats_follow_their_booking|events_match_states",
    ),
    Control("no-key-row", "An Idempotency-Key is not kept.", "key-twins", "one_answer_per_key"),
    Control(
        "retry-lost-connection",
        "What was under way when the connection was lost is done once more.",
        "cut-behind-commit",
        "nothing_happens_unasked",
    ),
    Control("no-second-try", "A deadlock is not repeated.", "deadlock", "met a deadlock"),
    Control(
        "application-clock",
        "The process that asks says what time it is, not the database.",
        "api-clock-off",
        "holds_run_their_time",
    ),
    Control(
        "stale-holds-block",
        "A stale hold blocks its seats until it is swept.",
        "workers-dead",
        "taken_seats_are_taken",
    ),
    Control(
        "no-time-limits",
        "No time-out of locks and of silent transactions.",
        "api-frozen",
        "kept its row locks",
    ),
    Control(
        "mark-not-deleted",
        "A cancel leaves the marks of its seats.",
        "seat-returned",
        "taken_seats_are_taken",
    ),
    Control(
        "redis-must-answer",
        "A failure of Redis fails the call.",
        "redis-killed",
        "answers_are_in_the_contract",
    ),
    Control("patient-with-redis", "Redis is waited for.", "redis-silent", "without Redis"),
    Control(
        "mail-only-on-commit",
        "A mail is a message behind the commit, and owed by no row.",
        "queue-deleted",
        "every_owed_mail_arrives",
    ),
    Control(
        "early-ack",
        "A message is gone when a worker has it, and its mail is left to that worker.",
        "worker-killed-before-send",
        "no_mail_is_left_alone",
    ),
    Control(
        "stamp-before-send",
        "A mail is stamped as sent before it is sent.",
        "worker-killed-before-send",
        "every_owed_mail_arrives",
    ),
    Control(
        "no-claim",
        "A task sends its mail whenever it is delivered.",
        "task-twice",
        "no_mail_comes_twice",
    ),
    Control(
        "no-lease-check",
        "A worker sends without a last look.",
        "worker-frozen",
        "no_mail_comes_twice",
    ),
    Control(
        "no-message-id",
        "A mail has a new Message-ID each time.",
        "worker-killed-after-yes",
        "every_mail_is_owed",
    ),
]
CONTROLS = {control.name: control for control in ALL}


class Broken(AppConfig):
    name, label = "tests.faults", "broken"

    def ready(self) -> None:
        CONTROLS[os.environ["DRILL_BREAK"]].apply()
