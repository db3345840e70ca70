"""The admin with many rows: a list asks no more for them, and counts no further than it must."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cinema import staff_pages
from tests.factories import a_booking, a_customer
from tests.staff import page, queries, rows, superuser
from tests.test_admin_look import pages


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


@pytest.mark.django_db(transaction=True)
def test_a_list_counts_no_further_than_it_must(monkeypatch):
    monkeypatch.setattr(staff_pages, "MOST_COUNTED", 3)
    client = superuser()
    for seat in range(6):
        a_booking(seats=(seat + 1,))

    with CaptureQueriesContext(connection) as captured:
        response = client.get(page("booking_changelist"))

    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 4" in counts[0]
    assert "JOIN" not in counts[0]
    assert "3+ bookings" in " ".join(response.content.decode().split())


@pytest.mark.django_db(transaction=True)
def test_every_page_of_the_admin_asks_at_most_twenty_times():
    client = superuser()

    for name, url in pages().items():
        assert queries(client, url) <= 20, name


@pytest.mark.django_db(transaction=True)
def test_what_is_typed_is_looked_for_without_a_join_over_all_bookings():
    booking, client = a_booking(), superuser()

    for name, typed in (
        ("booking", booking.reference),
        ("booking", booking.user.email),
        ("bookingevent", booking.reference),
    ):
        with CaptureQueriesContext(connection) as captured:
            client.get(page(f"{name}_changelist"), {"q": typed})
        asked = [query["sql"] for query in captured if f'"cinema_{name}"' in query["sql"].replace("`", '"')]
        assert asked
        assert not [sql for sql in asked if "LIKE" in sql], name


@pytest.mark.django_db
def test_customers_are_found_by_the_beginning_of_what_one_knows_of_them():
    mia = a_customer("mia.wong", first_name="Mia", last_name="Wong")
    a_customer("amia", last_name="Awong")
    client = superuser()

    for typed in ("mia", "MIA.W", "Mia Wong", "wong", "mia.wong@ex"):
        assert rows(client.get(page("user_changelist"), {"q": typed})) == [mia], typed
