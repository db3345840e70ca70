"""What the house runs on and its mails, on the front page of the staff and behind it: each figure
equals its list.
"""

import re

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django_redis import get_redis_connection

from cinema.infra.monitoring import health, heartbeats
from cinema.notifications import deliveries
from cinema.people.models import PasswordReset, User
from cinema.sales.models import BookingEvent
from tests.infra.test_health import as_if_passed
from tests.support.factories import a_booking
from tests.support.mailing import a_reset
from tests.support.staff import (
    BOX_OFFICE,
    act,
    cells,
    logged_in,
    page,
    queries,
    rows,
    sentences,
    staff,
    superuser,
)

pytestmark = pytest.mark.django_db(transaction=True)
HOME, HOUSE = "/admin/", "/admin/now/"
RESETS = ["view_passwordreset", "change_passwordreset"]
FIGURE = re.compile(r'href="([^"]*\?mail=(?:owed|failed))"[^>]*><b>(\d+)</b>')


def refuse(*mails) -> None:
    for one in mails:
        state = {
            "mail_due_at": None,
            "mail_sent_at": None,
            "mail_failed_at": Now(),
            "mail_error": "550 unknown",
        }
        type(one).objects.filter(pk=one.pk).update(**state)


def some_mails() -> None:
    """Owed 2 and failed 1 of bookings, owed 1 and failed 2 of passwords."""
    for _ in range(2):
        a_booking(), refuse(a_reset())
    refuse(a_booking().events.get())
    a_reset()


@pytest.mark.parametrize("path", [HOME, HOUSE])
def test_every_figure_of_the_mails_is_what_sql_counts_and_what_its_list_has(path):
    some_mails()
    client = superuser()

    figures = FIGURE.findall(client.get(path).content.decode())

    with connection.cursor() as cursor:
        counted = []
        for table in ("bookingevent", "passwordreset"):
            for column in ("mail_due_at", "mail_failed_at"):
                cursor.execute(f"SELECT count(*) FROM cinema_{table} WHERE {column} IS NOT NULL")
                counted += cursor.fetchone()
    assert [int(count) for _, count in figures] == counted == [2, 1, 1, 2]
    assert [len(rows(client.get(link))) for link, _ in figures] == counted


def test_more_than_a_thousand_mails_are_counted_to_the_last():
    a_booking()
    event = BookingEvent.objects.get()
    same = {"booking_id": event.booking_id, "kind": event.kind, "mail_failed_at": event.at}
    BookingEvent.objects.bulk_create(BookingEvent(**same) for _ in range(1001))
    BookingEvent.objects.bulk_create(
        BookingEvent(**same | {"mail_failed_at": None, "mail_due_at": event.at})
        for _ in range(1001)
    )

    (told,) = superuser().get(HOUSE).context["mails"][:1]

    assert (told["owed"], told["failed"]) == (1002, 1001)
    assert health.mail_part(health.owed_mails()).sentence.startswith("1001 mails were refused")


def test_of_the_passwords_mails_is_told_who_may_see_them():
    some_mails()

    assert [kind["name"] for kind in staff(BOX_OFFICE).get(HOME).context["mails"]] == [
        "Of bookings"
    ]
    assert [kind["name"] for kind in staff(RESETS).get(HOME).context["mails"]] == ["Of passwords"]
    assert staff(BOX_OFFICE).get(page("passwordreset_changelist")).status_code == 403


def test_a_refused_mail_for_a_password_is_seen_and_sent_again():
    failed, sent, client = a_reset(), a_reset(), staff(RESETS)
    refuse(failed)
    PasswordReset.objects.filter(pk=sent.pk).update(mail_due_at=None, mail_sent_at=Now())

    seen = client.get(page("passwordreset_changelist"))
    answer = act(client, "passwordreset", "send_again", failed, sent)

    assert (cells(seen, "mail_state"), cells(seen, "mail_error")[1]) == (
        ["sent", "failed"],
        "550 unknown",
    )
    assert sentences(answer) == ["Failed mails that will be sent again: 1."]
    assert [PasswordReset.objects.get(pk=one.pk).mail_state for one in (failed, sent)] == [
        "owed",
        "sent",
    ]
    assert page("passwordreset_changelist") in client.get(HOME).content.decode()  # in the menu


def test_the_mails_for_passwords_are_looked_at_alone(mailoutbox):
    reset = a_reset()
    deliveries.deliver("reset", reset.pk, 0)
    (token,) = re.findall(r"\b[0-9a-z]+\.[0-9a-z]+-[0-9a-f]{32}\b", mailoutbox[0].body)
    client = superuser()

    for path in (page("passwordreset_changelist"), page("passwordreset_change", reset.pk)):
        html = client.get(path).content.decode()
        assert reset.user.username in html
        assert token.rpartition("-")[2] not in html
        assert queries(client, path) <= 10
    assert (
        client.post(page("passwordreset_change", reset.pk), {"mail_error": "x"}).status_code == 403
    )
    assert client.get(page("passwordreset_add")).status_code == 403
    refuse(reset)
    act(staff(["view_passwordreset"]), "passwordreset", "send_again", reset)
    assert PasswordReset.objects.get().mail_state == "failed"


def test_who_once_forgot_a_password_can_be_deleted():
    user = a_reset().user

    superuser().post(page("user_delete", user.pk), {"post": "yes"})

    assert not User.objects.filter(pk=user.pk).exists()


def test_the_list_of_mails_for_passwords_asks_as_much_for_twenty_as_for_one():
    client = superuser()
    a_reset()
    one = queries(client, page("passwordreset_changelist"))

    for _ in range(19):
        a_reset()

    assert queries(client, page("passwordreset_changelist")) == one <= 10


# What an open page fetches


def test_an_open_page_hears_of_a_killed_worker(all_well):
    client = staff(BOX_OFFICE)
    assert f'data-now="{HOUSE}"' in client.get(HOME).content.decode()
    assert "is silent" not in client.get(HOUSE).content.decode()

    as_if_passed(16, heartbeats.WORKERS)

    html = client.get(HOUSE).content.decode()
    assert re.search("celery@here is silent for 1[67] s", html)
    assert "<html" not in html
    assert queries(client, HOUSE) <= 13


@pytest.mark.parametrize("path", [HOME, HOUSE])
def test_one_line_above_the_shows_tells_whether_all_runs(all_well, path):
    client = staff(BOX_OFFICE)
    assert summary(client, path) == "✓ All runs"

    as_if_passed(16, heartbeats.WORKERS)
    refuse(a_booking().events.get())

    assert summary(client, path) == "Look: workers, mail"


def summary(client, path: str) -> str:
    html = client.get(path).content.decode()
    found = re.search(r'<p id="summary".*?</p>', html)
    assert found.start() < html.index('id="tonight"')
    return re.sub("<[^>]*>", "", found[0])


def test_what_waits_at_the_broker_is_told(all_well):
    redis = get_redis_connection("default")
    redis.rpush("mail", "one", "two")
    redis.hset("unacked", "three", "3")

    html = staff(BOX_OFFICE).get(HOUSE).content.decode().replace("&#x27;", "'")

    assert "Broker's queues: 0 in celery, 2 in mail; workers have taken 1." in html
    assert health.degraded() == []


def test_without_redis_it_is_told_what_that_means(settings):
    settings.REDIS_URL = ""

    assert "REDIS_URL is not set" in superuser().get(HOME).content.decode()


def test_a_page_whose_session_has_ended_learns_it():
    """By the redirect and by the 403: these two end the asking, and anything else is asked again."""
    client = staff(BOX_OFFICE)
    client.user.user_permissions.clear()
    assert client.get(HOUSE).status_code == 403

    client.logout()

    answer = client.get(HOUSE)
    assert (answer.status_code, answer.url) == (302, f"{reverse('admin:login')}?next={HOUSE}")
    assert Client().post(HOUSE).status_code == 302
    assert logged_in(client.user).get(HOME).status_code == 200


def test_who_may_not_see_bookings_does_not_fetch_their_sum():
    assert staff(["view_show"]).get(reverse("staff_sales")).status_code == 403
    assert Client().get(reverse("staff_sales")).status_code == 302


def test_who_may_not_correct_an_address_is_told_whom_to_ask():
    a_booking()

    clerk, root = (client.get(HOME).content.decode() for client in (staff(BOX_OFFICE), superuser()))

    assert "for good: ask an administrator to correct the address, then send it again." in clerk
    assert "for good: correct the address, then send it again." in root
