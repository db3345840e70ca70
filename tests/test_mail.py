"""Owed mail, against a real mail server: one mail for every owed row, and a retry for every failure."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from django.core.mail.backends.smtp import EmailBackend
from django.db import connection
from django.db.models.functions import Now

from cinema import bookings, logins, mail
from cinema.errors import TokenInvalid
from cinema.models import Booking, BookingEvent, PasswordReset
from tests.factories import a_booking, a_caller, a_customer, a_hold, a_movie, a_show, make_stale
from tests.racing import race
from tests.services import free_port
from tests.smtp_server import SMTP, smtp_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings):
    """The mail server that the settings name."""
    with smtp_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", server.port
        settings.EMAIL_TIMEOUT = 5
        yield server


class Killed(BaseException):
    """What a worker feels that dies."""


class DiesAfterTheYes(EmailBackend):
    def send_messages(self, email_messages):
        super().send_messages(email_messages)
        raise Killed


class SuspendedBeforeSending(EmailBackend):
    def open(self):
        super().open()
        let_pass(BookingEvent)


class LosesTheDatabase(EmailBackend):
    def send_messages(self, email_messages):
        sent = super().send_messages(email_messages)
        with connection.cursor() as cursor:
            on_postgresql = connection.vendor == "postgresql"
            cursor.execute("SELECT pg_backend_pid()" if on_postgresql else "SELECT connection_id()")
            (mine,) = cursor.fetchone()
        race(lambda: kill_connection(mine))
        return sent


def kill_connection(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)" if connection.vendor == "postgresql" else "KILL %s", [number])


def let_pass(model) -> None:
    """As if every wait and every lease had passed."""
    model.objects.owed().update(mail_due_at=Now() - timedelta(seconds=1))


def work_off() -> int:
    """One sweep and what it queues."""
    queued = mail.queue_due()
    for due in queued:
        mail.deliver(*due)
    return len(queued)


def the_event(booking: Booking, kind: str = "booked") -> BookingEvent:
    return booking.events.get(kind=kind)


def parts(message) -> tuple[str, str]:
    text, html = message.iter_parts()
    return text.get_content(), html.get_content()


def seconds_until_due(row) -> float:
    row.refresh_from_db()
    return (row.mail_due_at - datetime.now(UTC)).total_seconds()


def cancel(booking: Booking) -> BookingEvent:
    bookings.cancel(logins.Caller(booking.user_id), booking.pk)
    return the_event(booking, "cancelled")


def a_reset(**fields) -> PasswordReset:
    return PasswordReset.objects.create(user=a_customer(**fields), mail_due_at=Now())


def test_a_booking_gets_one_mail(server):
    booking = a_booking(seats=(7, 5))

    work_off()
    work_off()

    assert len(server.mails) == 1
    assert server.mails[0]["To"] == booking.user.email
    assert server.mails[0]["From"] == "Marquee <tickets@localhost>"
    assert the_event(booking).mail_state == "sent"


def test_both_parts_tell_reference_film_screen_and_seats(server):
    booking = a_booking(seats=(7, 5))

    work_off()

    for part in parts(server.mails[0]):
        for said in (booking.reference, booking.show.movie_title, booking.show.screen_name, "5, 7"):
            assert said in part


def test_the_time_is_the_cinemas(server, settings):
    settings.TIME_ZONE = "Europe/Warsaw"
    a_booking(show=a_show(date_time=datetime(2099, 7, 1, 18, 30, tzinfo=UTC)))

    work_off()

    assert "Wednesday, 1 July 2099, 20:30 CEST" in server.mails[0]["Subject"]
    for part in parts(server.mails[0]):
        assert "Wednesday, 1 July 2099, 20:30 CEST" in part


def test_a_title_is_escaped_in_html_alone(server):
    a_booking(show=a_show(movie=a_movie(title="Tom & <b>Jerry</b>")))

    work_off()

    text, html = parts(server.mails[0])
    assert "Tom & <b>Jerry</b>" in text
    assert "Tom &amp; &lt;b&gt;Jerry&lt;/b&gt;" in html
    assert "<b>Jerry" not in html


def test_a_subject_is_one_line_whatever_the_title(server):
    booking = a_booking(show=a_show(movie=a_movie(title="Up\r\nBcc: all@example.com")))

    work_off()

    assert server.mails[0]["Subject"].startswith("Booked: Up Bcc: all@example.com, ")
    assert server.mails[0]["Bcc"] is None
    assert server.mails[0]["To"] == booking.user.email


def test_message_id_and_date_are_the_events(server, settings):
    settings.DEFAULT_FROM_EMAIL = "Box office <seats@cinema.example>"
    event = the_event(a_booking())
    at = event.at - timedelta(days=3)
    BookingEvent.objects.filter(pk=event.pk).update(at=at)

    work_off()

    assert server.mails[0]["Message-ID"] == f"<event-{event.pk}-{event.booking.reference}@cinema.example>"
    assert parsedate_to_datetime(server.mails[0]["Date"]) == at.replace(microsecond=0)


def test_a_hold_owes_no_mail_however_it_ends(server):
    cancel(a_hold(seats=(1,)))
    make_stale(a_hold(seats=(2,)))
    bookings.expire_stale()

    assert work_off() == 0

    assert server.mails == []


def test_a_confirmed_hold_owes_one(server):
    hold = a_hold()
    bookings.confirm(logins.Caller(hold.user_id), hold.pk)

    work_off()

    assert server.subjects == ["Booked"]


def test_a_cancellation_gets_a_mail_of_its_own(server):
    booking = a_booking()
    work_off()

    cancel(booking)
    work_off()

    assert server.subjects == ["Booked", "Cancelled"]
    assert server.mails[0]["Message-ID"] != server.mails[1]["Message-ID"]


def test_a_queued_mail_is_not_queued_again_at_once():
    event = the_event(a_booking())

    assert mail.queue_due() == [("event", event.pk, 0)]
    assert mail.queue_due() == []

    assert mail.QUEUED_SECONDS - 5 < seconds_until_due(event) <= mail.QUEUED_SECONDS


def test_a_message_that_was_lost_is_made_again(server):
    event = the_event(a_booking())
    mail.queue_due()

    let_pass(BookingEvent)

    assert mail.queue_due() == [("event", event.pk, 0)]


def test_a_sweep_takes_no_more_than_its_limit():
    show = a_show()
    for seat in (1, 2, 3):
        a_booking(show=show, seats=(seat,))

    assert [len(mail.queue_due(limit=2)) for _ in range(3)] == [2, 1, 0]


def test_sweeps_at_once_queue_every_mail_once():
    show = a_show()
    events = [the_event(a_booking(show=show, seats=(seat,))).pk for seat in range(1, 21)]

    sweeps = race(*[lambda: mail.queue_due(limit=5) for _ in range(4)])

    queued = [due.pk for sweep in sweeps for due in sweep] + [due.pk for due in mail.queue_due()]
    assert sorted(queued) == events


def test_a_message_delivered_twice_sends_one_mail(server):
    a_booking()
    (due,) = mail.queue_due()

    mail.deliver(*due)
    mail.deliver(*due)

    assert len(server.mails) == 1


def test_workers_with_one_message_send_one_mail(server):
    event = the_event(a_booking())
    (due,) = mail.queue_due()

    results = race(*[lambda: mail.deliver(*due) for _ in range(6)])

    event.refresh_from_db()
    assert results == [None] * 6
    assert (len(server.mails), event.mail_attempts, event.mail_state) == (1, 1, "sent")


@pytest.mark.parametrize("attempt", [1, 7])
def test_a_message_of_another_attempt_does_nothing(server, attempt):
    event = the_event(a_booking())

    mail.deliver("event", event.pk, attempt)

    event.refresh_from_db()
    assert (event.mail_attempts, event.mail_state, server.mails) == (0, "owed", [])


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
    assert (len(server.mails), event.mail_attempts, event.mail_state, event.mail_error) == (1, 2, "sent", "")


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
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", free_port()
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


def test_a_worker_that_dies_after_the_yes_costs_a_second_copy_with_the_same_message_id(server, settings):
    a_booking()
    settings.EMAIL_BACKEND = f"{__name__}.DiesAfterTheYes"
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
    settings.EMAIL_BACKEND = f"{__name__}.SuspendedBeforeSending"

    work_off()

    assert server.mails == []
    settings.EMAIL_BACKEND = SMTP
    work_off()
    event.refresh_from_db()
    assert (len(server.mails), event.mail_attempts, event.mail_state) == (1, 2, "sent")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file is never away")
def test_a_database_that_is_lost_after_the_yes_costs_no_second_copy(server, settings):
    event = the_event(a_booking())
    settings.EMAIL_BACKEND = f"{__name__}.LosesTheDatabase"

    work_off()

    event.refresh_from_db()
    assert event.mail_state == "sent"


def test_a_late_put_off_takes_nothing_back(server):
    event = the_event(a_booking())
    work_off()

    mail.put_off("event", event.pk, 1, "not done in time")

    event.refresh_from_db()
    assert (event.mail_state, event.mail_error) == ("sent", "")


def test_a_cancellation_waits_for_the_confirmation(server):
    booking = a_booking()
    cancelled = cancel(booking)

    assert [due.pk for due in mail.queue_due()] == [the_event(booking).pk]
    mail.deliver("event", cancelled.pk, 0)  # by a message from wherever

    cancelled.refresh_from_db()
    assert (server.mails, cancelled.mail_attempts, cancelled.mail_state) == ([], 0, "owed")
    mail.deliver("event", the_event(booking).pk, 0)
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

    assert mail.send_again(BookingEvent.objects.all()) == 1
    assert mail.send_again(BookingEvent.objects.all()) == 0
    work_off()

    event.refresh_from_db()
    assert (len(server.mails), event.mail_state, event.mail_error) == (1, "sent", "")


def test_what_was_sent_or_is_owed_is_not_sent_again(server):
    a_booking()
    work_off()
    owed = the_event(a_booking())
    mail.queue_due()

    assert mail.send_again(BookingEvent.objects.all()) == 0

    assert seconds_until_due(owed) > 5
    assert work_off() == 0


def test_a_confirmation_is_not_sent_again_behind_its_cancellation(server):
    booking = a_booking()
    server.to_recipient = ["550 mailbox full"]
    work_off()
    cancel(booking)

    assert mail.send_again(BookingEvent.objects.all()) == 0  # the cancellation is owed
    work_off()
    assert mail.send_again(BookingEvent.objects.all()) == 0  # and now sent

    assert (work_off(), server.subjects) == (0, ["Cancelled"])


def test_both_failed_mails_of_a_booking_are_sent_again_in_order(server):
    cancel(a_booking())
    server.to_recipient = ["550 mailbox full"] * 2
    work_off()
    work_off()

    assert mail.send_again(BookingEvent.objects.order_by("-pk")) == 2
    work_off()
    work_off()

    assert server.subjects == ["Booked", "Cancelled"]


def test_an_inactive_customer_still_learns_of_their_booking(server):
    caller = a_caller()
    a_booking(caller)
    customer = type(a_customer()).objects.get(pk=caller.user_id)
    customer.is_active = False
    customer.save()

    work_off()

    assert len(server.mails) == 1


def test_the_token_of_a_reset_mail_changes_the_password_once(server):
    reset = a_reset()
    logins.request_reset("nobody@example.com")

    work_off()

    assert len(server.mails) == 1
    text, html = parts(server.mails[0])
    own = logins.reset_token(reset.user).partition(".")[0] + "."
    (token,) = [line for line in text.splitlines() if line.startswith(own)]
    assert token in html
    assert "POST /api/password-reset/confirm/" in text
    assert "one hour" in text
    logins.reset_password(token, "another long passphrase")
    with pytest.raises(TokenInvalid):
        logins.reset_password(token, "a third long passphrase")


def test_a_request_for_a_reset_owes_its_mail(server):
    customer = a_customer()

    logins.request_reset(customer.email.upper())
    work_off()

    assert [message["To"] for message in server.mails] == [customer.email]


def test_an_inactive_customer_gets_no_reset_mail(server):
    reset = a_reset(is_active=False)

    work_off()

    reset.refresh_from_db()
    assert (reset.mail_state, reset.mail_error, server.mails) == ("failed", "inactive user", [])


def test_the_message_id_of_a_reset_cannot_be_guessed(server, settings):
    reset = a_reset()
    work_off()
    PasswordReset.objects.update(mail_sent_at=None, mail_due_at=Now() - timedelta(seconds=1))
    work_off()
    settings.SECRET_KEY = "another secret of more than 32 characters"
    PasswordReset.objects.update(mail_sent_at=None, mail_due_at=Now() - timedelta(seconds=1))
    work_off()

    first, same, other = [message["Message-ID"] for message in server.mails]
    assert first == same != other
    assert first.startswith(f"<reset-{reset.pk}-")


def test_the_log_names_ids_alone(server, written):
    booking, reset = a_booking(), a_reset()
    server.to_recipient = ["451 <someone@example.com> is over quota"]

    work_off()
    let_pass(PasswordReset)
    work_off()

    always = {"timestamp", "level", "logger", "request_id"}
    told = [line for line in written if line["logger"] == "marquee.mail"]
    assert [{name: line[name] for name in sorted(line.keys() - always)} for line in told] == [
        {"again_in": 5, "attempt": 1, "event": "mail put off", "id": reset.pk, "kind": "reset",
         "reason": "SMTPRecipientsRefused 451"},
        {"attempt": 1, "event": "mail sent", "id": the_event(booking).pk, "kind": "event"},
        {"attempt": 2, "event": "mail sent", "id": reset.pk, "kind": "reset"},
    ]  # fmt: skip
