"""What staff did is a list that whoever may see it reads, and nobody writes."""

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cinema.people.models import AuthSession, PasswordReset, User
from cinema.sales.models import BookingEvent
from tests.support.factories import a_booking, a_caller, a_customer
from tests.support.staff import (
    BOX_OFFICE,
    act,
    cancel,
    cells,
    logged_in,
    page,
    queries,
    rows,
    staff,
    superuser,
)

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/admin/logentry/"


def test_who_exported_the_customers_stands_in_the_list_and_who_cancelled():
    booking, clerk, reader = a_booking(), staff(BOX_OFFICE), superuser()
    act(clerk, "booking", "export", booking).getvalue()
    cancel(clerk, booking)

    seen = reader.get(LIST)

    assert cells(seen, "user") == [clerk.user.username] * 2
    assert cells(seen, "what") == [f"Booking: {booking}", "Booking: Bookings as CSV"]
    assert cells(seen, "done") == ["Cancelled.", "Exported as CSV"]
    assert f'href="{page("booking_change", booking.pk)}"' in seen.content.decode()
    assert LIST in reader.get(reverse("admin:index")).content.decode()
    assert rows(reader.get(LIST, {"q": reader.user.username})) == []
    assert len(rows(reader.get(LIST, {"q": clerk.user.username}))) == 2


def test_who_may_see_it_may_see_it_alone():
    line = LogEntry.objects.create(
        user=a_customer(), object_repr="x", action_flag=2, change_message="y"
    )
    clerk, auditor, root = staff(BOX_OFFICE), staff([]), superuser()
    auditor.user.user_permissions.add(Permission.objects.get(codename="view_logentry"))

    assert [client.get(LIST).status_code for client in (clerk, auditor, root)] == [403, 200, 200]
    assert LIST not in clerk.get(reverse("admin:index")).content.decode()
    for client in (auditor, root):
        assert client.get(f"{LIST}{line.pk}/change/").status_code == 200
        assert client.post(f"{LIST}{line.pk}/change/", {"object_repr": "z"}).status_code == 403
        assert client.post(f"{LIST}{line.pk}/delete/", {"post": "yes"}).status_code == 403
        client.post(LIST, {"action": "delete_selected", "_selected_action": line.pk, "post": "yes"})
        assert client.get(f"{LIST}add/").status_code == 403
    assert LogEntry.objects.get().object_repr == "x"


def test_it_asks_as_much_for_many_lines_as_for_one_and_counts_no_further_than_it_must():
    client, reader = staff(BOX_OFFICE), superuser()
    cancel(client, a_booking())
    one = queries(reader, LIST)
    for _ in range(9):
        cancel(staff(BOX_OFFICE), a_booking())

    with CaptureQueriesContext(connection) as asked:
        reader.get(LIST)

    assert len(asked) == one <= 10
    (count,) = [query["sql"] for query in asked if "COUNT(" in query["sql"]]
    assert "LIMIT 10001" in count


def test_whoever_has_a_line_is_not_deleted_with_it():
    clerk, other = staff(BOX_OFFICE), a_customer()
    booking = a_booking()
    act(clerk, "booking", "export", booking).getvalue()

    statuses = [
        superuser().post(page("user_delete", user.pk), {"post": "yes"}).status_code
        for user in (clerk.user, other)
    ]

    assert statuses == [403, 302]
    assert LogEntry.objects.filter(user=clerk.user).count() == 1
    assert not User.objects.filter(pk=other.pk).exists()


# What is done to many rows is one line


def last() -> tuple[User, str]:
    line = LogEntry.objects.latest("pk")
    return line.user, line.get_change_message()


def test_logins_that_are_ended_are_logged():
    mia, tom, client = a_customer("mia"), a_customer("tom"), superuser()
    logins = [AuthSession.objects.get(pk=a_caller(user).session_id) for user in (mia, mia, tom)]

    act(client, "authsession", "end", *logins)
    act(client, "authsession", "end", *logins)

    assert last() in [
        (client.user, f"Logins ended: 3, of {names}.") for names in ("mia, tom", "tom, mia")
    ]
    assert LogEntry.objects.count() == 1


def test_lock_outs_that_are_cleared_are_logged():
    attempt, client = (
        AccessAttempt.objects.create(username="known", failures_since_start=9),
        superuser(),
    )

    for _ in range(2):
        client.post(
            "/admin/axes/accessattempt/", {"action": "clear", "_selected_action": [attempt.pk]}
        )

    assert last() == (client.user, "Counts of wrong passwords cleared: 1, of known.")
    assert LogEntry.objects.count() == 1


def test_mails_that_are_sent_again_are_logged():
    booking, mia = a_booking(), a_customer("mia")
    reset, client = PasswordReset.objects.create(user=mia), superuser()
    failed = {"mail_due_at": None, "mail_failed_at": timezone.now()}
    BookingEvent.objects.update(**failed)
    PasswordReset.objects.update(**failed)

    for _ in range(2):
        act(client, "bookingevent", "send_again", booking.events.get())
    assert last() == (client.user, f"Failed mails that will be sent again: 1, of {booking}.")
    for _ in range(2):
        act(client, "passwordreset", "send_again", reset)

    assert last() == (client.user, "Failed mails that will be sent again: 1, of mia.")
    assert LogEntry.objects.count() == 2


def test_a_line_names_some_of_many():
    client = superuser()
    users = [a_customer() for _ in range(22)]
    logins = [AuthSession.objects.get(pk=a_caller(user).session_id) for user in users]

    act(logged_in(client.user), "authsession", "end", *logins)

    assert last()[1].startswith("Logins ended: 22, of ")
    assert last()[1].endswith(", others.")
