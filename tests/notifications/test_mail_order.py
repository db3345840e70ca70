"""The mails of one booking come in order, and a failed one is sent again where that makes sense."""

import pytest

from cinema.notifications import deliveries
from cinema.sales.models import BookingEvent
from tests.support.factories import a_booking, a_show
from tests.support.mailing import cancel, let_pass, seconds_until_due, the_event, work_off

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_cancellation_waits_for_the_confirmation(server):
    booking = a_booking()
    cancelled = cancel(booking)

    assert [due.pk for due in deliveries.queue_due()] == [the_event(booking).pk]
    deliveries.deliver("event", cancelled.pk, 0)  # by a message from wherever

    cancelled.refresh_from_db()
    assert (server.mails, cancelled.mail_attempts, cancelled.mail_state) == ([], 0, "owed")
    deliveries.deliver("event", the_event(booking).pk, 0)
    work_off()
    assert server.subjects == ["Booked", "Cancelled"]


def test_a_cancellation_waits_while_the_confirmation_is_put_off(server):
    cancel(a_booking())
    server.to_recipient = ["451 try later"]

    work_off()
    assert work_off() == 0
    let_pass(BookingEvent)
    work_off()
    work_off()

    assert server.subjects == ["Booked", "Cancelled"]


def test_a_confirmation_that_failed_keeps_no_cancellation_back(server):
    cancel(a_booking())
    server.to_recipient = ["550 no such mailbox"]

    work_off()
    work_off()

    assert server.subjects == ["Cancelled"]


def test_bookings_do_not_wait_for_each_other(server):
    show = a_show()
    cancel(a_booking(show=show, seats=(1,)))
    a_booking(show=show, seats=(2,))

    assert work_off() == 2

    assert server.subjects == ["Booked", "Booked"]


def test_a_failed_mail_can_be_sent_again(server):
    event = the_event(a_booking())
    server.to_recipient = ["550 mailbox full"]
    work_off()

    assert deliveries.send_again(BookingEvent.objects.all()) == 1
    assert deliveries.send_again(BookingEvent.objects.all()) == 0
    work_off()

    event.refresh_from_db()
    assert (len(server.mails), event.mail_state, event.mail_error) == (1, "sent", "")


def test_what_was_sent_or_is_owed_is_not_sent_again(server):
    a_booking()
    work_off()
    owed = the_event(a_booking())
    deliveries.queue_due()

    assert deliveries.send_again(BookingEvent.objects.all()) == 0

    assert seconds_until_due(owed) > 5
    assert work_off() == 0


def test_a_confirmation_is_not_sent_again_behind_its_cancellation(server):
    booking = a_booking()
    server.to_recipient = ["550 mailbox full"]
    work_off()
    cancel(booking)

    assert deliveries.send_again(BookingEvent.objects.all()) == 0  # the cancellation is owed
    work_off()
    assert deliveries.send_again(BookingEvent.objects.all()) == 0  # and now sent

    assert (work_off(), server.subjects) == (0, ["Cancelled"])


def test_both_failed_mails_of_a_booking_are_sent_again_in_order(server):
    cancel(a_booking())
    server.to_recipient = ["550 mailbox full"] * 2
    work_off()
    work_off()

    assert deliveries.send_again(BookingEvent.objects.order_by("-pk")) == 2
    work_off()
    work_off()

    assert server.subjects == ["Booked", "Cancelled"]
