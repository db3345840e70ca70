"""Log lines: one a request and one a change of a booking, with ids and nothing that anybody typed."""

import logging

import pytest
import structlog
from django.test import Client

from cinema.errors import ShowStarted
from cinema.infra import logs
from cinema.notifications import deliveries
from cinema.people.caller import Caller
from cinema.people.models import PasswordReset, User
from cinema.sales import bookings
from cinema.sales.models import BookingEvent
from project.config import log_lines
from tests.support.factories import (
    a_booking,
    a_caller,
    a_clerk,
    a_customer,
    a_hold,
    a_show,
    make_stale,
)
from tests.support.staff import page, superuser
from workers import tasks, telemetry  # noqa: F401 - `runs` hears of every task

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "hush7"
ALWAYS = {"timestamp", "level", "logger"}


def of(written: list[dict], logger: str) -> list[dict]:
    return [
        {name: line[name] for name in line.keys() - ALWAYS}
        for line in written
        if line["logger"] == logger
    ]


def test_a_request_is_one_line_with_its_route_and_not_its_path(api, written):
    show = a_show()

    api.get(f"/api/shows/{show.pk}/seats/?x=1", X_Request_ID="abc-1")
    api.get("/api/nothing/at/all/")
    api.get("/api/me/", X_Request_ID="abc-2")

    first, second, third = of(written, "marquee.request")
    assert first.pop("ms") > 0
    assert first == {
        "event": "request",
        "method": "GET",
        "route": "api/shows/<int:show_id>/seats/",
        "status": 200,
        "request_id": "abc-1",
    }
    assert (second["route"], second["status"], second["code"]) == ("none", 404, "not_found")
    assert (third["request_id"], third["user_id"]) == ("abc-2", api.caller.user_id)


def test_a_caller_who_is_not_verified_has_no_user_id(anonymous, written):
    anonymous.get("/api/me/", Authorization="Bearer nonsense")

    (line,) = of(written, "marquee.request")
    assert (line["status"], "user_id" in line) == (401, False)


def test_a_clerks_page_has_the_clerks_id(written):
    clerk, client = User.objects.create_superuser("clerk", "clerk@example.com", "x"), Client()
    client.force_login(clerk)

    client.get("/admin/cinema/show/")

    (line,) = of(written, "marquee.request")
    assert (line["route"], line["user_id"]) == ("admin/cinema/show/", clerk.pk)


def test_every_change_of_a_booking_is_one_line(api, written, each_way):
    show, clerk = a_show(), Caller(a_customer(is_staff=True).pk, staff=True)

    hold = api.post(
        f"/api/shows/{show.pk}/hold/", {"seat_numbers": [1, 2]}, X_Request_ID="one"
    ).json()["id"]
    api.post(f"/api/bookings/{hold}/confirm/", X_Request_ID="two")
    api.post(f"/api/bookings/{hold}/confirm/")
    api.post(f"/api/shows/{show.pk}/book/", {"seat_number": 1})
    bookings.cancel(clerk, hold)
    stale = make_stale(a_hold(show=show, seats=(5, 6, 7)))
    tasks.expire_holds.apply()

    told = [line for line in of(written, "marquee.booking") if line["actor_id"] != stale.user_id]
    task_id = told[-1].pop("task_id")
    assert len(task_id) == 36
    about = {"event": "booking changed", "outcome": "done", "show_id": show.pk}
    mine = about | {"booking_id": hold, "seats": 2}
    customer = {"actor_id": api.caller.user_id, "user_id": api.caller.user_id}
    assert told == [
        mine | customer | {"action": "hold", "request_id": "one"},
        mine | customer | {"action": "confirm", "request_id": "two"},
        mine | {"action": "cancel", "actor_id": clerk.user_id},
        {
            "event": "bookings changed",
            "action": "expire",
            "outcome": "done",
            "booking_ids": [stale.pk],
            "actor_id": None,
            "task": "expire_holds",
        },
    ]


def test_every_booking_that_ends_with_its_show_is_one_line(written):
    show, clerk = a_show(), a_clerk()
    ended = {a_booking(show=show, seats=(1, 2)).pk: 2, a_hold(show=show, seats=(3,)).pk: 1}
    written.clear()

    bookings.cancel_show(clerk, show.pk)
    tasks.cancel_bookings_of_cancelled_shows.apply()

    shows, *told = of(written, "marquee.booking")
    assert (shows["event"], shows["show_id"], shows["actor_id"]) == (
        "show cancelled",
        show.pk,
        clerk.user_id,
    )
    assert {line["booking_id"]: line["seats"] for line in told} == ended
    assert {(line["action"], line["actor_id"], line["task"]) for line in told} == {
        ("cancel", clerk.user_id, "cancel_bookings_of_cancelled_shows")
    }


def test_a_refused_change_is_no_line(written):
    caller, show = a_caller(), a_show()
    a_booking(caller, show, (1,))
    written.clear()

    with pytest.raises(ShowStarted):
        bookings.book(caller, started(show), [2])

    assert of(written, "marquee.booking") == []


def started(show) -> int:
    type(show).objects.filter(pk=show.pk).update(date_time=show.created_at)
    return show.pk


@pytest.mark.parametrize("path", ["book", "hold"])
def test_the_mail_knows_the_request_that_owed_it(api, written, each_way, path, settings):
    show = a_show()

    booking = api.post(
        f"/api/shows/{show.pk}/{path}/", {"seat_number": 1}, X_Request_ID="sold"
    ).json()["id"]
    api.post(f"/api/bookings/{booking}/confirm/", X_Request_ID="confirmed")
    api.post(f"/api/bookings/{booking}/cancel/", X_Request_ID="cancelled")
    api.post("/api/password-reset/", {"email": api.user.email}, X_Request_ID="reset")

    owed_by = ["sold", "cancelled"] if path == "book" else ["sold", "confirmed", "cancelled"]
    assert [event.request_id for event in BookingEvent.objects.all()] == owed_by
    assert PasswordReset.objects.get().request_id == "reset"
    for due in deliveries.queue_due():
        tasks.send_mail.apply(due)
    (reset, booked) = of(written, "marquee.mail")
    assert (reset["request_id"], booked["request_id"]) == (
        "reset",
        "sold" if path == "book" else "confirmed",
    )
    assert (booked["task"], booked["event"]) == ("send_mail", "mail sent")


def test_all_that_ends_with_its_show_knows_the_request_that_cancelled_it(written):
    customer, show = a_caller(), a_show()
    for seat in (1, 2, 3):
        a_booking(customer, show, (seat,))
    a_hold(customer, show, (4,))
    written.clear()
    headers = {"X-Request-ID": "closed"}
    data = {"do": "cancel_show", "confirmed": "yes"}
    assert superuser().post(page("show_seats", show.pk), data, headers=headers).status_code == 302

    tasks.cancel_bookings_of_cancelled_shows.apply()
    BookingEvent.objects.filter(kind="booked").update(mail_due_at=None)
    (due,) = deliveries.queue_due()
    tasks.send_mail.apply(kwargs=due._asdict())

    assert [event.request_id for event in BookingEvent.objects.filter(kind="cancelled")] == [
        "closed"
    ] * 4
    lines_of_it = of(written, "marquee.booking") + of(written, "marquee.mail")
    assert [line["request_id"] for line in lines_of_it] == ["closed"] * 6


def test_a_show_that_no_request_cancelled_puts_no_request_into_the_lines(written):
    booking = a_booking()
    written.clear()
    bookings.cancel_show(a_clerk(), booking.show_id)

    tasks.cancel_bookings_of_cancelled_shows.apply()
    for due in deliveries.queue_due():
        tasks.send_mail.apply(kwargs=due._asdict())

    told = of(written, "marquee.booking") + of(written, "marquee.mail")
    assert len(told) == 3
    assert [line for line in told if "request_id" in line] == []


def test_nothing_is_carried_behind_a_request_or_a_task(api, written):
    api.get("/api/me/")
    tasks.expire_holds.apply()

    assert (logs.carried(), logs.request_id()) == ({}, "")
    assert BookingEvent.objects.get(booking=a_booking()).request_id == ""


def test_a_task_that_fails_names_its_row(written, monkeypatch):
    monkeypatch.setattr(deliveries, "deliver", lambda *_: 1 / 0)
    row = {"kind": "event", "pk": 7, "attempt": 0}

    tasks.send_mail.apply(kwargs=row)

    (line,) = of(written, "marquee.task")
    assert (line["event"], line["task"], line["args"]) == ("failed", "send_mail", row)
    assert line["error"] == "ZeroDivisionError"


def test_an_exception_is_told_by_kind_and_place(written):
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        structlog.get_logger("marquee.test").error("it broke", exc_info=error)
        structlog.get_logger("marquee.test").error("it broke", exc_info=True)
        logging.getLogger("somebody.else").exception("it broke")

    assert [(line["event"], line["error"], line["level"]) for line in written] == [
        ("it broke", "ValueError", "error")
    ] * 3
    assert all(
        "test_an_exception_is_told_by_kind_and_place" in line["exception"] for line in written
    )
    assert SECRET not in str(written)


def test_a_line_that_is_not_written_is_not_made(api, monkeypatch):
    """Above LOG_LEVEL a line costs a comparison."""
    made = []
    quiet = structlog.wrap_logger(
        log_lines.Writer("x"),
        [lambda *_: made.append(1)],
        structlog.make_filtering_bound_logger(30),
    )
    monkeypatch.setattr("project.serving.middleware.log", quiet)
    monkeypatch.setattr("cinema.sales.telemetry.log", quiet)

    assert api.post(f"/api/shows/{a_show().pk}/book/", {"seat_number": 1}).status_code == 201

    assert made == []


def test_in_development_lines_are_for_people(capfd, api):
    api.get("/api/me/", X_Request_ID="abc")

    said = capfd.readouterr().err
    assert "request" in said
    assert "request_id=abc" in said
    assert "{" not in said
