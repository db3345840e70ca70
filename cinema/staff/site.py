"""The admin's site: its login, throttled and locked out like the API's, and its pages' policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from axes.helpers import get_client_ip_address
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from cinema.errors import Throttled
from cinema.infra import throttles
from cinema.people import lockouts
from cinema.people.models import User

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite as UnfoldAdminSite
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm
    from unfold.sites import UnfoldAdminSite

# From this machine alone. Alpine, which moves unfold's menus, compiles the attributes that it
# finds: 'unsafe-eval'.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class StaffLogin(AuthenticationForm):
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
        """Count in the windows of the API: both doors together let no more through than one."""
        throttles.check(
            "login", f"address {get_client_ip_address(self.request)}", f"account {name}"
        )

    def _authenticated(self) -> dict[str, Any]:
        try:
            return super().clean()
        except ValidationError:
            lockouts.require_open(self.request)
            raise


class StaffSite(UnfoldAdminSite):
    login_form = StaffLogin

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form that was refused is a page as always, with the status that a program looks for."""
        response = super().login(request, extra_context)
        response["Content-Security-Policy"] = POLICY
        if refusal := getattr(request, "login_refusal", None):
            response.status_code = refusal.status
            response["Retry-After"] = str(refusal.retry_after)
        return response

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        shown = super().admin_view(view, cacheable)

        @wraps(shown)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = shown(request, *args, **kwargs)
            response["Content-Security-Policy"] = POLICY
            return response

        return guarded
