"""A sale against an edit of its show, on every database, with the control that loses it."""

import threading
import time

import pytest
from django.db import transaction
from django.db.models.functions import Now

from cinema.programme.models import Show
from cinema.sales import bookings, one_statement, step_by_step
from cinema.sales.models import Booking, BookingSeat
from tests.support.factories import a_caller, a_show
from tests.support.racing import race
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.unguarded import one_writer_has_no_race

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("each_way"),
]


def sell_while_a_clerk_cuts_the_hall() -> Show:
    """Seat 15 of 20 is wanted when a clerk has checked that the hall can be cut to 10, and has not
    saved yet.
    """
    caller, show = a_caller(), a_show(total_seats=20)
    checked = threading.Event()

    def cut():
        with transaction.atomic():
            hall = Show.objects.get(pk=show.pk)
            hall.total_seats = 10
            hall.clean()
            checked.set()
            time.sleep(0.4)
            hall.save()

    def buy():
        checked.wait(PATIENCE_SECONDS)
        return bookings.book(caller, show.pk, [15])

    race(cut, buy)
    show.refresh_from_db()
    return show


def test_no_seat_is_sold_in_a_hall_being_cut():
    show = sell_while_a_clerk_cuts_the_hall()

    assert show.total_seats == 10
    assert not Booking.objects.exists()


@one_writer_has_no_race
def test_control_without_the_show_lock_a_seat_is_sold_in_a_cut_hall(monkeypatch):
    monkeypatch.setattr(one_statement, "SALE", one_statement.SALE.replace("FOR KEY SHARE", ""))
    monkeypatch.setattr(
        step_by_step, "locked_show", lambda pk: Show.objects.annotate(now=Now()).get(pk=pk)
    )

    show = sell_while_a_clerk_cuts_the_hall()

    assert show.total_seats == 10
    assert BookingSeat.objects.live().filter(show=show, seat_number=15).exists()
