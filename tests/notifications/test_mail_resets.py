"""The mail with which a customer sets a new password."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from cinema.errors import TokenInvalid
from cinema.people import passwords
from cinema.people.models import PasswordReset
from tests.support.factories import a_customer
from tests.support.mailing import a_reset, parts, work_off

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_token_of_a_reset_mail_changes_the_password_once(server):
    reset = a_reset()
    passwords.request_reset("nobody@example.com")

    work_off()

    assert len(server.mails) == 1
    text, html = parts(server.mails[0])
    own = passwords.reset_token(reset.user).partition(".")[0] + "."
    (token,) = [line for line in text.splitlines() if line.startswith(own)]
    assert token in html
    assert "POST /api/password-reset/confirm/" in text
    assert "one hour" in text
    passwords.reset_password(token, "another long passphrase")
    with pytest.raises(TokenInvalid):
        passwords.reset_password(token, "a third long passphrase")


def test_a_request_for_a_reset_owes_its_mail(server):
    customer = a_customer()

    passwords.request_reset(customer.email.upper())
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
