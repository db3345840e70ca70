"""Bookings and their mails in the admin: found, filtered, cancelled by the functions of the API,
never edited.
"""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime

from cinema.programme.models import Show
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_show,
    make_stale,
    move_start,
)
from tests.support.staff import (
    BOX_OFFICE,
    act,
    cancel,
    cells,
    page,
    rows,
    sentences,
    staff,
    superuser,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_the_list_of_bookings_shows_what_customers_read():
    booked = a_booking(seats=(9, 3))
    stale = make_stale(a_hold())

    response = staff(BOX_OFFICE).get(page("booking_changelist"))

    assert [(row.reference, row.reads_as) for row in rows(response)] == [
        (stale.reference, "expired"),
        (booked.reference, "booked"),
    ]
    assert cells(response, "seat_numbers") == ["5", "3, 9"]
    assert cells(response, "reads_as") == ["expired", "booked"]
    assert cells(response, "movie") == [stale.show.movie.title, booked.show.movie.title]


@pytest.mark.django_db(transaction=True)
def test_bookings_are_found_by_reference_customer_and_film():
    booking = a_booking(a_caller(a_customer("mia")), a_show(movie=a_movie(title="Alraune")))
    a_booking()
    client = staff(BOX_OFFICE)

    for typed in (
        booking.reference,
        booking.reference.lower(),
        "mia",
        "MIA@example.com",
        "alraune",
        "Alraune mia",
    ):
        assert rows(client.get(page("booking_changelist"), {"q": typed})) == [booking], typed
    assert rows(client.get(page("booking_changelist"), {"q": "nothing like that"})) == []


@pytest.mark.django_db(transaction=True)
def test_bookings_are_filtered_by_status_and_by_the_day_of_the_show():
    noon = localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    booked, hold, stale = a_booking(), a_hold(), make_stale(a_hold())
    caller = a_caller()
    cancelled = a_booking(caller)
    bookings.cancel(caller, cancelled.pk)
    Show.objects.filter(pk=booked.show_id).update(date_time=noon)
    Show.objects.exclude(pk=booked.show_id).update(date_time=noon + DAY)
    client = staff(BOX_OFFICE)

    def found(**query) -> set[Booking]:
        return set(rows(client.get(page("booking_changelist"), query)))

    assert found(status="booked") == {booked}
    assert found(status="pending") == {hold}
    assert found(status="expired") == {stale}
    assert found(status="cancelled") == {cancelled}
    assert found(day="today") == {booked}
    assert found(day="tomorrow", status="pending") == {hold}


@pytest.mark.django_db(transaction=True)
def test_nobody_adds_edits_or_deletes_a_booking_by_hand():
    booking, client = a_booking(), superuser()

    assert client.get(page("booking_add")).status_code == 403
    assert (
        client.post(page("booking_change", booking.pk), {"status": "cancelled"}).status_code == 403
    )
    assert client.post(page("booking_delete", booking.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in client.get(page("booking_changelist")).content.decode()

    booking.refresh_from_db()
    assert (booking.status, booking.events.count()) == ("booked", 1)


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_booking_tells_its_history():
    booking, client = a_booking(seats=(5, 6)), staff(BOX_OFFICE)
    cancel(client, booking)

    response = client.get(page("booking_change", booking.pk))

    html = response.content.decode()
    assert cells(response, "kind") == ["Booked", "Cancelled"]
    assert booking.user.username in html
    assert client.user.username in html
    assert 'name="_save"' not in html


@pytest.mark.django_db(transaction=True)
def test_cancel_asks_first():
    booking = a_booking(seats=(5, 6))

    response = act(staff(BOX_OFFICE), "booking", "cancel", booking)

    assert f"{booking.reference}: {booking.user}" in response.content.decode()
    assert Booking.objects.get().status == "booked"
    assert LogEntry.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_cancel_gives_the_seats_back_owes_the_mail_and_names_the_clerk():
    booking, hold, client = a_booking(seats=(5, 6)), a_hold(), staff(BOX_OFFICE)

    response = cancel(client, booking, hold)

    assert sentences(response) == [f"Cancelled: {hold.reference}, {booking.reference}."]
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert not BookingSeat.objects.live().exists()
    events = BookingEvent.objects.filter(kind="cancelled").order_by("booking_id")
    assert [(event.booking, event.actor, event.mail_state) for event in events] == [
        (booking, client.user, "owed"),
        (hold, client.user, "none"),
    ]
    logged = LogEntry.objects.order_by("pk")
    assert [(row.user, row.object_id, row.get_change_message()) for row in logged] == [
        (client.user, str(hold.pk), "Cancelled."),
        (client.user, str(booking.pk), "Cancelled."),
    ]


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_cancelled_is_told_and_stops_none_of_the_others():
    started, stale, good = a_booking(), make_stale(a_hold()), a_booking()
    move_start(started.show, -HOUR)
    caller = a_caller()
    gone = a_booking(caller)
    bookings.cancel(caller, gone.pk)
    events = BookingEvent.objects.count()

    response = cancel(staff(BOX_OFFICE), started, stale, good, gone)

    assert sentences(response) == [
        f"{gone.reference}: it was cancelled before.",
        f"{stale.reference}: This hold has run out. Hold or book the seats again.",
        f"{started.reference}: The show has started, so its bookings can no longer be changed.",
        f"Cancelled: {good.reference}.",
    ]
    assert list(Booking.objects.order_by("pk").values_list("status", flat=True)) == [
        "booked",
        "pending",
        "cancelled",
        "cancelled",
    ]
    assert (BookingEvent.objects.count(), LogEntry.objects.count()) == (events + 1, 1)


@pytest.mark.django_db(transaction=True)
def test_who_may_only_look_cannot_cancel():
    booking, client = a_booking(), staff(["view_booking"])

    response = cancel(client, booking)

    assert "Cancel the selected bookings" not in response.content.decode()
    assert Booking.objects.get().status == "booked"


# Events and their mails


@pytest.mark.django_db(transaction=True)
def test_events_are_filtered_by_kind_and_mail_and_never_edited():
    a_hold()
    owed, sent, failed = (a_booking().events.get() for _ in range(3))
    BookingEvent.objects.filter(pk=sent.pk).update(mail_due_at=None, mail_sent_at=timezone.now())
    BookingEvent.objects.filter(pk=failed.pk).update(
        mail_due_at=None, mail_failed_at=timezone.now()
    )
    client = superuser()

    def found(**query) -> list[BookingEvent]:
        return rows(client.get(page("bookingevent_changelist"), query))

    assert found(mail="owed") == [owed]
    assert found(mail="sent") == [sent]
    assert found(mail="failed") == [failed]
    assert found(kind__exact="booked") == [failed, sent, owed]
    assert client.post(page("bookingevent_change", owed.pk), {"kind": "held"}).status_code == 403
    assert client.post(page("bookingevent_delete", owed.pk), {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_failed_mail_is_sent_again_and_a_sent_one_is_not():
    failed, sent = (a_booking().events.get() for _ in range(2))
    BookingEvent.objects.filter(pk=failed.pk).update(
        mail_due_at=None, mail_failed_at=timezone.now(), mail_error="550"
    )
    BookingEvent.objects.filter(pk=sent.pk).update(mail_due_at=None, mail_sent_at=timezone.now())

    response = act(staff(BOX_OFFICE), "bookingevent", "send_again", failed, sent)

    assert sentences(response) == ["Failed mails that will be sent again: 1."]
    assert [BookingEvent.objects.get(pk=event.pk).mail_state for event in (failed, sent)] == [
        "owed",
        "sent",
    ]


@pytest.mark.django_db(transaction=True)
def test_who_may_only_look_sends_no_mail_again():
    event = a_booking().events.get()
    BookingEvent.objects.filter(pk=event.pk).update(mail_due_at=None, mail_failed_at=timezone.now())

    act(staff(["view_bookingevent", "view_booking"]), "bookingevent", "send_again", event)

    assert BookingEvent.objects.get().mail_state == "failed"


@pytest.mark.django_db(transaction=True)
def test_an_odd_word_to_look_for_is_no_fault():
    where = {"app_label": "cinema", "model_name": "show", "field_name": "movie"}

    answer = superuser().get(reverse("admin:autocomplete"), {"term": "a\0b"} | where)

    assert answer.status_code < 500
