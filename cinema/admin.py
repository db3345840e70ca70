"""What staff see. A booking changes by actions alone, which call the functions that the API calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.auth import admin as auth
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from cinema import bookings, lockouts, mail
from cinema.accounts import WALK_IN
from cinema.errors import Refusal
from cinema.logins import Caller
from cinema.models import AuthSession, Booking, BookingEvent, BookingSeat, Movie, Screen, Show, User
from cinema.outbox import OwedQuerySet
from cinema.staff_pages import (
    BookingDayFilter,
    DayFilter,
    MailFilter,
    ModelAdmin,
    ReadOnly,
    Shared,
    StatusFilter,
    local,
)

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[BookingEvent, Booking]
    UserAdminBase = auth.UserAdmin[User]
    AddForm = AdminUserCreationForm[User]
    ChangeForm = UserChangeForm[User]
else:
    TabularInline = admin.TabularInline
    UserAdminBase, AddForm, ChangeForm = auth.UserAdmin, AdminUserCreationForm, UserChangeForm

MOST_AT_ONCE = 100  # of a cancel: each booking is a transaction of its own, and a clerk waits for the page

admin.site.site_header = admin.site.site_title = "Marquee"
admin.site.index_title = "Cinema"


class UserAddForm(AddForm):
    def clean_username(self) -> Any:
        self.cleaned_data["username"] = User.normalize_username(self.cleaned_data.get("username"))
        return super().clean_username()


class UserEditForm(ChangeForm):
    def clean_username(self) -> Any:
        return User.normalize_username(self.cleaned_data.get("username"))


@admin.register(User)
class UserAdmin(Shared, UserAdminBase):
    form, add_form = UserEditForm, UserAddForm
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The walk-in account is nobody's: with a password or another name its bookings would be somebody's."""
        return not is_walk_in(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not is_walk_in(obj) and super().has_delete_permission(request, obj)


def is_walk_in(user: User | None) -> bool:
    return user is not None and user.username == WALK_IN


@admin.register(AuthSession)
class AuthSessionAdmin(ReadOnly):
    list_display = fields = ("user", "created_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    ordering = ("-id",)
    actions = ("end",)
    has_delete_permission = ModelAdmin.has_delete_permission  # or a user who ever logged in could not be deleted

    @admin.action(description="End the selected logins", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[AuthSession]) -> None:
        ended = AuthSession.objects.filter(pk__in=queryset.values("pk")).revoke()
        self.message_user(request, f"Logins ended: {ended}.")


@admin.register(AccessAttempt)
class LockoutAdmin(ReadOnly):
    list_display = fields = ("username", "ip_address", "failures_since_start", "attempt_time", "locked_until")
    search_fields = ("username", "ip_address")
    actions = ("clear",)

    @admin.display
    def locked_until(self, attempt: AccessAttempt) -> str:
        until = lockouts.locked_until(attempt)
        return local(until) if until else ""

    @admin.action(description="Let the selected try again", permissions=["change"])
    def clear(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        self.message_user(request, f"Counts of wrong passwords cleared: {queryset.delete()[0]}.")


@admin.register(Movie)
class MovieAdmin(Shared):
    list_display = ("title", "duration_minutes", "created_at", "updated_at")
    search_fields = ("title",)


@admin.register(Screen)
class ScreenAdmin(Shared):
    search_fields = ("name",)


def seats(**which: Any) -> Coalesce:
    """Counted by a subquery for each show: many times cheaper than a join with GROUP BY."""
    rows = BookingSeat.objects.live().filter(show=OuterRef("pk"), **which).order_by().values("show")
    return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n")), 0)


@admin.register(Show)
class ShowAdmin(Shared):
    list_display = ("movie", "screen", "starts", "total_seats", "sold", "held", "free", "cancelled")
    list_display_links = ("movie", "starts")
    list_select_related = ("movie", "screen")
    list_filter = (DayFilter, "screen", ("movie", admin.RelatedOnlyFieldListFilter))
    search_fields = ("movie__title", "screen__name")
    autocomplete_fields = ("movie", "screen")
    fields = ("movie", "screen", "date_time", "total_seats", ("sold", "held", "free"), "cancelled_at")
    readonly_fields = ("sold", "held", "free", "cancelled_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Show]:
        rows: QuerySet[Show] = super().get_queryset(request)
        return rows.annotate(sold=seats(held_until=None), held=seats(held_until__isnull=False))

    @admin.display(description="starts at", ordering="date_time")
    def starts(self, show: Show) -> str:
        return local(show.date_time)

    @admin.display(ordering="sold")
    def sold(self, show: Any) -> int:
        return getattr(show, "sold", 0)  # a show that is being added has none

    @admin.display(ordering="held")
    def held(self, show: Any) -> int:
        return getattr(show, "held", 0)

    @admin.display(ordering=F("total_seats") - F("sold") - F("held"))
    def free(self, show: Any) -> int:
        return (show.total_seats or 0) - self.sold(show) - self.held(show)

    @admin.display(ordering="cancelled_at")
    def cancelled(self, show: Show) -> str:
        return "cancelled" if show.cancelled_at else ""


class EventInline(TabularInline):
    model = BookingEvent
    fields = readonly_fields = ("kind", "at", "actor", "mail_state", "mail_error")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[BookingEvent]:
        rows: QuerySet[BookingEvent] = super().get_queryset(request)
        return rows.select_related("actor")


@admin.register(Booking)
class BookingAdmin(ReadOnly):
    list_display = ("reference", "user", "movie", "starts", "seat_numbers", "reads_as")
    list_select_related = ("user", "show__movie", "show__screen")
    list_filter = (StatusFilter, BookingDayFilter)
    list_per_page = MOST_AT_ONCE
    search_fields = ("reference", "user__username", "user__email", "show__movie__title")
    search_help_text = "Reference, username, e-mail or film"
    fields = ("reference", "user", "show", "seat_numbers", "reads_as", "expires_at", "created_at", "updated_at")
    inlines = (EventInline,)
    actions = ("cancel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        stale = When(status=Booking.Status.PENDING, expires_at__lte=Now(), then=Value(Booking.Status.EXPIRED.value))
        rows: QuerySet[Booking] = super().get_queryset(request)
        return rows.annotate(reads_as=Case(stale, default=F("status"))).prefetch_related("seats")

    @admin.display(description="status", ordering="reads_as")
    def reads_as(self, booking: Any) -> str:
        return str(booking.reads_as)

    @admin.display(description="film", ordering="show__movie__title")
    def movie(self, booking: Booking) -> str:
        return booking.show.movie_title

    @admin.display(description="starts at", ordering="show__date_time")
    def starts(self, booking: Booking) -> str:
        return local(booking.show.date_time)

    @admin.display(description="seats")
    def seat_numbers(self, booking: Booking) -> str:
        return ", ".join(map(str, booking.seat_numbers))

    @admin.action(description="Cancel the selected bookings", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Booking]) -> HttpResponse | None:
        chosen = list(queryset.select_related("user", "show__movie", "show__screen")[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            self.message_user(request, f"Choose at most {MOST_AT_ONCE} bookings at once.", messages.ERROR)
        elif "confirmed" not in request.POST:
            context = {**self.admin_site.each_context(request), "opts": self.opts, "bookings": chosen}
            return TemplateResponse(request, "admin/cinema/booking/cancel_selected.html", context)
        else:
            done = [booking.reference for booking in chosen if self._cancelled(request, booking)]
            self.message_user(request, f"Cancelled: {', '.join(done) or 'none'}.", messages.SUCCESS)
        return None

    def _cancelled(self, request: Any, booking: Booking) -> bool:
        """Each in its own transaction, with its seat locks around it: what is refused stops none of the others."""
        if booking.status == Booking.Status.CANCELLED:
            self.message_user(request, f"{booking}: it was cancelled before.", messages.WARNING)
            return False
        try:
            bookings.cancel(Caller(request.user.pk, staff=True), booking.pk)
        except Refusal as refusal:
            self.message_user(request, f"{booking}: {refusal.detail}", messages.ERROR)
            return False
        self.log_change(request, booking, "Cancelled.")
        return True


@admin.register(BookingEvent)
class BookingEventAdmin(ReadOnly):
    list_display = ("booking", "kind", "at", "actor", "mail_state", "mail_error")
    fields = ("booking", "kind", "at", "actor", "mail_state", "mail_attempts", "mail_due_at", "mail_sent_at",
              "mail_failed_at", "mail_error")  # fmt: skip
    list_select_related = ("booking", "actor")
    list_filter = ("kind", MailFilter)
    search_fields = ("booking__reference",)
    ordering = ("-id",)
    actions = ("send_again",)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Who may cancel a booking may mail its customer again; an event itself is nobody's to change."""
        return request.user.has_perm("cinema.change_booking")

    @admin.action(description="Send the mail again, if it failed", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: OwedQuerySet) -> None:
        """Only what has failed: a mail that was sent is not sent twice."""
        self.message_user(request, f"Failed mails that will be sent again: {mail.send_again(queryset)}.")
