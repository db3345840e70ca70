"""Selling at the counter: a clerk acts, a customer owns, and the walk-in account is nobody's."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, connection
from django.urls import reverse

from cinema.errors import HoldExpired, Invalid, SeatTaken, TokenInvalid
from cinema.notifications import deliveries
from cinema.people import passwords
from cinema.people.models import WALK_IN, PasswordReset, User
from cinema.sales import bookings
from cinema.sales.models import Booking, BookingEvent
from tests.conftest import refusal
from tests.support.factories import (
    PASSWORD,
    a_caller,
    a_clerk,
    a_customer,
    a_hold,
    a_show,
    make_stale,
)
from tests.support.racing import kinds, race
from tests.support.unchanged import nothing_changes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_way")]
migration = import_module("cinema.migrations.0004_counter_and_cancelled_shows")


def events(booking: Booking) -> list[tuple[str, int, str]]:
    return [(event.kind, event.actor_id, event.mail_state) for event in booking.events.all()]


def sold(clerk, show=None, seats=(5,), act=bookings.book) -> Booking:
    return Booking.objects.get(pk=act(clerk, (show or a_show()).pk, seats).booking.id)


def test_a_sale_is_the_customers_and_names_the_clerk():
    customer = a_customer()
    clerk = a_clerk(customer)

    booking = sold(clerk)

    assert booking.user == customer
    assert events(booking) == [("booked", clerk.user_id, "owed")]
    assert bookings.cancel(a_caller(customer), booking.pk).booking.status == "cancelled"


def test_a_clerk_holds_confirms_and_cancels_for_a_customer():
    clerk = a_clerk(a_customer())
    hold = sold(clerk, act=bookings.hold)

    bookings.confirm(clerk, hold.pk)
    bookings.cancel(clerk, hold.pk)

    clerks = clerk.user_id
    assert events(hold) == [
        ("held", clerks, "none"),
        ("booked", clerks, "owed"),
        ("cancelled", clerks, "owed"),
    ]


def test_whoever_has_no_account_is_owed_no_mail():
    clerk, show = a_clerk(User.objects.walk_in()), a_show()
    booking, hold, stale = sold(clerk, show, (1,)), sold(clerk, show, (2,), bookings.hold), None

    bookings.confirm(clerk, hold.pk)
    bookings.cancel(clerk, hold.pk)
    bookings.cancel(clerk._replace(customer_id=None), booking.pk)
    stale = make_stale(sold(clerk, show, (3,), bookings.hold))
    bookings.expire_stale()

    assert {state for one in (booking, hold, stale) for _, _, state in events(one)} == {"none"}
    assert deliveries.queue_due() == []


def test_a_mail_of_the_walk_in_account_is_not_sent_again():
    booking = sold(a_clerk(User.objects.walk_in()))
    failed = BookingEvent.objects.filter(booking=booking)
    failed.update(mail_failed_at=booking.created_at, mail_error="no address")

    assert deliveries.send_again(failed) == 0


def test_several_customers_without_an_account_sit_in_one_show():
    clerk, show = a_clerk(User.objects.walk_in()), a_show()

    assert [sold(clerk, show, (seat,)).status for seat in (1, 2, 3)] == ["booked"] * 3


@pytest.mark.parametrize("act", [bookings.book, bookings.hold])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
            "account is deactivated",
        ),
        (lambda user: user.delete(), "no such customer"),
    ],
)
def test_nothing_is_sold_to_a_customer_who_cannot_buy(act, spoil, told):
    customer, show = a_customer(), a_show()
    clerk = a_clerk(customer)
    spoil(customer)

    with nothing_changes(), pytest.raises(Invalid, match=told) as refused:
        act(clerk, show.pk, [5])

    assert [error["field"] for error in refused.value.extra["errors"]] == ["customer"]


def test_a_clerk_who_left_sells_nothing():
    clerk, show = a_clerk(a_customer()), a_show()
    User.objects.filter(pk=clerk.user_id).update(is_active=False)

    with nothing_changes(), pytest.raises(TokenInvalid):
        bookings.book(clerk, show.pk, [5])


def test_a_seat_that_the_customer_holds_is_told_with_its_booking():
    customer = a_caller()
    hold = a_hold(customer, seats=(5, 6))
    clerk = a_clerk(User.objects.get(pk=customer.user_id))

    with pytest.raises(
        SeatTaken, match=f"This customer holds .* booking {hold.pk} .{hold.reference}."
    ) as refused:
        bookings.book(clerk, hold.show_id, [6, 7])

    assert refused.value.extra["booking_id"] == hold.pk
    assert bookings.confirm(clerk, hold.pk).booking.status == "booked"
    assert events(hold)[-1] == ("booked", clerk.user_id, "owed")


def test_a_hold_of_other_seats_is_in_nobodys_way():
    customer = a_caller()
    hold = a_hold(customer, seats=(5,))

    booking = sold(a_clerk(User.objects.get(pk=customer.user_id)), hold.show, (6,))

    assert booking.user_id == customer.user_id
    assert bookings.confirm(customer, hold.pk).booking.status == "booked"


def test_the_customers_stale_hold_is_taken_over():
    customer = a_caller()
    hold = make_stale(a_hold(customer))

    sold(a_clerk(User.objects.get(pk=customer.user_id)), hold.show)

    with pytest.raises(HoldExpired):
        bookings.confirm(customer, hold.pk)


def test_a_clerk_is_not_throttled(settings):
    settings.THROTTLES = settings.THROTTLES | {"booking": (1, 60)}
    clerk, show = a_clerk(User.objects.walk_in()), a_show()

    assert [sold(clerk, show, (seat,)).status for seat in (1, 2, 3)] == ["booked"] * 3


def test_two_windows_of_one_clerk_sell_a_seat_once():
    show, first, second = a_show(), a_clerk(a_customer()), a_customer()

    results = race(
        lambda: bookings.book(first, show.pk, [5]),
        lambda: bookings.book(first._replace(customer_id=second.pk), show.pk, [5]),
    )

    assert kinds(results) == {"Outcome": 1, "SeatTaken": 1}


def test_the_walk_in_account_is_made_once():
    accounts = race(*[User.objects.walk_in] * 6)

    assert {account.pk for account in accounts} == {User.objects.walk_in().pk}
    assert not User.objects.walk_in().has_usable_password()


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["walk-in", "WALK-IN", "ｗalk-in"])
def test_nobody_signs_up_under_its_name(anonymous, name, there):
    if there:
        User.objects.walk_in()
    body = {
        "username": name,
        "email": "a@example.com",
        "password": PASSWORD,
        "password_confirm": PASSWORD,
    }

    assert refusal(anonymous.post("/api/signup/", body)) == (409, "username_taken")


def test_nobody_logs_in_as_it_or_gets_a_password_for_it(anonymous):
    account = User.objects.walk_in()

    with pytest.raises(TokenInvalid):
        passwords.reset_password(passwords.reset_token(account), "another long passphrase")
    passwords.request_reset("")

    assert refusal(anonymous.post("/api/login/", {"username": WALK_IN, "password": "!"})) == (
        401,
        "bad_credentials",
    )
    assert not PasswordReset.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"password": "argon2$…"},
        {"email": "a@example.com"},
        {"is_staff": True},
        {"is_superuser": True},
    ],
)
def test_the_database_keeps_it_nobodys(change):
    account = User.objects.walk_in()

    with pytest.raises(IntegrityError):
        User.objects.filter(pk=account.pk).update(**change)


@pytest.mark.parametrize("page", ["change", "delete", "password_change"])
def test_staff_do_not_change_it_in_the_admin(client, page):
    account = User.objects.walk_in()
    client.force_login(a_customer(is_staff=True, is_superuser=True))
    names = {"password_change": "admin:auth_user_password_change"}
    address = reverse(names.get(page, f"admin:cinema_user_{page}"), args=[account.pk])
    form = {
        "username": "mine",
        "email": "a@example.com",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "post": "yes",
    }

    assert (
        client.post(address, form | {"usable_password": "true", "is_active": "on"}).status_code
        == 403
    )

    assert User.objects.walk_in() == account


def test_the_migration_makes_it_and_may_come_again():
    customer = a_customer("visitor")
    for _ in range(2):
        with connection.schema_editor() as editor:
            migration.make_walk_in(apps, editor)

    assert list(User.objects.order_by("pk").values_list("username", flat=True)) == [
        "visitor",
        WALK_IN,
    ]
    assert User.objects.get(username="visitor") == customer
    assert User.objects.walk_in().email == ""


def test_it_is_not_another_users_lack_of_an_address():
    User.objects.filter(pk=a_customer().pk).update(email="")

    with (
        connection.schema_editor() as editor,
        pytest.raises(RuntimeError, match="has no e-mail address"),
    ):
        migration.make_walk_in(apps, editor)
