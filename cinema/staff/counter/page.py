"""The seat map of a show: the hall as it is, what the clerk has typed and pressed, and customers
who are suggested.
"""

from __future__ import annotations

from typing import Any

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
from cinema.staff.counter.actions import CANCEL_SHOW, LIVE, SELL, Deeds
from cinema.staff.counter.form import Typed, described, typed_or_nothing
from cinema.staff.lists.base import LONGEST, local, row_number

SEE = "cinema.view_booking"
KINDS = ["free", "chosen", "held", "booked"]
SUGGESTED = 8


class SeatMap:
    """The pages of one show's hall, at `admin/cinema/show/<id>/seats/`."""

    def __init__(self, model_admin: Any) -> None:
        self.admin = model_admin

    @property
    def urls(self) -> list[URLPattern]:
        wrap = self.admin.admin_site.admin_view
        pages = {"": self.page, "picture/": self.picture, "customers/": self.customers}
        return [
            path(
                f"<int:show_id>/seats/{end}",
                wrap(page),
                name=f"cinema_show_seats{end and '_'}{end.rstrip('/')}",
            )
            for end, page in pages.items()
        ]

    def page(self, request: HttpRequest, show_id: int) -> HttpResponse:
        show = self._show(request, show_id)
        if request.method == "POST":
            return Deeds(self.admin, request, show).do(request.POST.get("do", ""))
        typed = typed_or_nothing(request.GET)
        context = {
            **self.admin.admin_site.each_context(request),
            **self._hall(request, show, typed),
            "title": show.movie_title,
            "opts": self.admin.opts,
            "customer": typed.customer,
            "seats": typed.told or request.GET.get("seats", ""),  # also what was no number
            "picked": self._picked(request, show),
            "most": settings.MAX_SEATS_PER_BOOKING,
            "may_cancel_show": request.user.has_perm(CANCEL_SHOW) and _is_open(show),
        }
        return TemplateResponse(request, "admin/cinema/show/seats.html", context)

    def picture(self, request: HttpRequest, show_id: int) -> HttpResponse:
        """The hall alone, which the page fetches every few seconds."""
        show = self._show(request, show_id)
        context = self._hall(request, show, typed_or_nothing(request.GET))
        return TemplateResponse(request, "admin/cinema/show/hall.html", context)

    def customers(self, request: HttpRequest, show_id: int) -> HttpResponse:
        """Suggestions while a clerk types."""
        if not request.user.has_perm("cinema.view_user"):
            raise PermissionDenied
        typed = request.GET.get("term", "")
        rows = search.customers(typed).filter(is_active=True).exclude(is_walk_in())
        found = rows.order_by("username")[:SUGGESTED] if typed.strip() else []
        return JsonResponse(
            {"results": [{"value": user.username, "label": described(user)} for user in found]}
        )

    def _show(self, request: HttpRequest, show_id: int) -> Show:
        if not self.admin.has_view_permission(request):
            raise PermissionDenied
        rows = Show.objects.select_related("movie", "screen").with_clock()
        show = rows.filter(pk=show_id).first() if show_id < 10**LONGEST else None
        if show is None:
            raise Http404
        return show

    def _hall(self, request: HttpRequest, show: Show, typed: Typed) -> dict[str, Any]:
        sells = request.user.has_perm(SELL) and _is_open(show)
        taken = _taken(show)
        seat = _drawing(taken, typed, sells=sells, sees=request.user.has_perm(SEE))
        booked = sum(held_until is None for _, held_until, *_ in taken.values())
        return {
            "show": show,
            "starts": local(show.date_time),
            "is_open": _is_open(show),
            "sells": sells,
            "typed": typed,
            "counts": {
                "booked": booked,
                "held": len(taken) - booked,
                "free": show.total_seats - len(taken),
            },
            "progress": show.progress,
            "svg": picture.draw(
                show.total_seats, seat, KINDS if sells else ["free", "held", "booked"]
            ),
        }

    def _picked(self, request: HttpRequest, show: Show) -> dict[str, Any] | None:
        """The booking that a clerk has pressed in the map."""
        chosen = row_number(request.GET.get("booking", ""))
        if chosen is None or not request.user.has_perm(SEE):
            return None
        rows = Booking.objects.with_reads_as().select_related("user").prefetch_related("seats")
        booking = rows.filter(pk=chosen, show=show).first()
        if booking is None:
            return None
        started = show.date_time <= show.now
        may_cancel = booking.reads_as in LIVE and request.user.has_perm(SELL) and not started
        return {"booking": booking, "status": booking.reads_as, "may_cancel": may_cancel}


def _is_open(show: Any) -> bool:
    return show.cancelled_at is None and show.date_time > show.now


def _taken(show: Show) -> dict[int, tuple[int, Any, str, str]]:
    """Of each live seat: its booking, until when it is held, reference and customer."""
    columns = (
        "seat_number",
        "booking",
        "held_until",
        "booking__reference",
        "booking__user__username",
    )
    rows = BookingSeat.objects.live().filter(show=show).order_by().values_list(*columns)
    return {
        number: (booking, until, reference, who) for number, booking, until, reference, who in rows
    }


def _drawing(
    taken: dict[int, tuple[int, Any, str, str]], typed: Typed, *, sells: bool, sees: bool
) -> Any:
    chosen = set(typed.seats)

    def seat(number: int) -> Seat:
        if number in taken:
            booking, until, reference, who = taken[number]
            kind = "booked" if until is None else "held"
            told = (
                f"Seat {number}: {kind}, {reference}, {who}" if sees else f"Seat {number}: {kind}"
            )
            return Seat(kind, told, typed.address(booking=booking) if sees else "")
        kind = "chosen" if number in chosen and sells else "free"
        link = typed._replace(seats=sorted(chosen ^ {number})).address() if sells else ""
        return Seat(kind, f"Seat {number}: {kind}", link)

    return seat
