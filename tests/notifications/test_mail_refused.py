"""A mail server that refuses, is silent or away: what is tried again, and what is given up."""

import socket
import threading
import time

import pytest

from cinema.sales.models import BookingEvent
from tests.support.factories import a_booking
from tests.support.mailing import let_pass, seconds_until_due, the_event, work_off
from tests.support.services import free_port
from tests.support.smtp_server import SMTP

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("asked", ["to_recipient", "to_data"])
def test_a_temporary_refusal_is_tried_again(server, asked):
    event = the_event(a_booking())
    setattr(server, asked, ["451 try later"])

    work_off()
    assert 0 < seconds_until_due(event) <= 5
    assert event.mail_error in {"SMTPRecipientsRefused 451", "SMTPDataError 451"}
    assert work_off() == 0
    let_pass(BookingEvent)
    work_off()

    event.refresh_from_db()
    assert (len(server.mails), event.mail_attempts, event.mail_state, event.mail_error) == (
        1,
        2,
        "sent",
        "",
    )


def test_a_server_that_is_down_costs_no_mail(server, settings):
    event = the_event(a_booking())
    settings.EMAIL_PORT = free_port()

    work_off()

    assert 0 < seconds_until_due(event) <= 5
    assert event.mail_error.startswith("ConnectionRefusedError")
    settings.EMAIL_PORT = server.port
    let_pass(BookingEvent)
    work_off()
    assert len(server.mails) == 1


def test_retries_come_after_5_15_45_seconds_and_so_on_up_to_15_minutes(settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        SMTP,
        "127.0.0.1",
        free_port(),
    )
    event, waits = the_event(a_booking()), []

    for _ in range(8):
        work_off()
        waits.append(round(seconds_until_due(event)))
        let_pass(BookingEvent)

    assert waits == pytest.approx([5, 15, 45, 135, 405, 900, 900, 900], abs=1)


def test_a_silent_server_is_left_after_the_time_out(settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = SMTP, "127.0.0.1", 0.3
    event = the_event(a_booking())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]

        started = time.monotonic()
        work_off()

    assert time.monotonic() - started < 3
    assert 0 < seconds_until_due(event) <= 5


def test_a_server_that_hangs_up_is_tried_again(settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = SMTP, "127.0.0.1", 2
    event = the_event(a_booking())
    with socket.create_server(("127.0.0.1", 0)) as rude:
        settings.EMAIL_PORT = rude.getsockname()[1]
        threading.Thread(target=lambda: rude.accept()[0].close(), daemon=True).start()

        work_off()

    assert 0 < seconds_until_due(event) <= 5


@pytest.mark.parametrize("asked", ["to_recipient", "to_data"])
def test_a_permanent_refusal_fails_where_staff_see_it(server, asked):
    event = the_event(a_booking())
    setattr(server, asked, ["550 no such mailbox: someone@example.com"])

    work_off()

    event.refresh_from_db()
    assert (event.mail_state, event.mail_due_at) == ("failed", None)
    assert event.mail_error in {"SMTPRecipientsRefused 550", "SMTPDataError 550"}
    assert (work_off(), server.mails) == (0, [])


def test_a_server_that_wants_a_login_fails_no_mail(server):
    event = the_event(a_booking())
    server.to_recipient = ["530 authentication required"]

    work_off()

    assert 0 < seconds_until_due(event) <= 5


def test_a_sender_address_that_is_none_fails_no_mail(server, settings):
    settings.DEFAULT_FROM_EMAIL = "a@b@c..d"
    event = the_event(a_booking())

    work_off()

    assert 0 < seconds_until_due(event) <= 5
    assert server.mails == []


def test_a_customer_without_an_address_is_shown_to_staff(server):
    event = the_event(a_booking())
    type(event.booking.user).objects.update(email="")

    work_off()

    event.refresh_from_db()
    assert (event.mail_state, event.mail_error) == ("failed", "no address")
