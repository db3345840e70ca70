"""The admin with many rows: a list asks no more for them, and counts no further than it must."""

from datetime import timedelta

import pytest
from django.db import connection

from tests.factories import (
    a_booking,
)
from tests.staff import page, queries, superuser

on_sqlite = connection.vendor == "sqlite"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["show", "booking", "bookingevent", "movie", "user", "authsession"])
def test_a_list_asks_as_much_for_twenty_rows_as_for_one(name):
    client = superuser()
    a_booking()
    first = queries(client, page(f"{name}_changelist"))

    for seat in range(19):
        a_booking(seats=(seat + 1, 50))

    assert queries(client, page(f"{name}_changelist")) == first <= 10


@pytest.mark.django_db(transaction=True)
def test_no_page_of_a_row_asks_more_than_twenty_times():
    client, booking = superuser(), a_booking(seats=(1, 2, 3))

    shown = {"booking": booking, "show": booking.show, "movie": booking.show.movie, "user": booking.user}
    for name, row in shown.items():
        assert queries(client, page(f"{name}_change", row.pk)) <= 20, name
