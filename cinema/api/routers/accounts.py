"""Signing up, logging in and out, and one's own account."""

from django.http import HttpRequest
from ninja import Router, Status

from cinema.api.auth import CustomerRequest, customer
from cinema.api.errors import refuses
from cinema.api.schemas.accounts import (
    LogIn,
    NewPassword,
    Profile,
    Refresh,
    ResetConfirm,
    ResetRequest,
    SignUp,
    TokensOut,
    UserOut,
)
from cinema.errors import (
    BadCredentials,
    EmailTaken,
    Throttled,
    TokenExpired,
    TokenInvalid,
    UsernameTaken,
)
from cinema.infra import throttles
from cinema.infra.client_address import client_network
from cinema.people import accounts, logins, passwords
from cinema.people.models import User

router = Router(tags=["Account"])


@router.post(
    "/signup/",
    response={201: UserOut},
    summary="Sign up",
    openapi_extra=refuses(UsernameTaken, EmailTaken, Throttled, body=True),
)
def sign_up(request: HttpRequest, body: SignUp) -> Status[User]:
    throttles.check("signup", _address(request))
    user = accounts.sign_up(
        body.username, body.email, body.password, body.first_name, body.last_name
    )
    return Status(201, user)


@router.post(
    "/login/",
    response=TokensOut,
    summary="Log in",
    openapi_extra=refuses(BadCredentials, Throttled, body=True),
)
def log_in(request: HttpRequest, body: LogIn) -> logins.Tokens:
    """An access token for 30 minutes and a refresh token for 7 days."""
    throttles.check("login", _address(request), f"account {User.normalize_username(body.username)}")
    return logins.log_in(body.username, body.password, request)


@router.post(
    "/token/refresh/",
    response=TokensOut,
    summary="Renew the tokens",
    openapi_extra=refuses(TokenInvalid, TokenExpired, body=True),
)
def refresh(request: HttpRequest, body: Refresh) -> logins.Tokens:
    """The old refresh token is spent by this; one that comes a second time ends the login."""
    return logins.refresh(body.refresh)


@router.post(
    "/logout/",
    response={204: None},
    summary="Log out",
    openapi_extra=refuses(TokenInvalid, TokenExpired, body=True),
)
def log_out(request: HttpRequest, body: Refresh) -> Status[None]:
    """This login's tokens are dead from now on, the access token too."""
    logins.log_out(body.refresh)
    return Status(204, None)


@router.post(
    "/password-reset/",
    response={202: None},
    summary="Ask for a password reset by mail",
    openapi_extra=refuses(Throttled, body=True),
)
def ask_reset(request: HttpRequest, body: ResetRequest) -> Status[None]:
    """The same answer whether the address is known or not."""
    throttles.check("login", _address(request), f"account {body.email}")
    passwords.request_reset(body.email)
    return Status(202, None)


@router.post(
    "/password-reset/confirm/",
    response={204: None},
    summary="Set a new password with the token from the mail",
    openapi_extra=refuses(TokenInvalid, Throttled, body=True),
)
def confirm_reset(request: HttpRequest, body: ResetConfirm) -> Status[None]:
    throttles.check("login", _address(request))
    passwords.reset_password(body.token, body.new_password)
    return Status(204, None)


@router.get(
    "/me/",
    auth=customer,
    response=UserOut,
    summary="Your account",
    openapi_extra=refuses(auth=True),
)
def me(request: CustomerRequest) -> User:
    return request.auth


@router.patch(
    "/me/",
    auth=customer,
    response=UserOut,
    summary="Change your account",
    openapi_extra=refuses(EmailTaken, body=True, auth=True),
)
def change_me(request: CustomerRequest, body: Profile) -> User:
    return accounts.update_profile(request.auth, body.model_dump(exclude_unset=True))


@router.post(
    "/me/password/",
    auth=customer,
    response={204: None},
    summary="Change your password",
    openapi_extra=refuses(Throttled, body=True, auth=True),
)
def change_password(request: CustomerRequest, body: NewPassword) -> Status[None]:
    """Every token from before this is dead, also those of this login: log in again."""
    throttles.check("login", f"account {request.auth.username}")
    passwords.change_password(request.auth, body.old_password, body.new_password)
    return Status(204, None)


def _address(request: HttpRequest) -> str:
    """Told apart from an account, whose name may look like an address."""
    return f"address {client_network(request)}"
