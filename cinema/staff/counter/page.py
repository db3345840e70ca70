"""The seat map of a show: the hall as it is, and what the clerk has typed and pressed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from cinema.people.models import is_walk_in
from cinema.programme.models import Show
from cinema.sales.models import Booking, BookingSeat
from cinema.seat_map import picture
from cinema.seat_map.picture import Seat
from cinema.staff import search
from cinema.staff.base import ModelAdmin
from cinema.staff.counter.actions import CANCEL_SHOW, LIVE, SELL, CounterActions
from cinema.staff.counter.form import SaleForm
from cinema.staff.formats import MOST_DIGITS, local, name_and_address, row_number

SEE = "cinema.view_booking"
KINDS = ["free", "held", "booked"]
KINDS_FOR_SALE = ["free", "chosen", "held", "booked"]
SUGGESTED = 8


class TakenSeat(NamedTuple):
    booking_id: int
    held_until: datetime | None
    reference: str
    username: str


class SeatMapPage:
    """The pages of one show's hall, at `admin/cinema/show/<id>/seats/`."""

    def __init__(self, model_admin: ModelAdmin) -> None:
        self.admin = model_admin

    @property
    def urls(self) -> list[URLPattern]:
        wrap = self.admin.admin_site.admin_view
        base, name = "<int:show_id>/seats/", "cinema_show_seats"
        return [
            path(base, wrap(self.page), name=name),
            path(f"{base}picture/", wrap(self.picture), name=f"{name}_picture"),
            path(f"{base}customers/", wrap(self.customers), name=f"{name}_customers"),
        ]

    def page(self, request: HttpRequest, show_id: int) -> HttpResponse:
        show = self._show(request, show_id)
        if request.method == "POST":
            return CounterActions(self.admin, request, show).run(request.POST.get("do", ""))
        form = SaleForm.read_leniently(request.GET)
        context = {
            **self.admin.admin_site.each_context(request),
            **self._hall(request, show, form),
            "title": show.movie_title,
            "opts": self.admin.opts,
            "customer": form.customer,
            "seats": form.seat_list or request.GET.get("seats", ""),  # also what was no number
            "picked": self._picked(request, show),
            "most": settings.MAX_SEATS_PER_BOOKING,
            "may_cancel_show": request.user.has_perm(CANCEL_SHOW) and _is_open(show),
        }
        return TemplateResponse(request, "admin/cinema/show/seats.html", context)

    def picture(self, request: HttpRequest, show_id: int) -> HttpResponse:
        """Show the hall alone, which the page fetches every few seconds."""
        show = self._show(request, show_id)
        context = self._hall(request, show, SaleForm.read_leniently(request.GET))
        return TemplateResponse(request, "admin/cinema/show/hall.html", context)

    def customers(self, request: HttpRequest, show_id: int) -> HttpResponse:
        """Suggest customers while a clerk types."""
        if not request.user.has_perm("cinema.view_user"):
            raise PermissionDenied
        typed = request.GET.get("term", "")
        rows = search.customers(typed).filter(is_active=True).exclude(is_walk_in())
        found = rows.order_by("username")[:SUGGESTED] if typed.strip() else []
        results = [{"value": user.username, "label": name_and_address(user)} for user in found]
        return JsonResponse({"results": results})

    def _show(self, request: HttpRequest, show_id: int) -> Show:
        if not self.admin.has_view_permission(request):
            raise PermissionDenied
        show = None
        if show_id < 10**MOST_DIGITS:
            rows = Show.objects.select_related("movie", "screen").with_clock()
            show = rows.filter(pk=show_id).first()
        if show is None:
            raise Http404
        return show

    def _hall(self, request: HttpRequest, show: Show, form: SaleForm) -> dict[str, Any]:
        sells = request.user.has_perm(SELL) and _is_open(show)
        taken = _taken_seats(show)
        booked = sum(seat.held_until is None for seat in taken.values())
        seat = _seat_drawer(taken, form, sells=sells, sees=request.user.has_perm(SEE))
        kinds = KINDS_FOR_SALE if sells else KINDS
        return {
            "show": show,
            "starts": local(show.date_time),
            "is_open": _is_open(show),
            "sells": sells,
            "counts": {
                "booked": booked,
                "held": len(taken) - booked,
                "free": show.total_seats - len(taken),
            },
            "progress": show.progress,
            "svg": picture.draw(show.total_seats, seat, kinds),
        }

    def _picked(self, request: HttpRequest, show: Show) -> dict[str, Any] | None:
        """Return the booking that a clerk has pressed in the map."""
        chosen = row_number(request.GET.get("booking", ""))
        if chosen is None or not request.user.has_perm(SEE):
            return None
        rows = Booking.objects.with_reads_as().select_related("user").prefetch_related("seats")
        booking = rows.filter(pk=chosen, show=show).first()
        if booking is None:
            return None
        is_live = booking.reads_as in LIVE and show.date_time > show.now
        may_cancel = is_live and request.user.has_perm(SELL)
        return {"booking": booking, "status": booking.reads_as, "may_cancel": may_cancel}


def _is_open(show: Show) -> bool:
    return show.cancelled_at is None and show.date_time > show.now


def _taken_seats(show: Show) -> dict[int, TakenSeat]:
    """Return the live seats by their number."""
    columns = (
        "seat_number",
        "booking",
        "held_until",
        "booking__reference",
        "booking__user__username",
    )
    rows = BookingSeat.objects.live().filter(show=show).order_by().values_list(*columns)
    return {number: TakenSeat(*row) for number, *row in rows}


def _seat_drawer(
    taken: dict[int, TakenSeat], form: SaleForm, *, sells: bool, sees: bool
) -> Callable[[int], Seat]:
    """Return what draws a seat. A press picks a booking, or puts a free seat into the form."""
    chosen = set(form.seats)

    def draw_taken(number: int, seat: TakenSeat) -> Seat:
        kind = "booked" if seat.held_until is None else "held"
        if not sees:
            return Seat(kind, f"Seat {number}: {kind}")
        title = f"Seat {number}: {kind}, {seat.reference}, {seat.username}"
        return Seat(kind, title, form.address(booking=seat.booking_id))

    def draw(number: int) -> Seat:
        if number in taken:
            return draw_taken(number, taken[number])
        if not sells:
            return Seat("free", f"Seat {number}: free")
        kind = "chosen" if number in chosen else "free"
        after_press = form._replace(seats=sorted(chosen ^ {number}))
        return Seat(kind, f"Seat {number}: {kind}", after_press.address())

    return draw
