"""Bookings as CSV: streamed in parts, one row each, in the cinema's time, and nothing that a
spreadsheet would run.
"""

import csv
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.utils.timezone import localtime

from cinema.sales.models import Booking
from cinema.staff.lists import exports
from tests.support.factories import (
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_show,
    make_stale,
)
from tests.support.staff import BOX_OFFICE, page, staff

pytestmark = pytest.mark.django_db(transaction=True)


def export(client, *chosen: Booking, **data):
    data = {"action": "export", "_selected_action": [row.pk for row in chosen]} | data
    return client.post(f"{page('booking_changelist')}?{data.pop('query', '')}", data)


def lines(response) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_booking_is_one_row_in_the_cinemas_time(settings):
    settings.TIME_ZONE = "America/New_York"
    show = a_show(movie=a_movie(title='Safety "Last", again'))
    booking = a_booking(a_caller(a_customer("mia")), show, (9, 3))
    stale, client = make_stale(a_hold()), staff(BOX_OFFICE)

    response = export(client, booking, stale)

    assert response.streaming
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="bookings-')
    newest, row = lines(response)
    assert (newest["Reference"], newest["Status"]) == (stale.reference, "expired")
    assert row == {
        "Reference": booking.reference,
        "Status": "booked",
        "Film": 'Safety "Last", again',
        "Screen": show.screen.name,
        "Starts at": f"{localtime(show.date_time):%Y-%m-%d %H:%M:%S}",
        "Seats": "3 9",
        "Number of seats": "2",
        "Made at": f"{localtime(booking.created_at):%Y-%m-%d %H:%M:%S}",
        "Changed at": f"{localtime(booking.updated_at):%Y-%m-%d %H:%M:%S}",
        "Username": "mia",
        "E-mail": "mia@example.com",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "\r"])
def test_no_cell_is_a_formula(start):
    show = a_show(movie=a_movie(title=f"{start}HYPERLINK(1)"))

    (row,) = lines(export(staff(BOX_OFFICE), a_booking(show=show)))

    assert row["Film"].startswith("'")
    assert exports.safe("Metropolis") == "Metropolis"


def test_a_name_that_begins_like_a_formula_is_kept_as_text():
    (row,) = lines(export(staff(BOX_OFFICE), a_booking(a_caller(a_customer("+mia")))))

    assert (row["Username"], row["E-mail"]) == ("'+mia", "'+mia@example.com")


def test_all_that_the_list_finds_are_exported_and_not_its_page_alone(monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    show = a_show()
    booked = [a_booking(show=show, seats=(seat,)) for seat in range(1, 6)]
    a_hold(show=show, seats=(50,))

    response = export(staff(BOX_OFFICE), booked[0], select_across="1", query="status=booked")

    assert [row["Reference"] for row in lines(response)] == [
        booking.reference for booking in reversed(booked)
    ]


def test_the_database_is_asked_part_by_part_as_the_reader_goes_on(
    monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    show = a_show()
    for seat in range(1, 6):
        a_booking(show=show, seats=(seat,))

    with django_assert_num_queries(0):
        stream = iter(
            exports.bookings_csv(Booking.objects.all(), with_customers=True).streaming_content
        )
        next(stream)
    with django_assert_num_queries(4):
        assert next(stream).count(b"\n") == 2
    assert sum(part.count(b"\n") for part in stream) == 3


def test_an_export_is_logged_and_wants_the_right_to_look():
    booking, client = a_booking(), staff(BOX_OFFICE)

    export(client, booking, query="status=booked")

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.get_change_message()) == (
        client.user,
        None,
        "Exported as CSV: status=booked",
    )
    assert export(staff(["view_show"]), booking).status_code == 403
    assert LogEntry.objects.count() == 1


def test_who_may_not_see_customers_exports_none():
    (row,) = lines(export(staff(["view_booking"]), a_booking(a_caller(a_customer("mia")))))

    assert "Username" not in row
    assert "mia" not in str(row)
