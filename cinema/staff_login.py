"""The admin's login: throttled and locked out like that of the API, and told in the form."""

from __future__ import annotations

from typing import Any

from axes.helpers import get_client_ip_address
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from cinema import lockouts, throttles
from cinema.errors import Throttled
from cinema.models import User


class StaffLogin(AdminAuthenticationForm):
    request: Any

    def clean(self) -> dict[str, Any]:
        try:
            if self.cleaned_data.get("username") and self.cleaned_data.get("password"):
                self._throttle(User.normalize_username(self.cleaned_data["username"]))
            return self._authenticated()
        except Throttled as refusal:
            self.request.login_refusal = refusal
            raise ValidationError(refusal.detail, code=refusal.code) from None

    def _throttle(self, name: str) -> None:
        """In the windows of the API's login, so that the two doors together let no more through than one."""
        throttles.check("login", f"address {get_client_ip_address(self.request)}", f"account {name}")

    def _authenticated(self) -> dict[str, Any]:
        try:
            return super().clean()
        except ValidationError:
            lockouts.require_open(self.request)
            raise


class StaffSite(AdminSite):
    login_form = StaffLogin

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A form that was refused is a page as always, with the status that a program looks for."""
        response = super().login(request, extra_context)
        if refusal := getattr(request, "login_refusal", None):
            response.status_code = refusal.status
            response["Retry-After"] = str(refusal.retry_after)
        return response
