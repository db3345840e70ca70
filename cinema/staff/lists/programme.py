"""The programme, as staff see and edit it: films, screens, and shows, which can be copied."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.timezone import localtime

from cinema.programme.copying import copy_shows
from cinema.programme.days import midnight
from cinema.programme.models import Movie, Screen, Show
from cinema.seat_map.availability import with_counts
from cinema.staff.base import EditedTogether, button
from cinema.staff.counter.actions import CounterActions
from cinema.staff.counter.page import SeatMapPage
from cinema.staff.formats import local
from cinema.staff.lists.filters import DayFilter

# of an action: each is checked and saved by itself, and a person waits for the page
MOST_COPIES = 200
MOST_DAYS = 60


@admin.register(Movie)
class MovieAdmin(EditedTogether):
    list_display = ("title", "duration_minutes", "created_at", "updated_at")
    search_fields = ("title",)


@admin.register(Screen)
class ScreenAdmin(EditedTogether):
    search_fields = ("name",)


class CopyForm(forms.Form):
    first_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), label="From")
    last_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), label="To")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        first, last = found.get("first_day"), found.get("last_day")
        if first and first < localtime().date():
            raise forms.ValidationError("The first day is today or later.")
        if first and last and not 0 <= (last - first).days < MOST_DAYS:
            raise forms.ValidationError(
                f"The last day comes after the first, by less than {MOST_DAYS} days."
            )
        return found

    def days(self) -> list[date]:
        first, last = self.cleaned_data["first_day"], self.cleaned_data["last_day"]
        return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


@admin.register(Show)
class ShowAdmin(EditedTogether):
    list_display = (
        "movie",
        "screen",
        "starts",
        "hall",
        "total_seats",
        "sold",
        "held",
        "free",
        "cancelled",
    )
    list_display_links = ("movie", "starts")
    # not by counts: of every show there is
    sortable_by = (
        "movie",
        "screen",
        "starts",
        "total_seats",
        "cancelled",
    )
    list_select_related = ("movie", "screen")
    list_filter = (DayFilter, "screen", ("movie", admin.RelatedOnlyFieldListFilter))
    search_fields = ("movie__title", "screen__name")
    autocomplete_fields = ("movie", "screen")
    fields = (
        "movie",
        "screen",
        "date_time",
        "total_seats",
        ("sold", "held", "free"),
        "cancelled_at",
    )
    readonly_fields = ("sold", "held", "free", "cancelled_at")
    actions = ("copy", "cancel_show")
    actions_detail = ("seat_map",)

    def get_urls(self) -> list[URLPattern]:
        return [*SeatMapPage(self).urls, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Show]:
        rows: QuerySet[Show] = super().get_queryset(request)
        return with_counts(rows)

    @admin.display(description="starts at", ordering="date_time")
    def starts(self, show: Show) -> str:
        return local(show.date_time)

    @admin.display(description="seat map")
    def hall(self, show: Show) -> str:
        return format_html(
            '<a class="desk-link" href="{}">Seats</a>',
            reverse("admin:cinema_show_seats", args=[show.pk]),
        )

    @admin.display
    def sold(self, show: Show) -> int:
        return getattr(show, "sold", 0)  # a show that is being added has none

    @admin.display
    def held(self, show: Show) -> int:
        return getattr(show, "held", 0)

    @admin.display
    def free(self, show: Show) -> int:
        return (show.total_seats or 0) - self.sold(show) - self.held(show)

    @admin.display(ordering="cancelled_at")
    def cancelled(self, show: Show) -> str:
        return "cancelled" if show.cancelled_at else ""

    @button("Seat map, counter and cancelling", path="to-seats")
    def seat_map(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if (show := self.get_object(request, object_id)) is None:
            raise Http404
        return HttpResponseRedirect(reverse("admin:cinema_show_seats", args=[show.pk]))

    @admin.action(description="Cancel the show", permissions=["change"])
    def cancel_show(self, request: HttpRequest, queryset: QuerySet[Show]) -> HttpResponse | None:
        """By the question of its seat map, which names its bookings: so one at a time."""
        chosen = list(queryset.select_related("movie", "screen")[:2])
        if len(chosen) == 1:
            return CounterActions(self, request, chosen[0]).run("cancel_show")
        self.message_user(
            request, "Choose one show: each is asked about by itself.", messages.ERROR
        )
        return None

    @admin.action(description="Copy to other days", permissions=["add"])
    def copy(self, request: HttpRequest, queryset: QuerySet[Show]) -> HttpResponse | None:
        shows = list(queryset.select_related("movie", "screen")[: MOST_COPIES + 1])
        form = CopyForm(
            request.POST if "confirmed" in request.POST else None,
            initial={"first_day": localtime(midnight(7)).date()},
        )
        if form.is_valid() and len(shows) * len(form.days()) <= MOST_COPIES:
            self._copy(request, shows, form)
            return None
        if form.is_valid():
            form.add_error(
                None, f"At most {MOST_COPIES} copies at once: fewer shows or fewer days."
            )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "shows": shows,
            "form": form,
        }
        context |= {"title": "Copy to other days", "cleaning": settings.CLEANING_MINUTES}
        return TemplateResponse(request, "admin/cinema/show/copy.html", context)

    def _copy(self, request: HttpRequest, shows: list[Show], form: CopyForm) -> None:
        done = copy_shows(shows, form.days())
        for show in done.copied:
            self.log_addition(request, show, "Copied from another day.")
        for sentence in done.refused:
            self.message_user(request, sentence, messages.WARNING)
        self.message_user(request, f"Shows copied: {len(done.copied)}.", messages.SUCCESS)
