"""What a clerk does at the seat map, by the API's functions.

Each action asks first (a page that says what will be done), is done once that page is sent, ends
with a sentence, and leaves a log entry if it changed anything. A refusal leads back to the map,
with the seats and the customer as they were typed.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from cinema.staff.base import ModelAdmin
from cinema.staff.counter import questions
from cinema.staff.counter.form import SaleForm
from cinema.staff.counter.questions import Question
from cinema.staff.formats import list_seats, row_number

SELL = "cinema.change_booking"
CANCEL_SHOW = "cinema.change_show"
LIVE = (Booking.Status.PENDING, Booking.Status.BOOKED)
KEPT = ("seats", "customer", "booking")  # what the map keeps in its address


class CounterActions:
    """The actions of one request at the map of one show."""

    def __init__(self, model_admin: ModelAdmin, request: HttpRequest, show: Show) -> None:
        self.admin = model_admin
        self.request = request
        self.show = show
        self.clerk = Caller(int(request.user.pk or 0), staff=True)
        self.is_confirmed = "confirmed" in request.POST

    def run(self, name: str) -> HttpResponse:
        """Raises PermissionDenied for what this clerk may not do, and for what is no action."""
        actions = {
            "sell": (SELL, self._sell),
            "confirm": (SELL, self._confirm),
            "cancel": (SELL, self._cancel),
            "cancel_show": (CANCEL_SHOW, self._cancel_show),
        }
        if name not in actions:
            raise PermissionDenied
        permission, action = actions[name]
        if not self.request.user.has_perm(permission):
            raise PermissionDenied
        try:
            return action()
        except Refusal as refusal:
            form = self.request.POST.dict()
            if "booking_id" in refusal.extra:  # the hold in the way
                form["booking"] = refusal.extra["booking_id"]
            return self._back_to_map(refusal.detail, messages.ERROR, _query(form))

    def _ask(self, question: Question) -> HttpResponse:
        context = {
            **self.admin.admin_site.each_context(self.request),
            **question._asdict(),
            "opts": self.admin.opts,
            "original": self.show,
            "to": self._map,
            "back": self._map + _query(question.fields),
        }
        return TemplateResponse(self.request, "admin/cinema/confirm.html", context)

    def _sell(self) -> HttpResponse:
        form = SaleForm.read(self.request.POST)
        customer = form.find_customer()
        form.require_seats(self.show)
        if not self.is_confirmed:
            return self._ask(questions.sell(self.show, form, customer, sees=self._sees_customers))
        key = self._key({"seats": form.seats, "customer": customer.pk})
        clerk = self.clerk._replace(customer_id=customer.pk)
        outcome = bookings.book(clerk, self.show.pk, form.seats, key)
        booking = Booking.objects.get(pk=outcome.booking.id)
        seats = list_seats(form.seats)
        return self._end(
            outcome,
            booking,
            log_entry=f"Sold at the counter: {seats}, to {customer.username}.",
            sentence=f"Booked: {booking.reference}, {seats}.",
            query=f"?booking={booking.pk}",
        )

    def _key(self, sale: dict[str, Any]) -> idempotency.Key | None:
        """Return the key made with the question, so that a second press of yes sells nothing more.

        It reads the same answer instead.
        """
        once = self.request.POST.get("once")
        if once is None:
            return None
        return idempotency.key_from(once, "POST", self.request.path, sale)

    def _confirm(self) -> HttpResponse:
        booking = self._booking()
        if booking.reads_as == Booking.Status.PENDING and not self.is_confirmed:
            return self._ask(questions.confirm(self.show, booking, sees=self._sees_customers))
        outcome = bookings.confirm(self.clerk, booking.pk)  # refuses what is no hold any more
        return self._end(
            outcome,
            booking,
            log_entry="Hold sold at the counter.",
            sentence=f"Booked: {booking.reference}, {list_seats(booking.seat_numbers)}.",
            query=f"?booking={booking.pk}",
        )

    def _cancel(self) -> HttpResponse:
        booking = self._booking()
        asked_about = self.request.POST.get("status", booking.status)
        has_changed = asked_about != booking.status  # since the question was asked
        if booking.reads_as in LIVE and (has_changed or not self.is_confirmed):
            return self._ask(questions.cancel(self.show, booking))
        done = "Hold freed" if booking.status == Booking.Status.PENDING else "Cancelled"
        # It refuses what has ended.
        outcome = bookings.cancel(self.clerk, booking.pk, seen=booking.status)
        sentence = f"{done}: {booking.reference}."
        return self._end(outcome, booking, log_entry=f"{done}.", sentence=sentence)

    def _cancel_show(self) -> HttpResponse:
        was_cancelled = self.show.cancelled_at is not None
        if not (was_cancelled or self.is_confirmed):
            return self._ask(questions.cancel_show(self.show))
        show = bookings.cancel_show(self.clerk, self.show.pk)
        # Another call may have been faster at this very moment.
        if was_cancelled or show.cancel_request_id != logs.request_id():
            return self._back_to_map("The show was cancelled before.", messages.WARNING)
        self.admin.log_change(self.request, self.show, "The whole show cancelled.")
        sentence = "The show is cancelled: nothing of it is sold from now on."
        return self._back_to_map(sentence, messages.SUCCESS)

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

    def _end(
        self, outcome: Outcome, booking: Booking, *, log_entry: str, sentence: str, query: str = ""
    ) -> HttpResponse:
        if outcome.ended is Ended.DONE:
            self.admin.log_change(self.request, booking, log_entry)
        if outcome.ended is Ended.SAME:
            sentence = f"{booking}: it was {outcome.booking.status} before."
            return self._back_to_map(sentence, messages.WARNING, _query({"booking": booking.pk}))
        return self._back_to_map(sentence, messages.SUCCESS, query)

    def _back_to_map(self, sentence: str, level: int, query: str = "") -> HttpResponse:
        self.admin.message_user(self.request, sentence, level)
        return HttpResponseRedirect(self._map + query)

    @property
    def _sees_customers(self) -> bool:
        return self.request.user.has_perm("cinema.view_user")

    @property
    def _map(self) -> str:
        return reverse("admin:cinema_show_seats", args=[self.show.pk])


def _query(values: Mapping[str, Any]) -> str:
    kept = {name: values[name] for name in KEPT if values.get(name)}
    return "?" + urlencode(kept)
