"""Who asks for something to be changed, and whether their login still stands."""

import time
from typing import NamedTuple

from cinema.errors import Invalid, TokenInvalid
from cinema.people import tokens
from cinema.people.models import AuthSession, User

SEEN_SECONDS = 1.0
MOST_SEEN = 10_000


class Caller(NamedTuple):
    """A customer by their verified token, or staff in the admin, who may act for others.

    Staff have no session of ours. When they sell at the counter they set `customer_id`: the booking
    is the customer's, and its event names the clerk.
    """

    user_id: int
    session_id: int | None = None
    staff: bool = False
    customer_id: int | None = None

    @property
    def owner_id(self) -> int:
        """The customer whose booking a sale becomes."""
        return self.user_id if self.customer_id is None else self.customer_id


_seen: dict[Caller, float] = {}


def require_live(caller: Caller) -> None:
    """Raise TokenInvalid if the login has ended or the user was deactivated since it was signed."""
    if caller.session_id is None:
        live = User.objects.filter(pk=caller.user_id, is_active=True).exists()
    else:
        live = AuthSession.objects.live().filter(pk=caller.session_id, user=caller.user_id).exists()
    if not live:
        raise TokenInvalid
    saw_live(caller)


def require_customer(caller: Caller) -> None:
    """Raise Invalid if a clerk sells to a customer who does not exist or is deactivated."""
    if caller.customer_id is None:
        return
    active = User.objects.filter(pk=caller.customer_id).values_list("is_active", flat=True).first()
    if active:
        return
    reason = "This customer's account is deactivated."
    if active is None:
        reason = "There is no such customer."
    raise Invalid(f"{reason} Nothing was sold.", errors=[{"field": "customer", "message": reason}])


def saw_live(caller: Caller) -> None:
    """Remember that the database has just confirmed this login."""
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    _seen[caller] = time.monotonic()


def was_live(caller: Caller) -> bool:
    """Return whether the database confirmed this login within SEEN_SECONDS.

    Then a refusal may be answered without asking again. Nothing is ever sold by this.
    """
    return time.monotonic() - _seen.get(caller, -SEEN_SECONDS) < SEEN_SECONDS


def load_customer(claims: tokens.Claims) -> User:
    """Return the token's user, in the one query that also asks for the live login.

    Raises TokenInvalid.
    """
    logins = AuthSession.objects.live().select_related("user")
    login = logins.filter(pk=claims.session_id, user=claims.user_id).first()
    if login is None:
        raise TokenInvalid
    return login.user
