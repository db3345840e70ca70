"""Owed mail, against a real mail server: one for every row that owes it, and what it says."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from cinema.people.caller import Caller
from cinema.people.models import PasswordReset
from cinema.sales import bookings
from cinema.sales.models import BookingEvent
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_show,
    make_stale,
)
from tests.support.mailing import a_reset, cancel, let_pass, parts, the_event, work_off

pytestmark = pytest.mark.django_db(transaction=True)


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

    assert (
        server.mails[0]["Message-ID"]
        == f"<event-{event.pk}-{event.booking.reference}@cinema.example>"
    )
    assert parsedate_to_datetime(server.mails[0]["Date"]) == at.replace(microsecond=0)


def test_a_hold_owes_no_mail_however_it_ends(server):
    cancel(a_hold(seats=(1,)))
    make_stale(a_hold(seats=(2,)))
    bookings.expire_stale()

    assert work_off() == 0

    assert server.mails == []


def test_a_confirmed_hold_owes_one(server):
    hold = a_hold()
    bookings.confirm(Caller(hold.user_id), hold.pk)

    work_off()

    assert server.subjects == ["Booked"]


def test_a_cancellation_gets_a_mail_of_its_own(server):
    booking = a_booking()
    work_off()

    cancel(booking)
    work_off()

    assert server.subjects == ["Booked", "Cancelled"]
    assert server.mails[0]["Message-ID"] != server.mails[1]["Message-ID"]


def test_an_inactive_customer_still_learns_of_their_booking(server):
    caller = a_caller()
    a_booking(caller)
    customer = type(a_customer()).objects.get(pk=caller.user_id)
    customer.is_active = False
    customer.save()

    work_off()

    assert len(server.mails) == 1


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
