"""What a clerk types finds whom he means, tells no more than he may see, and asks a bounded number
of times.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cinema.errors import Invalid
from cinema.people.models import User
from cinema.sales.models import Booking
from cinema.staff import search
from tests.support.factories import a_booking, a_caller, a_customer, a_movie, a_show
from tests.support.staff import BOX_OFFICE, page, queries, rows, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)


def named(first: str, last: str) -> User:
    return a_customer(first_name=first, last_name=last)


def booked(user: User, **show) -> Booking:
    return a_booking(a_caller(user), a_show(**show))


def found(client, typed: str) -> list[Booking]:
    return rows(client.get(page("booking_changelist"), {"q": typed}))


def test_a_common_name_is_found_by_the_whole_of_it(monkeypatch):
    monkeypatch.setattr(search, "MOST_CUSTOMERS", 1)
    meant = booked(named("Maria", "Garcia"))
    booked(named("Maria", "Newer"))
    booked(named("Newer", "Garcia"))

    assert found(staff(BOX_OFFICE), "Maria Garcia") == [meant]


def test_of_more_customers_than_are_looked_up_it_is_the_newest(monkeypatch):
    monkeypatch.setattr(search, "MOST_CUSTOMERS", 2)
    made = [booked(named("Maria", last)) for last in ("Zeller", "Young", "Adams")]

    assert found(staff(BOX_OFFICE), "maria") == [made[2], made[1]]


def test_a_pasted_text_is_not_asked_about_word_by_word():
    booking = booked(a_customer("mia"), movie=a_movie(title="Alraune"))
    client = staff(BOX_OFFICE)
    words = ["m", "mi", "mia", "mia@", "alraune", *(f"word{number}" for number in range(25))]

    assert found(client, " ".join(words)) == [booking]
    assert found(client, " ".join(words[3:])) == []
    assert queries(client, f"{page('booking_changelist')}?q={'+'.join(words)}") <= 20
    # more than SQLite would take
    assert list(search.customers("mia " * 5 + "word " * 2000)) == [booking.user]


def test_an_action_on_what_was_found_by_many_words_asks_few_questions():
    booking = a_booking(a_caller(a_customer("abcde")))
    url = f"{page('booking_changelist')}?q=a+ab+abc+abcd+abcde"
    client = superuser()

    for action in ("cancel", "export"):
        with CaptureQueriesContext(connection) as asked:
            response = client.post(url, {"action": action, "_selected_action": booking.pk})
            told = response.getvalue() if response.streaming else response.content

        assert booking.reference in told.decode(), action
        assert len(asked) <= 20, action


@pytest.mark.parametrize("typed", ["mia@example.com", " MIA@example.com"])
def test_a_username_that_is_anothers_e_mail_is_sold_nothing_by_it(typed):
    mia = a_customer("mia")
    other = a_customer("mia@example.com")

    with pytest.raises(
        Invalid, match=r"is the username of mia@example\.com and the e-mail of mia\. Write mia, or"
    ):
        search.customer(typed)

    assert search.customer("mia") == mia
    assert search.customer(other.email) == other


def test_who_may_not_see_customers_does_not_find_them_by_what_is_hidden():
    user = a_customer("mia", first_name="Josephine", last_name="Wong")
    User.objects.filter(pk=user.pk).update(email="secret@example.com")
    booking = booked(user, movie=a_movie(title="Alraune"))
    shown = ["mia", booking.reference, "alraune", "mia alraune"]
    hidden = [
        "secret@example.com",
        "josephine",
        "wong",
        "mia wong",
        "secret alraune",
        "Josephine Wong",
    ]
    sees, looks = staff(BOX_OFFICE), staff(["view_booking"])

    assert [typed for typed in shown + hidden if found(sees, typed) != [booking]] == []
    assert [typed for typed in shown if found(looks, typed) != [booking]] == []
    assert [typed for typed in hidden if found(looks, typed)] == []
