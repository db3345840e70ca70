"""A whole show is cancelled: what is refused at once, what the sweep ends, whom it mails; it may
die anywhere.
"""

import threading
from datetime import timedelta

import pytest
from django.db import DataError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_redis import get_redis_connection

from cinema.errors import (
    NotFound,
    SeatContended,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    TokenInvalid,
)
from cinema.notifications import deliveries
from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales import bookings, seat_locks, show_cancelling
from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.conftest import refusal
from tests.support.factories import (
    a_booking,
    a_caller,
    a_clerk,
    a_hold,
    a_show,
    make_stale,
    move_start,
)
from tests.support.racing import race
from tests.support.smtp_server import SMTP, smtp_server
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.unchanged import nothing_changes
from workers import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]


@pytest.fixture
def server(settings):
    with smtp_server() as server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            SMTP,
            "127.0.0.1",
            server.port,
        )
        yield server


def cancelled(show: Show) -> Show:
    return bookings.cancel_show(a_clerk(), show.pk)


def sweep() -> int:
    return bookings.cancel_bookings_of_cancelled_shows()


def work_off() -> None:
    while queued := deliveries.queue_due():
        for due in queued:
            deliveries.deliver(*due)


def history(booking: Booking) -> list[str]:
    return list(booking.events.order_by("id").values_list("kind", flat=True))


def owed() -> list[int]:
    return sorted(
        BookingEvent.objects.owed().filter(kind="cancelled").values_list("booking__user", flat=True)
    )


def test_nothing_is_sold_from_then_on(api):
    show = a_show()
    hold = a_hold(api.caller, show)
    clerk = a_clerk()

    told = bookings.cancel_show(clerk, show.pk)

    assert (told.cancelled_by_id, told.cancelled_at is not None) == (clerk.user_id, True)
    for path, body in (("book", {"seat_number": 7}), ("hold", {"seat_number": 7})):
        assert refusal(api.post(f"/api/shows/{show.pk}/{path}/", body)) == (409, "show_cancelled")
    assert refusal(api.post(f"/api/bookings/{hold.pk}/confirm/")) == (409, "show_cancelled")
    with pytest.raises(ShowCancelled):
        bookings.book(a_clerk(User.objects.walk_in()), show.pk, [7])
    assert BookingSeat.objects.live().count() == 1


def test_a_booking_of_it_says_so_at_once_and_is_cancelled_soon(api):
    booking = a_booking(api.caller)
    cancelled(booking.show)

    at_once = api.get(f"/api/bookings/{booking.pk}/").json()
    sweep()
    soon = api.get(f"/api/bookings/{booking.pk}/").json()

    assert (at_once["status"], at_once["show"]["cancelled"]) == ("booked", True)
    assert (soon["status"], soon["show"]["cancelled"], soon["seat_numbers"]) == (
        "cancelled",
        True,
        [5],
    )
    assert refusal(api.post(f"/api/bookings/{booking.pk}/confirm/")) == (409, "booking_closed")


def test_the_customer_may_cancel_in_between_and_is_told_of_that_alone(api):
    booking = a_booking(api.caller)
    cancelled(booking.show)

    assert api.post(f"/api/bookings/{booking.pk}/cancel/").json()["status"] == "cancelled"

    assert sweep() == 0
    assert [
        (event.actor_id, event.mailed_with) for event in booking.events.filter(kind="cancelled")
    ] == [(api.caller.user_id, None)]


def test_again_it_is_the_same():
    show = a_show()
    first = cancelled(show)
    move_start(show, to=timedelta(seconds=-1))

    clerk = a_clerk()
    with nothing_changes():
        again = bookings.cancel_show(clerk, show.pk)

    assert (again.cancelled_at, again.cancelled_by) == (first.cancelled_at, first.cancelled_by)


def test_what_is_not_there_or_has_started_or_is_not_the_clerks_to_cancel_any_more():
    started, show, gone = a_show(timedelta(seconds=-1)), a_show(), a_clerk()
    User.objects.filter(pk=gone.user_id).update(is_active=False)
    clerk = a_clerk()

    with nothing_changes():
        with pytest.raises(NotFound):
            bookings.cancel_show(clerk, 0)
        with pytest.raises(ShowStarted):
            bookings.cancel_show(clerk, started.pk)
        with pytest.raises(TokenInvalid):
            bookings.cancel_show(gone, show.pk)


def test_all_that_is_live_is_ended_and_the_clerk_is_named():
    show, clerk, clock = a_show(), a_clerk(), timezone.now()
    booked, hold = a_booking(show=show, seats=(1, 2)), a_hold(show=show, seats=(3,))
    stale = make_stale(a_hold(show=show, seats=(4,)))
    elsewhere = a_booking()

    told = bookings.cancel_show(clerk, show.pk)
    before, count, again, after = told.progress, sweep(), sweep(), told.progress

    assert (before, count, again, after) == ((0, 2), 2, 0, (2, 2))
    assert [history(one) for one in (booked, hold, stale)] == [
        ["booked", "cancelled"],
        ["held", "cancelled"],
        ["held"],
    ]
    assert {event.actor_id for event in BookingEvent.objects.filter(kind="cancelled")} == {
        clerk.user_id
    }
    assert not BookingSeat.objects.live().filter(show=show).exists()
    assert Booking.objects.get(pk=booked.pk).updated_at > clock
    assert Booking.objects.get(pk=elsewhere.pk).status == "booked"
    assert bookings.expire_stale() == 1
    assert history(stale) == ["held", "expired"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="its one writer waits 3 s, and is a 503")
def test_a_clerk_who_has_waited_a_second_for_the_sales_is_told_to_come_again():
    show, clerk, is_sold, is_told = a_show(), a_clerk(), threading.Event(), threading.Event()

    def sell():
        with transaction.atomic():
            Show.objects.select_for_update().get(pk=show.pk)
            is_sold.set()
            is_told.wait(PATIENCE_SECONDS)

    def cancel():
        is_sold.wait(PATIENCE_SECONDS)
        try:
            return bookings.cancel_show(clerk, show.pk)
        finally:
            is_told.set()

    _, refused = race(sell, cancel)

    assert isinstance(refused, SeatContended)
    assert refused.detail == "The show is being sold at this moment. Try again in a second."
    assert Show.objects.get().cancelled_at is None


def test_a_show_that_is_on_has_no_progress():
    assert a_show().progress is None


def test_bookings_of_a_cancelled_show_that_has_begun_are_ended_too():
    """The workers were dead meanwhile."""
    booking = a_booking()
    cancelled(booking.show)
    move_start(booking.show, to=timedelta(hours=-1))

    assert sweep() == 1


def test_a_show_that_is_on_sale_again_keeps_what_is_left():
    show = a_show()
    a_booking(show=show)
    cancelled(show)
    Show.objects.filter(pk=show.pk).update(cancelled_at=None)

    with nothing_changes():
        with transaction.atomic():
            assert show_cancelling.cancel_bookings(show.pk, Booking.objects.get().user_id) == (
                0,
                [],
            )
        assert sweep() == 0


def test_a_customer_is_owed_one_mail_for_all_and_holds_and_walk_ins_none():
    show, customer, other = a_show(), a_caller(), a_caller()
    for seat in (1, 2, 3):
        a_booking(customer, show, (seat,))
    a_hold(customer, show, (4,))
    a_hold(other, show, (5,))
    bookings.book(a_clerk(User.objects.walk_in()), show.pk, [6])
    bookings.book(a_clerk(User.objects.walk_in()), show.pk, [7])

    cancelled(show)

    assert sweep() == 7
    assert owed() == [customer.user_id]


def test_the_mail_names_every_booking_that_was_ended_and_no_other(server):
    show, customer = a_show(), a_caller()
    first, second = a_booking(customer, show, (2, 1)), a_booking(customer, show, (7,))
    by_hand, elsewhere = a_booking(customer, show, (8,)), a_booking(customer)
    bookings.cancel(customer, by_hand.pk)
    work_off()
    server.mails.clear()

    cancelled(show)
    sweep()
    work_off()

    (letter,) = server.mails
    assert letter["To"] == first.user.email
    assert letter["Subject"].startswith(f"Cancelled: {show.movie_title}, ")
    for part in letter.iter_parts():
        text = part.get_content()
        for said in (
            "The whole show is cancelled",
            show.movie_title,
            first.reference,
            "1, 2",
            second.reference,
            "7",
        ):
            assert said in text
        assert by_hand.reference not in text
        assert elsewhere.reference not in text


def test_one_booking_is_told_in_the_singular(server):
    booking = a_booking()
    cancelled(booking.show)
    sweep()

    work_off()

    assert [letter["Message-ID"].split("@")[0] for letter in server.mails][1:] == [
        f"<event-{booking.events.get(kind='cancelled').pk}-{booking.reference}"
    ]
    text = next(server.mails[1].iter_parts()).get_content()
    assert "and with it your booking." in text
    assert "The reference is no longer good for entry." in text


def test_it_waits_for_all_that_the_customer_is_owed_of_the_show(server):
    """Whichever booking it is of: also of one that was cancelled by hand."""
    show, customer = a_show(), a_caller()
    a_booking(customer, show, (1,))
    by_hand = a_booking(customer, show, (2,))
    a_booking(customer, show, (3,))
    elsewhere = a_booking(customer)
    bookings.cancel(customer, by_hand.pk)
    BookingEvent.objects.filter(booking=elsewhere).update(mail_due_at=Now() + timedelta(minutes=5))
    put_off = BookingEvent.objects.filter(booking=by_hand)
    put_off.update(mail_due_at=Now() + timedelta(minutes=5))
    cancelled(show)
    sweep()

    work_off()
    in_between = list(server.subjects)
    put_off.update(mail_due_at=Now())
    work_off()

    assert in_between == ["Booked", "Booked"]
    assert server.subjects == ["Booked", "Booked", "Booked", "Cancelled", "Cancelled"]
    assert "The whole show" in next(server.mails[-1].iter_parts()).get_content()


@pytest.mark.parametrize("told", ["mail_sent_at", "mail_due_at"])
def test_a_confirmation_that_failed_is_not_sent_again_behind_it(told):
    show, customer = a_show(), a_caller()
    ended = [a_booking(customer, show, (seat,)) for seat in (1, 2)]
    failed = BookingEvent.objects.filter(booking__in=ended, kind="booked")
    failed.update(mail_due_at=None, mail_failed_at=Now())
    cancelled(show)
    sweep()
    BookingEvent.objects.owed().update(mail_due_at=None)
    assert deliveries.send_again(failed) == 2  # the control: it was neither sent nor owed

    failed.update(mail_due_at=None, mail_failed_at=Now())
    letter = BookingEvent.objects.filter(kind="cancelled").first()
    BookingEvent.objects.filter(pk=letter.pk).update(**{told: Now()})

    assert deliveries.send_again(failed) == 0


def test_the_marks_of_its_seats_are_gone():
    booking = a_booking()
    cancelled(booking.show)
    mark = seat_locks.mark_key(booking.show_id, 5)
    get_redis_connection("default").set(mark, 1)

    sweep()

    assert get_redis_connection("default").get(mark) is None


def test_redis_is_not_needed(settings):
    settings.REDIS_URL = ""
    booking = a_booking()
    cancelled(booking.show)

    assert sweep() == 1


def test_a_batch_is_so_many_customers():
    show = a_show()
    for seat in range(1, 6):
        a_booking(show=show, seats=(seat,))
    cancelled(show)

    assert [bookings.cancel_bookings_of_cancelled_shows(2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_task_works_off_all_and_leaves_when_its_time_is_over(monkeypatch):
    show = a_show()
    for seat in range(1, 6):
        a_booking(show=show, seats=(seat,))
    cancelled(show)
    monkeypatch.setattr(tasks, "CUSTOMERS_PER_BATCH", 2)
    monkeypatch.setattr(tasks, "CANCELLING_SECONDS", 0)

    tasks.cancel_bookings_of_cancelled_shows()
    first = Booking.objects.filter(status="cancelled").count()
    monkeypatch.setattr(tasks, "CANCELLING_SECONDS", 10)
    tasks.cancel_bookings_of_cancelled_shows()

    assert (first, Booking.objects.filter(status="cancelled").count()) == (2, 5)


class Killed(BaseException):
    """What a worker feels that dies."""


def dies_at_the_third_customer(monkeypatch, whole: bool) -> Show:
    """Two bookings each; it dies between the events of the third customer. Without `whole` nothing
    is rolled back.
    """
    show, customers = a_show(), [a_caller() for _ in range(4)]
    for number, customer in enumerate(customers * 2):
        a_booking(customer, show, (number + 1,))
    cancelled(show)
    record, calls = show_cancelling._record, []

    def dies(*values, **how):
        calls.append(values)
        if len(calls) == 6:  # two a customer: the holds' and the rest
            raise Killed
        return record(*values, **how)

    class NoTransaction:
        def __init__(self, **_): ...

        def __enter__(self): ...

        def __exit__(self, *_): ...

    with monkeypatch.context() as patched:
        patched.setattr(show_cancelling, "_record", dies)
        if not whole:
            patched.setattr(bookings.transaction, "atomic", NoTransaction)
            patched.setattr(connection.features, "has_select_for_update", False)
        with pytest.raises(Killed):
            sweep()
    return show


def are_told(show: Show) -> set[int]:
    """Of the cancelled bookings, those that a mail names."""
    return set(
        BookingEvent.objects.filter(mailed_with__mail_due_at__isnull=False).values_list(
            "booking", flat=True
        )
    )


def test_a_sweep_that_dies_leaves_nothing_half_done_and_is_taken_up(monkeypatch):
    show = dies_at_the_third_customer(monkeypatch, whole=True)
    ended = set(Booking.objects.filter(status="cancelled").values_list("pk", flat=True))

    assert len(ended) == 4
    assert are_told(show) == ended
    assert show_cancelling.customers_left(10) != []
    assert sweep() == 4
    assert are_told(show) == set(Booking.objects.values_list("pk", flat=True))
    assert len(owed()) == len(set(owed())) == 4
    assert not BookingSeat.objects.filter(taken=True).exists()


def test_control_without_its_transactions_a_customer_is_not_told_of_a_booking(monkeypatch):
    show = dies_at_the_third_customer(monkeypatch, whole=False)

    sweep()

    assert len(are_told(show)) < Booking.objects.filter(status="cancelled").count() == 8


def test_a_seat_that_is_asked_for_behind_it_is_refused_for_the_show(api):
    """Not as taken: nobody will give it back."""
    booking = a_booking()
    with pytest.raises(SeatTaken):
        bookings.book(api.caller, booking.show_id, [5])
    cancelled(booking.show)
    sweep()

    assert refusal(api.post(f"/api/shows/{booking.show_id}/book/", {"seat_number": 5})) == (
        409,
        "show_cancelled",
    )


def test_a_deactivated_clerks_cancellation_goes_on():
    booking, clerk = a_booking(), a_clerk()
    bookings.cancel_show(clerk, booking.show_id)
    User.objects.filter(pk=clerk.user_id).update(is_active=False)

    assert sweep() == 1
    assert booking.events.get(kind="cancelled").actor_id == clerk.user_id


def test_what_fails_for_one_customer_stops_none_of_the_others(monkeypatch, written):
    show, unlucky = a_show(), a_caller()
    bad, good = a_booking(unlucky, show, (1,)), a_booking(None, show, (2,))
    cancelled(show)
    cancel_all_of = show_cancelling.cancel_bookings

    def fails(show_id: int, user_id: int):
        if user_id == unlucky.user_id:
            raise DataError("a row that no statement takes")
        return cancel_all_of(show_id, user_id)

    with monkeypatch.context() as broken:
        broken.setattr(show_cancelling, "cancel_bookings", fails)
        with pytest.raises(DataError):
            sweep()

    assert (history(bad), history(good)) == (["booked"], ["booked", "cancelled"])
    (line,) = (line for line in written if line["event"] == "bookings not cancelled")
    assert (line["show_id"], line["user_id"]) == (show.pk, unlucky.user_id)
    assert sweep() == 1


def test_the_clerks_cancellation_is_one_line(written):
    show, clerk = a_show(), a_clerk()

    bookings.cancel_show(clerk, show.pk)
    bookings.cancel_show(clerk, show.pk)

    (line,) = (line for line in written if line["event"] == "show cancelled")
    assert (line["show_id"], line["actor_id"]) == (show.pk, clerk.user_id)
