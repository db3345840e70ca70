"""Signing up, logging in, and one's own account: what goes in and what comes out."""

from __future__ import annotations

from typing import Annotated, Any

from ninja import Schema
from pydantic import ConfigDict, StringConstraints, ValidationInfo, field_validator

from cinema.api.fields import NO_NUL, Email, Name, Password, Token, Username
from cinema.api.schemas import examples
from cinema.api.schemas.bodies import Input


class SignUp(Input):
    username: Username
    email: Email
    password: Password
    password_confirm: Password
    first_name: Name = ""
    last_name: Name = ""
    model_config = ConfigDict(json_schema_extra={"example": examples.SIGN_UP})

    @field_validator("password_confirm")
    @classmethod
    def same(cls, repeated: str, info: ValidationInfo) -> str:
        if repeated != info.data.get("password", repeated):
            raise ValueError("must repeat the password")
        return repeated


class LogIn(Input):
    username: Annotated[str, StringConstraints(max_length=150), NO_NUL]
    password: Annotated[str, StringConstraints(max_length=128), NO_NUL]
    model_config = ConfigDict(
        json_schema_extra={"example": {"username": "testuser", "password": "testpass123"}}
    )


class Refresh(Input):
    refresh: Token
    model_config = ConfigDict(
        json_schema_extra={"example": {"refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…"}}
    )


class ResetRequest(Input):
    email: Email
    model_config = ConfigDict(json_schema_extra={"example": {"email": "test@example.com"}})


class ResetConfirm(Input):
    token: Token
    new_password: Password
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"token": "1.d1x2k3-0f4e…", "new_password": "a new and longer one"}
        }
    )


def _any_of_them(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        del field["default"]  # what is left out stays as it is
    schema["example"] = {"first_name": "Tess"}


class Profile(Input):
    email: Email = ""
    first_name: Name = ""
    last_name: Name = ""
    model_config = ConfigDict(json_schema_extra=_any_of_them)


class NewPassword(Input):
    old_password: Annotated[str, StringConstraints(max_length=128), NO_NUL]
    new_password: Password
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"old_password": "testpass123", "new_password": "a new and longer one"}
        }
    )


class TokensOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.TOKENS})

    access: str
    refresh: str


class UserOut(Schema):
    model_config = ConfigDict(json_schema_extra={"example": examples.USER})

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
