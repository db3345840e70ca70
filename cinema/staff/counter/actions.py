"""What a clerk does at the seat map by the API's functions: sells, sells or frees a hold, cancels,
also the whole show.

Each deed asks first (a page that says what will be done), is done once that page is sent, is told
in a sentence, and leaves a log entry if it changed anything. A refusal leads back to the map, with
the seats and the customer as they were typed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from cinema.errors import Refusal
from cinema.infra import logs
from cinema.people.caller import Caller
from cinema.programme.models import Show
from cinema.sales import bookings, idempotency
from cinema.sales.models import Booking
from cinema.sales.snapshots import Ended, Outcome
from cinema.staff.counter.form import (
    Deed,
    Typed,
    cancellation,
    closing,
    confirmation,
    customer_of,
    require_seats,
    sale,
    seats_told,
)
from cinema.staff.lists.base import row_number

SELL, CANCEL_SHOW = "cinema.change_booking", "cinema.change_show"
LIVE = (Booking.Status.PENDING, Booking.Status.BOOKED)
TYPED = ("seats", "customer", "booking")  # what the map keeps in its address


class Deeds:
    """Of one request, at the map of one show."""

    def __init__(self, model_admin: Any, request: HttpRequest, show: Show) -> None:
        self.admin, self.request, self.show = model_admin, request, show
        self.clerk = Caller(int(request.user.pk or 0), staff=True)
        self.confirmed = "confirmed" in request.POST

    def do(self, name: str) -> HttpResponse:
        """If this clerk may."""
        deeds = {
            "sell": (SELL, self._sell),
            "confirm": (SELL, self._confirm),
            "cancel": (SELL, self._cancel),
            "cancel_show": (CANCEL_SHOW, self._close),
        }
        permission, act = deeds.get(name, ("", None))
        if act is None or not self.request.user.has_perm(permission):
            raise PermissionDenied
        try:
            return act()
        except Refusal as refusal:
            booking = refusal.extra.get(
                "booking_id", self.request.POST.get("booking", "")
            )  # the hold in the way
            return self._back(
                refusal.detail,
                messages.ERROR,
                _query({**self.request.POST.dict(), "booking": booking}),
            )

    def ask(self, deed: Deed) -> HttpResponse:
        context = {
            **self.admin.admin_site.each_context(self.request),
            **deed._asdict(),
            "opts": self.admin.opts,
        }
        context |= {"original": self.show, "to": self._map, "back": self._map + _query(deed.fields)}
        return TemplateResponse(self.request, "admin/cinema/confirm.html", context)

    def _sell(self) -> HttpResponse:
        typed = Typed.of(self.request.POST)
        customer = customer_of(typed.customer)
        require_seats(typed, self.show)
        if not self.confirmed:
            return self.ask(sale(self.show, typed, customer, sees=self._sees))
        key = self._key({"seats": typed.seats, "customer": customer.pk})
        outcome = bookings.book(
            self.clerk._replace(customer_id=customer.pk), self.show.pk, typed.seats, key
        )
        booking = Booking.objects.get(pk=outcome.booking.id)
        logged = f"Sold at the counter: {seats_told(typed.seats)}, to {customer.username}."
        told = f"Booked: {booking.reference}, {seats_told(typed.seats)}."
        return self._ended(outcome, booking, logged, told, f"?booking={booking.pk}")

    def _key(self, sold: Any) -> idempotency.Key | None:
        """Made with the question: whoever presses its button twice has sold once, and reads the
        same answer.
        """
        once = self.request.POST.get("once")
        return None if once is None else idempotency.key_from(once, "POST", self.request.path, sold)

    def _confirm(self) -> HttpResponse:
        booking = self._booking()
        if booking.reads_as == Booking.Status.PENDING and not self.confirmed:
            return self.ask(confirmation(self.show, booking, sees=self._sees))
        outcome = bookings.confirm(
            self.clerk, booking.pk
        )  # of what is no hold any more, it says so
        told = f"Booked: {booking.reference}, {seats_told(booking.seat_numbers)}."
        return self._ended(
            outcome, booking, "Hold sold at the counter.", told, f"?booking={booking.pk}"
        )

    def _cancel(self) -> HttpResponse:
        booking = self._booking()
        changed = (
            self.request.POST.get("status", booking.status) != booking.status
        )  # since the question was asked
        if booking.reads_as in LIVE and (changed or not self.confirmed):
            return self.ask(cancellation(self.show, booking))
        done = "Hold freed" if booking.status == Booking.Status.PENDING else "Cancelled"
        outcome = bookings.cancel(
            self.clerk, booking.pk, seen=booking.status
        )  # of one that has ended, it says so
        return self._ended(outcome, booking, f"{done}.", f"{done}: {booking.reference}.")

    def _close(self) -> HttpResponse:
        before = self.show.cancelled_at
        if not (before or self.confirmed):
            return self.ask(closing(self.show))
        show = bookings.cancel_show(self.clerk, self.show.pk)
        if (
            before or show.cancel_request_id != logs.request_id()
        ):  # another call, at the same moment
            return self._back("The show was cancelled before.", messages.WARNING)
        self.admin.log_change(self.request, self.show, "The whole show cancelled.")
        return self._back(
            "The show is cancelled: nothing of it is sold from now on.", messages.SUCCESS
        )

    def _booking(self) -> Booking:
        """Return the booking of this show that the form names. Raises Http404."""
        chosen = row_number(self.request.POST.get("booking", ""))
        rows = Booking.objects.with_reads_as().select_related("user").prefetch_related("seats")
        booking = None
        if chosen is not None:
            booking = rows.filter(show=self.show, pk=chosen).first()
        if booking is None:
            raise Http404
        return booking

    def _ended(
        self, outcome: Outcome, booking: Booking, logged: str, told: str, query: str = ""
    ) -> HttpResponse:
        if outcome.ended is Ended.DONE:
            self.admin.log_change(self.request, booking, logged)
        if outcome.ended is Ended.SAME:
            told = f"{booking}: it was {outcome.booking.status} before."
            return self._back(told, messages.WARNING, _query({"booking": booking.pk}))
        return self._back(told, messages.SUCCESS, query)

    def _back(self, told: str, level: int, query: str = "") -> HttpResponse:
        self.admin.message_user(self.request, told, level)
        return HttpResponseRedirect(self._map + query)

    @property
    def _sees(self) -> bool:
        return self.request.user.has_perm("cinema.view_user")

    @property
    def _map(self) -> str:
        return reverse("admin:cinema_show_seats", args=[self.show.pk])


def _query(values: Any) -> str:
    typed = {name: values.get(name, "") for name in TYPED}
    return "?" + urlencode({name: value for name, value in typed.items() if value})
