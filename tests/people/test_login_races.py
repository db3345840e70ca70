"""Races of logins: what promise 9 says of twins, on every database."""

import threading
from datetime import timedelta

import pytest

from cinema.people import accounts, logins, passwords, tokens
from cinema.people.models import AuthSession, LoginQuerySet, User
from tests.support.factories import a_customer
from tests.support.racing import kinds, race
from tests.support.suite.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def a_login() -> tuple[AuthSession, str]:
    """With the refresh token that it waits for."""
    user = a_customer()
    login = AuthSession.objects.create(
        user=user, refresh_jti="first", expires_at=user.date_joined + timedelta(days=7)
    )
    return login, tokens.sign(user.pk, login.pk, "first")["refresh"]


def test_refreshing_has_one_winner():
    login, token = a_login()

    results = race(*[lambda: logins.refresh(token)] * 12)

    assert kinds(results) == {"TokenInvalid": 11, "dict": 1}
    login.refresh_from_db()
    assert login.revoked_at  # a spent token came again


def test_control_a_refresh_that_compares_nothing_has_many_winners(monkeypatch):
    login, token = a_login()

    class Blind(LoginQuerySet):
        """Updates whatever it finds under the key, as a save() would."""

        def update(self, **values):
            return AuthSession._base_manager.filter(pk=login.pk).update(**values)

    monkeypatch.setattr(AuthSession.objects, "_queryset_class", Blind)

    results = race(*[lambda: logins.refresh(token)] * 12)

    assert kinds(results)["dict"] > 1


def test_a_login_cannot_slip_in_behind_a_password_change(monkeypatch):
    user = a_customer()
    checked, changed = threading.Event(), threading.Event()
    authenticate = logins.authenticate

    def slow(**credentials):
        found = authenticate(**credentials)
        checked.set()
        changed.wait(PATIENCE_SECONDS)
        return found

    def change():
        checked.wait(PATIENCE_SECONDS)
        passwords.change_password(
            User.objects.get(pk=user.pk), "a long enough passphrase", "quite another passphrase"
        )
        changed.set()

    monkeypatch.setattr(logins, "authenticate", slow)
    results = race(lambda: logins.log_in(user.username, "a long enough passphrase"), change)

    assert kinds(results) == {"BadCredentials": 1, "NoneType": 1}
    assert not AuthSession.objects.live().exists()


def test_two_sign_ups_with_one_name_make_one_account():
    results = race(
        *[
            lambda n=n: accounts.sign_up("same", f"mail{n}@example.com", "a long enough passphrase")
            for n in range(6)
        ]
    )

    assert kinds(results) == {"User": 1, "UsernameTaken": 5}
