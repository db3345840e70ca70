"""How each negative control breaks its guard: in the place of one function of the product stands a
careless one.

Where a guard decides a race that takes microseconds, the careless one takes its time. The sound
product with the same pause would keep its promises: the pause makes the breach likely, the missing
guard makes it possible.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import make_msgid
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now
from django_redis import get_redis_connection

from cinema.errors import SeatContended, SeatTaken
from cinema.infra import outbox, redis
from cinema.infra.database import transactions
from cinema.notifications import deliveries, letters
from cinema.people.caller import require_live
from cinema.sales import bookings, idempotency, one_statement, seat_locks, step_by_step
from cinema.sales.models import Booking, BookingEvent, BookingQuerySet, SeatQuerySet
from cinema.sales.show_cancelling import cancel_bookings, customers_left
from cinema.sales.snapshots import Outcome
from workers import tasks
from workers.celery import DAY_SECONDS, app

PAUSE_SECONDS = 0.4
PATIENT_SECONDS = 20


def step_by_step_alone() -> None:
    one_statement.take = one_statement.confirm = one_statement.cancel = lambda *_: None


def no_unique_constraint() -> None:
    """It looks, takes its time, and sells; the constraint is gone."""
    step_by_step_alone()
    insert = step_by_step._insert

    def late(*sale: Any) -> Any:
        time.sleep(PAUSE_SECONDS)
        return insert(*sale)

    step_by_step._insert = late


def lock_only_in_redis() -> None:
    """A key in Redis says who has a seat; the constraint is gone."""
    step_by_step_alone()
    insert, confirm, give_back = step_by_step._insert, step_by_step.confirm, seat_locks.give_back
    key = "owner:{}:{}".format

    def sell(caller: Any, show: Any, seats: list[int], status: Any) -> Any:
        seconds = settings.HOLD_SECONDS if status == Booking.Status.PENDING else DAY_SECONDS
        server = get_redis_connection("default")
        losing = [
            seat for seat in seats if not server.set(key(show.pk, seat), 1, nx=True, ex=seconds)
        ]
        if losing:
            for seat in set(seats) - set(losing):
                server.delete(key(show.pk, seat))
            raise SeatTaken.of(losing)
        return insert(caller, show, seats, status)

    def keep(caller: Any, booking_id: int) -> Any:
        outcome = confirm(caller, booking_id)
        for seat in outcome.booking.seat_numbers:
            get_redis_connection("default").set(
                key(outcome.booking.show.id, seat), 1, ex=DAY_SECONDS
            )
        return outcome

    def free(show_id: int, seats: list[int]) -> None:
        get_redis_connection("default").delete(*(key(show_id, seat) for seat in seats))
        give_back(show_id, seats)

    step_by_step._refuse_taken = lambda *_: None
    step_by_step._insert, step_by_step.confirm, seat_locks.give_back = sell, keep, free


def no_compare_and_set() -> None:
    """It reads which bookings are in the old state, takes its time, and writes the new one by their
    ids alone.
    """
    step_by_step_alone()
    update = BookingQuerySet.update

    def by_id_alone(rows: BookingQuerySet, **changes: Any) -> int:
        ids = list(rows.values_list("pk", flat=True))
        time.sleep(PAUSE_SECONDS / 4)
        return update(Booking.objects.filter(pk__in=ids).order_by(), **changes)

    BookingQuerySet.update = by_id_alone


def no_transaction() -> None:
    """A confirm is made of statements that are committed one by one."""

    def confirm(caller: Any, booking_id: int, key: Any = None) -> Outcome:
        require_live(caller)
        try:
            return step_by_step.confirm(caller, booking_id)
        except transactions.Raced:
            raise SeatContended from None

    bookings.confirm = confirm


def no_transaction_of_a_sweep() -> None:
    """What a customer has of a cancelled show is ended by statements that are committed one by one."""

    def cancel(limit: int) -> int:
        return sum(cancel_bookings(*pair)[0] for pair in customers_left(limit))

    BookingQuerySet.select_for_update = lambda rows, **_: rows
    bookings.cancel_bookings_of_cancelled_shows = cancel


def no_key_row() -> None:
    idempotency.claim = lambda *_: True
    idempotency.kept_answer = lambda *_: None
    idempotency.keep = lambda *_: None


def retry_lost_connection() -> None:
    """What the database did not answer is asked once more."""

    def twice(act: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(act)
        def run(*values: Any) -> Any:
            try:
                return act(*values)
            except (OperationalError, InterfaceError):
                if connection.is_usable():
                    raise
                connection.close()
                return act(*values)

        return run

    bookings._in_steps, bookings._in_one_statement = (
        twice(bookings._in_steps),
        twice(bookings._in_one_statement),
    )


def no_second_try() -> None:
    """A deadlock is the caller's to repeat."""
    bookings.is_deadlock = lambda _: False


def application_clock() -> None:
    """Every question about the time is answered by the process that asks."""
    step_by_step_alone()
    Now.as_postgresql = lambda *_, **__: ("%s::timestamptz", [datetime.now(UTC).isoformat()])


def stale_holds_block() -> None:
    """A hold blocks its seats until somebody has swept it away."""
    asks = "held_until <= statement_timestamp() AS stale"
    assert asks in one_statement.SALE
    one_statement.SALE = one_statement.SALE.replace(asks, "false AS stale")
    SeatQuerySet.live = lambda rows: rows.filter(taken=True)


def no_time_limits() -> None:
    """The database waits as long as it takes for a lock, and for a client that has fallen silent."""
    options = settings.DATABASES["default"]["OPTIONS"]
    options.pop("options")


def mark_not_deleted() -> None:
    seat_locks.give_back = lambda *_: None


def redis_must_answer() -> None:
    redis.Breaker.run = lambda _self, question, _otherwise, *words: question(*words)


def patient_with_redis() -> None:
    """With time-outs like the client library's own, and no breaker."""
    options = settings.CACHES["default"]["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    options |= {"socket_timeout": PATIENT_SECONDS, "socket_connect_timeout": PATIENT_SECONDS}
    redis.FAILURES = float("inf")


def mail_only_on_commit() -> None:
    """No row owes the mail: a message to the worker, sent behind the commit, is all that there is."""
    step_by_step_alone()
    deliver = deliveries.deliver

    def record(booking_id: int, kind: Any, caller: Any, *, mail: bool) -> None:
        event = BookingEvent.objects.create(
            booking_id=booking_id, kind=kind, actor_id=caller.user_id
        )
        if mail:
            message = partial(
                tasks.send_mail.apply_async, kwargs={"kind": "event", "pk": event.pk, "attempt": 0}
            )
            transaction.on_commit(message, robust=True)

    def send(kind: str, pk: int, attempt: int) -> None:
        BookingEvent.objects.filter(pk=pk, mail_sent_at=None).update(mail_due_at=Now())
        deliver(kind, pk, attempt)

    step_by_step.record, deliveries.deliver, deliveries.queue_due = record, send, lambda *_: []


def early_ack() -> None:
    """A worker that has a message is trusted with it: it is not delivered again, and the row waits
    for nobody else.
    """
    app.conf.update(task_acks_late=False, task_reject_on_worker_lost=False)
    deliveries.QUEUED_SECONDS = settings.MAIL_LEASE_SECONDS = DAY_SECONDS


def stamp_before_send() -> None:
    """A mail counts as sent from the moment in which it is tried."""

    def send(letter: Any, mine: Any) -> bool:
        deliveries._stamp(mine)
        with deliveries._open_conversation() as server:
            server.send_messages([letter])
        return True

    deliveries._send = send


def no_claim() -> None:
    """Every message is a mail, however often it is delivered."""

    def deliver(kind: str, pk: int, _attempt: int) -> None:
        rows = outbox.kinds()[kind].objects.filter(pk=pk)
        with deliveries._open_conversation() as server:
            server.send_messages([letters.write(kind, pk)])
        deliveries._stamp(rows)

    deliveries.deliver = deliver


def no_lease_check() -> None:
    """A worker does not ask again, before it sends, whether the mail is still its own."""

    def send(letter: Any, mine: Any) -> bool:
        with deliveries._open_conversation() as server:
            server.send_messages([letter])
            deliveries._stamp(mine)
        return True

    deliveries._send = send


def no_message_id() -> None:
    """Each try to send a mail makes a new one of it."""
    composed = letters._compose

    def anew(*values: Any) -> Any:
        letter = composed(*values)
        letter.extra_headers["Message-ID"] = make_msgid(domain="localhost")
        return letter

    letters._compose = anew
