"""The seat map of a show, at which a clerk sells, cancels, and frees holds: through the functions that the API calls.

Each deed asks first (a page that says what will be done), is done once that page is sent, is told in a sentence, and
leaves a log entry. A refusal leads back to the map, with the seats and the customer as they were typed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from cinema import accounts, bookings, finding, seat_picture
from cinema.counter import (
    Deed,
    Typed,
    cancellation,
    closing,
    customer_of,
    described,
    require_seats,
    sale,
    typed_or_nothing,
)
from cinema.errors import Refusal
from cinema.logins import Caller
from cinema.models import Booking, BookingSeat, Show
from cinema.seat_picture import Seat
from cinema.staff_pages import local

SELL, SEE, CANCEL_SHOW = "cinema.change_booking", "cinema.view_booking", "cinema.change_show"
KINDS = ["free", "chosen", "held", "booked"]
LONGEST = 18  # digits of a number that a row may have
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
            path(f"<int:show_id>/seats/{end}", wrap(page), name=f"cinema_show_seats{end and '_'}{end.rstrip('/')}")
            for end, page in pages.items()
        ]

    def page(self, request: HttpRequest, show_id: int) -> HttpResponse:
        show = self._show(request, show_id)
        if request.method == "POST":
            return self._act(request, show)
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

    def customers(self, request: HttpRequest, show_id: int) -> HttpResponse:  # noqa: ARG002 - of its address
        """Suggestions while a clerk types."""
        if not request.user.has_perm("cinema.view_user"):
            raise PermissionDenied
        typed = request.GET.get("term", "")
        rows = finding.customers(typed).filter(is_active=True).exclude(username=accounts.WALK_IN)
        found = rows.order_by("username")[:SUGGESTED] if typed.strip() else []
        return JsonResponse({"results": [{"value": user.username, "label": described(user)} for user in found]})

    def _show(self, request: HttpRequest, show_id: int) -> Show:
        if not self.admin.has_view_permission(request):
            raise PermissionDenied
        rows = Show.objects.select_related("movie", "screen").annotate(now=Now())
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
            "counts": {"booked": booked, "held": len(taken) - booked, "free": show.total_seats - len(taken)},
            "progress": show.progress,
            "svg": seat_picture.draw(show.total_seats, seat, KINDS if sells else ["free", "held", "booked"]),
        }

    def _picked(self, request: HttpRequest, show: Show) -> dict[str, Any] | None:
        """The booking that a clerk has pressed in the map."""
        number = _number(request.GET.get("booking", ""))
        if number is None or not request.user.has_perm(SEE):
            return None
        rows = Booking.objects.annotate(now=Now()).select_related("user").prefetch_related("seats")
        booking: Any = rows.filter(pk=number, show=show).first()
        if booking is None:
            return None
        stale = booking.status == "pending" and booking.expires_at <= booking.now
        live = booking.status in ("pending", "booked") and not stale
        status = "expired" if stale else booking.status
        may_cancel = live and request.user.has_perm(SELL) and show.date_time > booking.now
        return {"booking": booking, "status": status, "may_cancel": may_cancel}

    def _act(self, request: HttpRequest, show: Show) -> HttpResponse:
        deeds = {"sell": (SELL, self._sell), "cancel": (SELL, self._cancel), "cancel_show": (CANCEL_SHOW, self._close)}
        permission, act = deeds.get(request.POST.get("do", ""), ("", None))
        if act is None or not request.user.has_perm(permission):
            raise PermissionDenied
        try:
            return act(request, show)
        except Refusal as refusal:
            self.admin.message_user(request, refusal.detail, messages.ERROR)
            typed = {name: request.POST.get(name, "") for name in ("seats", "customer", "booking")}
            return _to(show, "?" + urlencode({name: value for name, value in typed.items() if value}))

    def _asked(self, request: HttpRequest, show: Show, deed: Deed) -> HttpResponse:
        back = {name: value for name, value in deed.fields.items() if name != "do"}
        context = {**self.admin.admin_site.each_context(request), **deed._asdict(), "opts": self.admin.opts}
        context |= {"original": show, "back": f"{_address(show)}?{urlencode(back)}"}
        return TemplateResponse(request, "admin/cinema/confirm.html", context)

    def _sell(self, request: HttpRequest, show: Show) -> HttpResponse:
        typed = Typed.of(request.POST)
        customer = customer_of(typed.customer)
        require_seats(typed, show)
        if "confirmed" not in request.POST:
            return self._asked(
                request, show, sale(show, typed, customer, sees=request.user.has_perm("cinema.view_user"))
            )
        caller = Caller(_clerk(request), staff=True, customer_id=customer.pk)
        told = bookings.book(caller, show.pk, typed.seats).booking
        booking = Booking.objects.get(pk=told["id"])
        self.admin.log_change(request, booking, f"Sold at the counter: seats {typed.told}, to {customer.username}.")
        self.admin.message_user(request, f"Booked: {booking.reference}, seats {typed.told}.", messages.SUCCESS)
        return _to(show, f"?booking={booking.pk}")

    def _cancel(self, request: HttpRequest, show: Show) -> HttpResponse:
        number = _number(request.POST.get("booking", ""))
        rows = Booking.objects.select_related("user").prefetch_related("seats").filter(show=show)
        booking = rows.filter(pk=number).first() if number else None
        if booking is None:
            raise Http404
        changed = request.POST.get("status", booking.status) != booking.status  # since the question was asked
        if changed or "confirmed" not in request.POST:
            return self._asked(request, show, cancellation(show, booking))
        done = "Hold freed" if booking.status == Booking.Status.PENDING else "Cancelled"
        bookings.cancel(Caller(_clerk(request), staff=True), booking.pk)
        self.admin.log_change(request, booking, f"{done}.")
        self.admin.message_user(request, f"{done}: {booking.reference}.", messages.SUCCESS)
        return _to(show)

    def _close(self, request: HttpRequest, show: Show) -> HttpResponse:
        if "confirmed" not in request.POST:
            return self._asked(request, show, closing(show))
        bookings.cancel_show(Caller(_clerk(request), staff=True), show.pk)
        if show.cancelled_at is None:  # before this
            self.admin.log_change(request, show, "The whole show cancelled.")
        self.admin.message_user(request, "The show is cancelled: nothing of it is sold from now on.", messages.SUCCESS)
        return _to(show)


def _clerk(request: HttpRequest) -> int:
    return int(request.user.pk or 0)


def _number(typed: str) -> int | None:
    return int(typed) if typed.isdecimal() and len(typed) <= LONGEST else None


def _address(show: Show) -> str:
    return reverse("admin:cinema_show_seats", args=[show.pk])


def _to(show: Show, query: str = "") -> HttpResponse:
    return HttpResponseRedirect(_address(show) + query)


def _is_open(show: Any) -> bool:
    return show.cancelled_at is None and show.date_time > show.now


def _taken(show: Show) -> dict[int, tuple[int, Any, str, str]]:
    """Of each live seat: its booking, until when it is held, reference and customer."""
    columns = ("seat_number", "booking", "held_until", "booking__reference", "booking__user__username")
    rows = BookingSeat.objects.live().filter(show=show).order_by().values_list(*columns)
    return {number: (booking, until, reference, who) for number, booking, until, reference, who in rows}


def _drawing(taken: dict[int, tuple[int, Any, str, str]], typed: Typed, *, sells: bool, sees: bool) -> Any:
    chosen = set(typed.seats)

    def seat(number: int) -> Seat:
        if number in taken:
            booking, until, reference, who = taken[number]
            kind = "booked" if until is None else "held"
            told = f"Seat {number}: {kind}, {reference}, {who}" if sees else f"Seat {number}: {kind}"
            return Seat(kind, told, typed.address(booking=booking) if sees else "")
        kind = "chosen" if number in chosen and sells else "free"
        link = typed._replace(seats=sorted(chosen ^ {number})).address() if sells else ""
        return Seat(kind, f"Seat {number}: {kind}", link)

    return seat
