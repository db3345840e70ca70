"""The admin with many rows: a list asks no more for them, and counts no further than it must."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cinema.staff import base
from tests.staff.test_admin_look import pages
from tests.support.factories import a_booking, a_customer
from tests.support.staff import page, queries, rows, superuser


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "name", ["show", "booking", "bookingevent", "movie", "user", "authsession"]
)
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

    shown = {
        "booking": booking,
        "show": booking.show,
        "movie": booking.show.movie,
        "user": booking.user,
    }
    for name, row in shown.items():
        assert queries(client, page(f"{name}_change", row.pk)) <= 20, name


@pytest.mark.django_db(transaction=True)
def test_a_list_counts_no_further_than_it_must(monkeypatch):
    monkeypatch.setattr(base, "MOST_COUNTED", 3)
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
        asked = [
            query["sql"]
            for query in captured
            if f'"cinema_{name}"' in query["sql"].replace("`", '"')
        ]
        assert asked
        assert not [sql for sql in asked if "LIKE" in sql], name


@pytest.mark.django_db
def test_customers_are_found_by_the_beginning_of_what_one_knows_of_them():
    mia = a_customer("mia.wong", first_name="Mia", last_name="Wong")
    a_customer("amia", last_name="Awong")
    client = superuser()

    for typed in ("mia", "MIA.W", "Mia Wong", "wong", "mia.wong@ex"):
        assert rows(client.get(page("user_changelist"), {"q": typed})) == [mia], typed


def actions(client: Client) -> list[tuple[str, str]]:
    """Of each list that there is: its address and the name of an action."""
    found = []
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        if form := client.get(url).context["action_form"]:
            found += [(url, name) for name, _ in form.fields["action"].choices if name]
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("chosen", ["nonsense", "a\0b", "-1", "1.0", "", "9" * 19, "9" * 5000])
def test_an_odd_choice_is_refused_by_every_action(chosen):
    booking, client = a_booking(), superuser()
    asked = actions(client)
    assert (page("booking_changelist"), "cancel") in asked
    assert len(asked) > 10

    for url, name in asked:
        refused = client.post(
            url, {"action": name, "_selected_action": [booking.pk, chosen], "confirmed": "yes"}
        )
        taken = client.post(url, {"action": name, "_selected_action": ["9" * 18]})

        assert (refused.status_code, taken.status_code in (200, 302)) == (400, True), (url, name)
    booking.refresh_from_db()
    assert booking.status == "booked"


@pytest.mark.django_db(transaction=True)
def test_a_written_address_sorts_by_no_more_than_the_headings_do():
    a_booking()
    client, url = superuser(), page("booking_changelist")
    columns = list(client.get(url).context["cl"].list_display)

    def order(column: str) -> list[str]:
        return client.get(url, {"o": columns.index(column)}).context["cl"].queryset.query.order_by

    assert [order(column)[0] for column in ("movie", "starts", "reads_as", "user")] == ["-pk"] * 4
    assert order("reference")[0] == "reference"
