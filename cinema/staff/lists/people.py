"""What staff see of people: users and their groups, logins and lock-outs, and what staff did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import admin as auth
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold import forms as unfold

from cinema.people import lockouts
from cinema.people.models import AuthSession, User
from cinema.staff import search
from cinema.staff.base import EditedTogether, ModelAdmin, ReadOnly
from cinema.staff.formats import list_names, local

if TYPE_CHECKING:
    GroupAdminBase = auth.GroupAdmin
    UserAdminBase = auth.UserAdmin[User]
    AddForm = AdminUserCreationForm[User]
    ChangeForm = UserChangeForm[User]
else:
    GroupAdminBase, UserAdminBase = auth.GroupAdmin, auth.UserAdmin
    AddForm, ChangeForm = unfold.UserCreationForm, unfold.UserChangeForm


class UserAddForm(AddForm):
    def clean_username(self) -> str:
        self.cleaned_data["username"] = User.normalize_username(self.cleaned_data["username"])
        return super().clean_username()


class UserEditForm(ChangeForm):
    def clean_username(self) -> str:
        return User.normalize_username(self.cleaned_data["username"])


@admin.register(User)
class UserAdmin(EditedTogether, UserAdminBase):
    form, add_form, change_password_form = UserEditForm, UserAddForm, unfold.AdminPasswordChangeForm
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2"),
            },
        ),
    )
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff")
    search_help_text = "Username, e-mail or name, from its beginning"

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """By indexes; also for whoever chooses a user by typing."""
        return queryset & search.customers(search_term), False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Keep the walk-in account: with a password or another name its bookings were somebody's."""
        return not is_walk_in(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return not is_walk_in(obj) and super().has_delete_permission(request, obj)


def is_walk_in(user: User | None) -> bool:
    return user is not None and user.is_walk_in


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(EditedTogether, GroupAdminBase):
    pass


class OfUsers(ReadOnly):
    """The newest first, found by whose they are."""

    search_fields = ("user__username", "user__email")  # for the box to be there
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        users = search.customers(search_term).values_list("pk", flat=True)[: search.MOST_CUSTOMERS]
        return (queryset.filter(user__in=list(users)) if search_term else queryset), False


@admin.register(AuthSession)
class AuthSessionAdmin(OfUsers):
    list_display = fields = ("user", "created_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    actions = ("end",)
    # or a user who ever logged in could not be deleted
    has_delete_permission = ModelAdmin.has_delete_permission

    @admin.action(description="End the selected logins", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[AuthSession]) -> None:
        whose = list_names(queryset, "user__username")
        ended = AuthSession.objects.filter(pk__in=queryset.values("pk")).revoke()
        self.finish_action(request, "Logins ended", ended, whose)


@admin.register(AccessAttempt)
class LockoutAdmin(ReadOnly):
    list_display = fields = (
        "username",
        "ip_address",
        "failures_since_start",
        "attempt_time",
        "locked_until",
    )
    search_fields = ("username", "ip_address")
    actions = ("clear",)

    @admin.display
    def locked_until(self, attempt: AccessAttempt) -> str:
        until = lockouts.locked_until(attempt)
        return local(until) if until else ""

    @admin.action(description="Let the selected try again", permissions=["change"])
    def clear(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        whose = list_names(queryset, "username")
        self.finish_action(
            request, "Counts of wrong passwords cleared", queryset.delete()[0], whose
        )


@admin.register(LogEntry)
class LogEntryAdmin(OfUsers):
    """What staff did. Nobody deletes a line, nor whoever has one: who left is deactivated."""

    list_display = fields = ("action_time", "user", "what", "done")
    list_select_related = ("user", "content_type")
    sortable_by = ()  # the time has no index

    @admin.display(description="to what")
    def what(self, entry: LogEntry) -> str:
        address = None if entry.is_deletion() else entry.get_admin_url()
        label = (
            f"{capfirst(entry.content_type.name)}: {entry.object_repr}"
            if entry.content_type
            else entry.object_repr
        )
        return (
            format_html('<a class="desk-link" href="{}">{}</a>', address, label)
            if address
            else label
        )

    @admin.display(description="what was done")
    def done(self, entry: LogEntry) -> str:
        return entry.get_change_message() or str(entry.get_action_flag_display())
