"""Workers and their messages: twice, late, lost, or dead in the middle, and still one mail."""

import pytest
from django.db import connection

from cinema.notifications import deliveries
from cinema.sales.models import BookingEvent
from tests.support.factories import a_booking, a_show
from tests.support.mailing import Killed, let_pass, seconds_until_due, the_event, work_off
from tests.support.racing import race
from tests.support.smtp_server import SMTP

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_queued_mail_is_not_queued_again_at_once():
    event = the_event(a_booking())

    assert deliveries.queue_due() == [("event", event.pk, 0)]
    assert deliveries.queue_due() == []

    assert deliveries.QUEUED_SECONDS - 5 < seconds_until_due(event) <= deliveries.QUEUED_SECONDS


def test_a_message_that_was_lost_is_made_again(server):
    event = the_event(a_booking())
    deliveries.queue_due()

    let_pass(BookingEvent)

    assert deliveries.queue_due() == [("event", event.pk, 0)]


def test_a_sweep_takes_no_more_than_its_limit():
    show = a_show()
    for seat in (1, 2, 3):
        a_booking(show=show, seats=(seat,))

    assert [len(deliveries.queue_due(limit=2)) for _ in range(3)] == [2, 1, 0]


def test_sweeps_at_once_queue_every_mail_once():
    show = a_show()
    events = [the_event(a_booking(show=show, seats=(seat,))).pk for seat in range(1, 21)]

    sweeps = race(*[lambda: deliveries.queue_due(limit=5) for _ in range(4)])

    queued = [due.pk for sweep in sweeps for due in sweep] + [
        due.pk for due in deliveries.queue_due()
    ]
    assert sorted(queued) == events


def test_a_message_delivered_twice_sends_one_mail(server):
    a_booking()
    (due,) = deliveries.queue_due()

    deliveries.deliver(*due)
    deliveries.deliver(*due)

    assert len(server.mails) == 1


def test_workers_with_one_message_send_one_mail(server):
    event = the_event(a_booking())
    (due,) = deliveries.queue_due()

    results = race(*[lambda: deliveries.deliver(*due) for _ in range(6)])

    event.refresh_from_db()
    assert results == [None] * 6
    assert (len(server.mails), event.mail_attempts, event.mail_state) == (1, 1, "sent")


@pytest.mark.parametrize("attempt", [1, 7])
def test_a_message_of_another_attempt_does_nothing(server, attempt):
    event = the_event(a_booking())

    deliveries.deliver("event", event.pk, attempt)

    event.refresh_from_db()
    assert (event.mail_attempts, event.mail_state, server.mails) == (0, "owed", [])


def test_a_worker_that_dies_after_the_yes_costs_a_second_copy_with_the_same_message_id(
    server, settings
):
    a_booking()
    settings.EMAIL_BACKEND = "tests.support.mailing.DiesAfterTheYes"
    with pytest.raises(Killed):
        work_off()

    settings.EMAIL_BACKEND = SMTP
    assert work_off() == 0  # the dead worker's lease
    let_pass(BookingEvent)
    work_off()

    assert len(server.mails) == 2
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]
    assert work_off() == 0


def test_a_worker_that_was_suspended_past_its_lease_sends_nothing(server, settings):
    event = the_event(a_booking())
    settings.EMAIL_BACKEND = "tests.support.mailing.SuspendedBeforeSending"

    work_off()

    assert server.mails == []
    settings.EMAIL_BACKEND = SMTP
    work_off()
    event.refresh_from_db()
    assert (len(server.mails), event.mail_attempts, event.mail_state) == (1, 2, "sent")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file is never away")
def test_a_database_that_is_lost_after_the_yes_costs_no_second_copy(server, settings):
    event = the_event(a_booking())
    settings.EMAIL_BACKEND = "tests.support.mailing.LosesTheDatabase"

    work_off()

    event.refresh_from_db()
    assert event.mail_state == "sent"


def test_a_late_put_off_takes_nothing_back(server):
    event = the_event(a_booking())
    work_off()

    deliveries.put_off("event", event.pk, 1, "not done in time")

    event.refresh_from_db()
    assert (event.mail_state, event.mail_error) == ("sent", "")
