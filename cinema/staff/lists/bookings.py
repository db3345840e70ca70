"""Bookings, as staff see them, with their history and its mails.

A booking changes by actions alone, which call the functions that the API calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold import admin as unfold

from cinema.errors import Refusal
from cinema.infra.outbox import OwedQuerySet
from cinema.notifications import deliveries
from cinema.people.caller import Caller
from cinema.people.models import PasswordReset
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent
from cinema.sales.snapshots import Ended
from cinema.staff import search
from cinema.staff.base import ModelAdmin, ReadOnly, button
from cinema.staff.formats import list_names, list_seats, local
from cinema.staff.lists import exports
from cinema.staff.lists.filters import BookingDayFilter, MailFilter, StatusFilter

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[BookingEvent, Booking]
else:
    TabularInline = unfold.TabularInline

# Each booking is cancelled in a transaction of its own, and a clerk waits for the page.
MOST_AT_ONCE = 100


class EventInline(TabularInline):
    model = BookingEvent
    fields = readonly_fields = ("kind", "at", "actor", "mail_state", "mail_error")
    show_change_link = True
    extra = max_num = 0  # nobody adds one by hand
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[BookingEvent]:
        rows: QuerySet[BookingEvent] = super().get_queryset(request)
        return rows.select_related("actor")


@admin.register(Booking)
class BookingAdmin(ReadOnly):
    list_display = ("reference", "user", "movie", "starts", "seat_numbers", "reads_as")
    sortable_by = ("reference",)  # which has an index; a million rows are not sorted for a page
    list_select_related = ("user", "show__movie", "show__screen")
    list_filter = (StatusFilter, BookingDayFilter)
    list_per_page = MOST_AT_ONCE
    search_fields = ("reference",)  # for the box to be there: `search` does it
    search_help_text = (
        f"Reference, name or e-mail from its beginning, or film; {search.MOST_WORDS} words count"
    )
    fields = (
        "reference",
        "user",
        "show",
        "seat_numbers",
        "reads_as",
        "expires_at",
        "created_at",
        "updated_at",
    )
    inlines = (EventInline,)
    actions = ("cancel", "export")
    actions_detail = ("seat_map",)

    def get_search_results(
        self, request: Any, queryset: QuerySet[Booking], search_term: str
    ) -> tuple[QuerySet[Booking], bool]:
        """Look up once what the words mean; Django asks twice about an action."""
        if not hasattr(request, "meant"):
            request.meant = search.bookings(
                search_term, sees=request.user.has_perm("cinema.view_user")
            )
        return queryset.filter(request.meant), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        rows: Any = super().get_queryset(request)
        shown: QuerySet[Booking] = rows.with_reads_as().prefetch_related("seats")
        return shown

    @admin.display(description="status", ordering="reads_as")
    def reads_as(self, booking: Booking) -> str:
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
        chosen = list(
            queryset.select_related("user", "show__movie", "show__screen")[: MOST_AT_ONCE + 1]
        )
        if len(chosen) > MOST_AT_ONCE:
            self.message_user(
                request, f"Choose at most {MOST_AT_ONCE} bookings at once.", messages.ERROR
            )
        elif "confirmed" not in request.POST:
            return TemplateResponse(
                request, "admin/cinema/confirm.html", self._question(request, chosen)
            )
        else:
            done = [booking.reference for booking in chosen if self._cancel_one(request, booking)]
            self.message_user(request, f"Cancelled: {', '.join(done) or 'none'}.", messages.SUCCESS)
        return None

    def _question(self, request: HttpRequest, chosen: list[Booking]) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Cancel these bookings?",
            "sentence": "Their seats are free again at once, and each customer who had booked gets "
            "a mail. This cannot be undone.",
            "lines": [_line(booking) for booking in chosen],
            "yes": "Yes, cancel them",
            "fields": {
                "action": "cancel",
                **{_status_field(booking): booking.status for booking in chosen},
            },
            "chosen": [str(booking.pk) for booking in chosen],
            "back": request.get_full_path(),
        }

    @admin.action(description="Export as CSV", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Booking]) -> HttpResponseBase:
        """Export the chosen bookings, or by "Select all" all that the list finds, and log it."""
        query = request.GET.urlencode()
        self.log_many(request, f"Exported as CSV{': ' if query else ''}{query}", "Bookings as CSV")
        return exports.bookings_csv(
            queryset, with_customers=request.user.has_perm("cinema.view_user")
        )

    @button("Show in the hall, or cancel", path="seats")
    def seat_map(self, request: HttpRequest, object_id: str) -> HttpResponse:
        booking = self.get_object(request, object_id)
        if booking is None:
            raise Http404
        return HttpResponseRedirect(
            f"{reverse('admin:cinema_show_seats', args=[booking.show_id])}?booking={booking.pk}"
        )

    def _cancel_one(self, request: Any, booking: Booking) -> bool:
        """Cancel in a transaction of its own: what is refused stops none of the others."""
        seen = request.POST.get(_status_field(booking), booking.status)
        try:
            outcome = bookings.cancel(Caller(request.user.pk, staff=True), booking.pk, seen=seen)
        except Refusal as refusal:
            self.message_user(request, f"{booking}: {refusal.detail}", messages.ERROR)
            return False
        if outcome.ended is Ended.DONE:
            self.log_change(request, booking, "Cancelled.")
            return True
        self.message_user(request, f"{booking}: it was cancelled before.", messages.WARNING)
        return False


def _status_field(booking: Booking) -> str:
    """The field of the question that says what the clerk read of this booking."""
    return f"status{booking.pk}"


def _line(booking: Booking) -> str:
    seats = list_seats(booking.seat_numbers)
    return f"{booking.reference}: {booking.user}, {booking.show}, {seats} ({booking.reads_as})"


@admin.register(BookingEvent)
class BookingEventAdmin(ReadOnly):
    list_display = ("booking", "kind", "at", "actor", "mail_state", "mail_error")
    fields = ("booking", "kind", "at", "actor", "mail_state", "mail_attempts", "mail_due_at", "mail_sent_at",
              "mail_failed_at", "mail_error")  # fmt: skip
    sortable_by = ()
    list_select_related = ("booking", "actor")
    list_filter = ("kind", MailFilter)
    search_fields = ("booking__reference",)
    search_help_text = "A whole reference"
    ordering = ("-id",)
    actions = ("send_again",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[BookingEvent], search_term: str
    ) -> tuple[QuerySet[BookingEvent], bool]:
        found = (
            queryset.filter(booking__in=search.with_reference(search_term))
            if search_term
            else queryset
        )
        return found, False

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Let whoever may cancel a booking mail its customer again; nobody changes an event itself."""
        return request.user.has_perm("cinema.change_booking")

    @admin.action(description="Send the mail again, if it failed", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: OwedQuerySet) -> None:
        """Only what has failed: a mail that was sent is not sent twice."""
        _send_again(self, request, queryset, "booking__reference")


@admin.register(PasswordReset)
class PasswordResetAdmin(ReadOnly):
    """The mails alone: their token is made as each is sent, and stands nowhere."""

    list_display = ("user", "at", "mail_state", "mail_error")
    fields = ("user", "at", "mail_state", "mail_attempts", "mail_due_at", "mail_sent_at", "mail_failed_at",
              "mail_error")  # fmt: skip
    sortable_by = ()
    list_select_related = ("user",)
    list_filter = (MailFilter,)
    ordering = ("-id",)
    actions = ("send_again",)
    # or who once forgot a password could not be deleted
    has_delete_permission = ModelAdmin.has_delete_permission

    @admin.action(description="Send the mail again, if it failed", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: OwedQuerySet) -> None:
        """Its token is made anew, and counts from then."""
        _send_again(self, request, queryset, "user__username")


def _send_again(page: ReadOnly, request: HttpRequest, rows: OwedQuerySet, whose: str) -> None:
    whose = list_names(rows.failed(), whose)
    page.finish_action(
        request, "Failed mails that will be sent again", deliveries.send_again(rows), whose
    )
