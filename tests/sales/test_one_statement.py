"""Confirm and cancel as one statement: what it asks, and what it does with a row that another is
changing.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from cinema.programme.models import Show
from cinema.sales import bookings, one_statement, statements
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from cinema.sales.snapshots import Outcome
from tests.support.factories import a_booking, a_caller, a_hold, a_show
from tests.support.racing import connect
from tests.support.rows import history
from tests.support.suite.patience import PATIENCE_SECONDS, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="PostgreSQL's own way, and run there"
    ),
]
WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
SAME_STATUS = "cinema_booking.status = found.status AND "


@contextmanager
def queued_behind(row: Booking | Show, *acts, waits: bool = True) -> Iterator[list[Future]]:
    """Let these acts come to this row and wait for it, since the block has locked it."""

    # the first would give up, should the second come a second later
    together = threading.Barrier(len(acts))

    def run(act) -> Outcome:
        try:
            connect()
            together.wait(PATIENCE_SECONDS)
            return act()
        finally:
            connections.close_all()

    def waiting() -> bool:
        with connection.cursor() as cursor:
            # else a transaction sees what it saw at first
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(WAITING)
            return cursor.fetchone() == (len(acts),)

    with ThreadPoolExecutor(len(acts)) as pool, transaction.atomic():
        type(row).objects.select_for_update().get(pk=row.pk)
        futures = [pool.submit(run, act) for act in acts]
        if waits:
            wait_until(waiting)
        yield futures


@pytest.mark.parametrize("verb", [bookings.confirm, bookings.cancel])
def test_it_is_one_query(verb, django_assert_num_queries):
    caller = a_caller()
    hold = a_hold(caller)

    with django_assert_num_queries(1):
        verb(caller, hold.pk)


@pytest.mark.parametrize("compares", [True, False])
def test_of_two_confirms_that_both_found_it_pending_one_books_and_the_control(
    monkeypatch, compares
):
    caller = a_caller()
    hold = a_hold(caller)
    if not compares:
        careless = one_statement.CONFIRM.replace(SAME_STATUS, "").replace(statements.HELD, "true")
        monkeypatch.setattr(one_statement, "CONFIRM", careless)

    with queued_behind(hold, *[lambda: bookings.confirm(caller, hold.pk)] * 2) as confirms:
        pass

    assert {one.result().booking.status for one in confirms} == {"booked"}
    assert history(hold.pk) == ["held", "booked", *([] if compares else ["booked"])]


@pytest.mark.parametrize("compares", [True, False])
def test_a_cancel_that_found_a_hold_owes_the_mail_of_what_was_booked_meanwhile_and_the_control(
    monkeypatch, compares
):
    caller = a_caller()
    hold = a_hold(caller)
    if not compares:
        monkeypatch.setattr(one_statement, "CANCEL", one_statement.CANCEL.replace(SAME_STATUS, ""))

    with queued_behind(hold, lambda: bookings.cancel(caller, hold.pk)) as (cancel,):
        Booking.objects.filter(pk=hold.pk).update(status="booked", holding=None, expires_at=None)
        BookingSeat.objects.filter(booking=hold).update(held_until=None)

    assert cancel.result().booking.status == "cancelled"
    assert not BookingSeat.objects.live().exists()
    assert BookingEvent.objects.get(kind="cancelled").mail_state == ("owed" if compares else "none")


def test_a_hold_that_was_swept_while_its_confirm_waited_is_not_booked():
    caller = a_caller()
    hold = a_hold(caller)

    with queued_behind(hold, lambda: bookings.confirm(caller, hold.pk)) as (confirm,):
        Booking.objects.filter(pk=hold.pk).update(status="expired", holding=None)
        BookingSeat.objects.filter(booking=hold).update(taken=None)

    assert type(confirm.exception()).__name__ == "HoldExpired"
    assert history(hold.pk) == ["held"]
    assert not BookingSeat.objects.live().exists()


def test_what_waits_too_long_for_its_row_is_told_to_come_again_and_nothing_is_done():
    caller = a_caller()
    booking = a_booking(caller)

    with queued_behind(booking, lambda: bookings.cancel(caller, booking.pk)) as (cancel,):
        assert type(cancel.exception()).__name__ == "SeatContended"

    assert history(booking.pk) == ["booked"]


@pytest.mark.parametrize("locks", [True, False])
def test_a_confirm_waits_for_whoever_cancels_its_show_and_the_control(monkeypatch, locks):
    caller, show = a_caller(), a_show()
    hold = a_hold(caller, show)
    if not locks:
        monkeypatch.setattr(
            one_statement, "CONFIRM", one_statement.CONFIRM.replace("FOR KEY SHARE", "")
        )

    with queued_behind(show, lambda: bookings.confirm(caller, hold.pk), waits=locks) as (confirm,):
        Show.objects.filter(pk=show.pk).update(cancelled_at=Now())
        if not locks:
            assert confirm.result().booking.status == "booked"

    assert locks is (type(confirm.exception()).__name__ == "ShowCancelled")
    assert history(hold.pk) == ["held", *([] if locks else ["booked"])]
