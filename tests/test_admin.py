"""The admin: what staff see and may do, that its forms refuse with a sentence, and that its actions are the API's."""

import threading
import time
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime

from cinema import bookings
from cinema.models import AuthSession, Booking, BookingEvent, BookingSeat, Movie, Show, User
from tests.factories import (
    PASSWORD,
    a_booking,
    a_caller,
    a_customer,
    a_hold,
    a_movie,
    a_screen,
    a_show,
    make_stale,
    move_start,
)
from tests.racing import race

on_sqlite = connection.vendor == "sqlite"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SEEN = ["movie", "screen", "show", "booking", "bookingevent", "user"]
BOX_OFFICE = [f"view_{model}" for model in SEEN] + ["change_booking"]
PROGRAMME = [f"{action}_{model}" for action in ("add", "change", "delete", "view") for model in SEEN[:3]]


def staff(permissions: list[str]) -> Client:
    user = a_customer(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="cinema", codename__in=permissions))
    return logged_in(user)


def superuser() -> Client:
    return logged_in(a_customer(is_staff=True, is_superuser=True))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.user = user
    return client


def page(name: str, *args) -> str:
    """`booking_changelist` and the like."""
    return reverse(f"admin:cinema_{name}", args=args)


def rows(response) -> list:
    return list(response.context["cl"].result_list)


def sentences(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {field: list(found) for field, found in response.context["adminform"].form.errors.items()}


def act(client: Client, name: str, action: str, *chosen, **more):
    data = {"action": action, "_selected_action": [row.pk for row in chosen]} | more
    return client.post(page(f"{name}_changelist"), data, follow=True)


def cancel(client: Client, *chosen: Booking):
    return act(client, "booking", "cancel", *chosen, confirmed="yes")


def show_form(show: Show, **changes) -> dict:
    """What the browser sends to save this show."""
    starts = localtime(changes.pop("date_time", show.date_time))
    values = {"movie": show.movie_id, "screen": show.screen_id, "total_seats": show.total_seats} | changes
    return values | {"date_time_0": f"{starts:%Y-%m-%d}", "date_time_1": f"{starts:%H:%M:%S}"}


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


# Who gets in


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["clerk", "CLERK", "Clerk"])
def test_staff_log_in_however_they_spell_their_name(typed):
    a_customer("clerk", is_staff=True)
    client = Client()

    response = client.post(reverse("admin:login"), {"username": typed, "password": PASSWORD})

    assert response.status_code == 302
    assert "Marquee" in client.get(reverse("admin:index")).content.decode()


@pytest.mark.django_db
def test_a_customer_does_not_get_in():
    client = logged_in(a_customer())

    response = client.get(page("booking_changelist"))

    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permissions", "seen"),
    [
        ([], set()),
        (["view_movie"], {"Movie"}),
        (BOX_OFFICE, {"Booking", "BookingEvent", "Show", "Movie", "Screen", "User"}),
        (PROGRAMME, {"Show", "Movie", "Screen"}),
    ],
)
def test_staff_see_what_their_permissions_say_and_nothing_else(permissions, seen):
    client = staff(permissions)

    apps = client.get(reverse("admin:index")).context["app_list"]

    assert {model["object_name"] for app in apps for model in app["models"]} == seen
    for model in ("Booking", "BookingEvent", "Show", "Movie", "Screen", "User", "AuthSession"):
        status = client.get(page(f"{model.lower()}_changelist")).status_code
        assert status == (200 if model in seen else 403), model


@pytest.mark.django_db
def test_the_box_office_does_not_edit_the_programme():
    show, client = a_show(), staff(BOX_OFFICE)

    response = client.post(page("show_change", show.pk), show_form(show, total_seats=7))

    assert response.status_code == 403
    assert Show.objects.get().total_seats == 100


# Users


@pytest.mark.django_db
def test_a_user_is_added_with_a_canonical_name_and_mail():
    form = {"username": "Mia.Wong", "email": "Mia@Example.COM", "usable_password": "true"}

    response = superuser().post(page("user_add"), form | {"password1": PASSWORD, "password2": PASSWORD})

    assert response.status_code == 302
    assert User.objects.filter(username="mia.wong", email="mia@example.com").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("username", "email", "field"),
    [
        ("MIA", "other@example.com", "username"),
        ("other", "MIA@example.com", "email"),
        ("other", "", "email"),
        ("två ord", "other@example.com", "username"),
    ],
)
def test_a_user_who_cannot_be_is_refused_at_the_field(username, email, field):
    client = superuser()
    a_customer("mia")
    form = {"username": username, "email": email, "usable_password": "true"}

    response = client.post(page("user_add"), form | {"password1": PASSWORD, "password2": PASSWORD})

    assert list(errors(response)) == [field]
    assert User.objects.count() == 2


def user_form(user: User, **changes) -> dict:
    joined = localtime(user.date_joined)
    values = {"username": user.username, "email": user.email, "is_active": "on"}
    values |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"} | changes
    return {field: value for field, value in values.items() if value is not None}


@pytest.mark.django_db
def test_a_user_is_renamed_in_canonical_form():
    user = a_customer("mia")

    response = superuser().post(page("user_change", user.pk), user_form(user, username="Mia2"))

    assert response.status_code == 302
    assert User.objects.get(pk=user.pk).username == "mia2"


@pytest.mark.django_db
def test_deactivating_a_user_ends_the_logins():
    user = a_customer()
    a_caller(user)

    superuser().post(page("user_change", user.pk), user_form(user, is_active=None))

    assert User.objects.get(pk=user.pk).is_active is False
    assert AuthSession.objects.get(user=user).revoked_at


@pytest.mark.django_db
def test_a_new_password_ends_the_logins():
    user = a_customer()
    a_caller(user)
    new = {"usable_password": "true", "password1": "quite another phrase", "password2": "quite another phrase"}

    response = superuser().post(reverse("admin:auth_user_password_change", args=[user.pk]), new)

    assert response.status_code == 302
    assert User.objects.get(pk=user.pk).check_password("quite another phrase")
    assert AuthSession.objects.get(user=user).revoked_at


@pytest.mark.django_db
def test_editing_a_name_ends_no_login():
    user = a_customer()
    a_caller(user)

    superuser().post(page("user_change", user.pk), user_form(user, first_name="Mia"))

    assert User.objects.get(pk=user.pk).first_name == "Mia"
    assert AuthSession.objects.get(user=user).revoked_at is None


@pytest.mark.django_db
def test_logins_are_ended_by_an_action_and_never_edited():
    login = AuthSession.objects.get(pk=a_caller().session_id)
    client = superuser()

    response = act(client, "authsession", "end", login)

    assert sentences(response) == ["Logins ended: 1."]
    assert not AuthSession.objects.live().exists()
    assert client.post(page("authsession_change", login.pk), {}).status_code == 403


@pytest.mark.django_db
def test_a_user_who_has_logged_in_but_never_booked_can_be_deleted():
    user = a_customer()
    a_caller(user)

    response = superuser().post(page("user_delete", user.pk), {"post": "yes"})

    assert response.status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()


# The programme


@pytest.mark.django_db(transaction=True)
def test_the_list_of_shows_counts_sold_held_and_free():
    show = a_show(total_seats=20)
    a_booking(show=show, seats=(1, 2, 3))
    a_hold(show=show, seats=(4, 5))
    make_stale(a_hold(show=show, seats=(6,)))
    caller = a_caller()
    bookings.cancel(caller, a_booking(caller, show=show, seats=(7,)).pk)

    response = staff(BOX_OFFICE).get(page("show_changelist"))

    (row,) = rows(response)
    assert (row.total_seats, row.sold, row.held) == (20, 3, 2)
    html = response.content.decode()
    numbers = {"total_seats": 20, "sold": 3, "held": 2, "free": 15}
    assert "".join(f'<td class="field-{name}">{number}</td>' for name, number in numbers.items()) in html
    assert f"{localtime(show.date_time):%a %d %b %Y %H:%M}".replace(" ", "\N{NO-BREAK SPACE}") in html


@pytest.mark.django_db
def test_the_list_of_shows_says_which_are_cancelled():
    for cancelled_at in (None, timezone.now()):
        a_show(cancelled_at=cancelled_at)

    html = staff(BOX_OFFICE).get(page("show_changelist")).content.decode()

    assert html.count('<td class="field-cancelled">cancelled</td>') == 1
    assert html.count('<td class="field-cancelled">-</td>') == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["show", "booking", "bookingevent", "movie", "user", "authsession"])
def test_a_list_asks_as_much_for_twenty_rows_as_for_one(name):
    client = superuser()
    a_booking()
    first = queries(client, page(f"{name}_changelist"))

    for seat in range(19):
        a_booking(seats=(seat + 1, 50))

    assert queries(client, page(f"{name}_changelist")) == first <= 10


@pytest.mark.django_db(transaction=True)
def test_no_page_of_a_row_asks_more_than_twenty_times():
    client, booking = superuser(), a_booking(seats=(1, 2, 3))

    shown = {"booking": booking, "show": booking.show, "movie": booking.show.movie, "user": booking.user}
    for name, row in shown.items():
        assert queries(client, page(f"{name}_change", row.pk)) <= 20, name


@pytest.mark.django_db
def test_shows_are_filtered_by_day_screen_and_film():
    today = localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    show = a_show(date_time=today)
    tomorrow, past, later = (a_show(date_time=today + days * DAY) for days in (1, -1, 7))
    client = staff(PROGRAMME)

    def found(**query) -> set[Show]:
        return set(rows(client.get(page("show_changelist"), query)))

    assert found(day="today") == {show}
    assert found(day="tomorrow") == {tomorrow}
    assert found(day="week") == {show, tomorrow}
    assert found(day="later") == {later}
    assert found(day="past") == {past}
    assert found(day="no such day") == {show, tomorrow, past, later}
    assert found(screen__id__exact=show.screen_id) == {show}
    assert found(movie__id__exact=later.movie_id) == {later}
    assert found(q=past.movie.title) == {past}


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_a_day_is_the_cinemas_own(settings, zone):
    settings.TIME_ZONE = zone
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    last, first = a_show(date_time=midnight - timedelta(minutes=1)), a_show(date_time=midnight)
    client = staff(PROGRAMME)

    assert rows(client.get(page("show_changelist"), {"day": "today"})) == [last]
    assert rows(client.get(page("show_changelist"), {"day": "tomorrow"})) == [first]


@pytest.mark.django_db
def test_programme_staff_add_a_film_a_screen_and_a_show():
    client = staff(PROGRAMME)

    client.post(page("movie_add"), {"title": "Alraune", "duration_minutes": 108})
    client.post(page("screen_add"), {"name": "Balcony"})
    movie, screen = Movie.objects.get(title="Alraune"), a_screen()
    show = Show(movie=movie, screen=screen, date_time=timezone.now().replace(microsecond=0) + DAY, total_seats=9)
    response = client.post(page("show_add"), show_form(show))

    assert response.status_code == 302
    saved = Show.objects.get()
    assert (saved.movie, saved.screen, saved.date_time, saved.total_seats) == (movie, screen, show.date_time, 9)


@pytest.mark.django_db
def test_foreign_keys_are_chosen_by_typing():
    show, client = a_show(), staff(PROGRAMME)
    query = {"app_label": "cinema", "model_name": "show", "field_name": "movie", "term": show.movie.title}

    results = client.get(reverse("admin:autocomplete"), query).json()["results"]

    assert results == [{"id": str(show.movie_id), "text": show.movie.title}]
    assert "admin-autocomplete" in client.get(page("show_add")).content.decode()


@pytest.mark.django_db
def test_an_overlap_is_refused_at_the_start():
    show, client = a_show(), staff(PROGRAMME)

    response = client.post(page("show_add"), show_form(show, date_time=show.date_time + HOUR))

    assert errors(response) == {"date_time": [f"This overlaps the {show.told}, cleaning included."]}
    assert list(Show.objects.all()) == [show]


@pytest.mark.django_db(transaction=True)
def test_a_cut_below_a_sold_seat_is_refused_at_the_seats():
    show = a_booking(seats=(40,)).show

    response = staff(PROGRAMME).post(page("show_change", show.pk), show_form(show, total_seats=39))

    assert errors(response) == {"total_seats": ["Seat 40 is sold or held: 40 is the least."]}
    assert Show.objects.get().total_seats == 100


@pytest.mark.django_db
def test_a_film_that_gets_too_long_is_refused_at_the_duration():
    movie = a_movie(duration_minutes=100)
    show = a_show(movie=movie)
    a_show(movie=a_movie(), screen=show.screen, date_time=show.date_time + 2 * HOUR)

    response = staff(PROGRAMME).post(page("movie_change", movie.pk), {"title": movie.title, "duration_minutes": 110})

    assert list(errors(response)) == ["duration_minutes"]
    assert Movie.objects.get(pk=movie.pk).duration_minutes == 100


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["show", "movie", "screen", "user"])
def test_what_has_bookings_is_protected_and_the_page_says_by_what(name):
    booking, client = a_booking(), superuser()
    row = {"show": booking.show, "movie": booking.show.movie, "screen": booking.show.screen, "user": booking.user}[name]
    what = page("show_change", booking.show_id) if name == "screen" else page("booking_change", booking.pk)

    one = client.post(page(f"{name}_delete", row.pk), {"post": "yes"})
    several = act(client, name, "delete_selected", row, post="yes")

    for html in (one.content.decode(), several.content.decode()):
        assert "protected related objects" in html
        assert f'<a href="{what}">' in html
    row.refresh_from_db()
    assert Booking.objects.get() == booking


# Two clerks at once


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_add_shows_at_once_one_reads_why_not():
    show = a_show()
    drafts = [show_form(show, date_time=show.date_time + DAY, movie=a_movie().pk) for _ in range(2)]
    clerks = [staff(PROGRAMME) for _ in drafts]

    answers = race(*[lambda c=c, d=d: c.post(page("show_add"), d) for c, d in zip(clerks, drafts, strict=True)])

    refused, saved = sorted(answers, key=lambda answer: answer.status_code)
    assert saved.status_code == 302
    assert list(errors(refused)) == ["date_time"]
    assert Show.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_save_does_not_undo_what_another_writes_at_that_moment():
    show, clerk, written = a_show(), staff(PROGRAMME), threading.Event()

    def another():
        with transaction.atomic():
            Show.objects.select_for_update().filter(pk=show.pk).update(cancelled_at=timezone.now())
            written.set()
            time.sleep(0.3)  # the clerk's save is waiting by now

    def save():
        written.wait(10)
        return clerk.post(page("show_change", show.pk), show_form(show, total_seats=120))

    _, answer = race(another, save)

    assert answer.status_code == 302
    show.refresh_from_db()
    assert (show.total_seats, show.cancelled_at is not None) == (120, True)


@pytest.mark.skipif(on_sqlite, reason="SQLite has one writer at a time: nothing slips in behind a check")
@pytest.mark.django_db(transaction=True)
def test_what_slips_in_behind_the_forms_check_is_told_and_not_a_fault(monkeypatch):
    checked, clerks = threading.Barrier(2), [staff(PROGRAMME), staff(PROGRAMME)]
    monkeypatch.setattr(Movie, "validate_constraints", lambda *_, **__: checked.wait(10))  # after the unique check
    form = {"title": "Alraune", "duration_minutes": 108}

    answers = race(*[lambda c=c: c.post(page("movie_add"), form) for c in clerks])

    assert [answer.status_code for answer in answers] == [302, 302]
    told = [sentence for clerk in clerks for sentence in sentences(clerk.get(page("movie_add")))]
    assert sum("at the same moment, so nothing was saved" in sentence for sentence in told) == 1
    assert Movie.objects.count() == 1


# Bookings


@pytest.mark.django_db(transaction=True)
def test_the_list_of_bookings_shows_what_customers_read():
    booked = a_booking(seats=(9, 3))
    stale = make_stale(a_hold())

    response = staff(BOX_OFFICE).get(page("booking_changelist"))

    assert [(row.reference, row.reads_as) for row in rows(response)] == [
        (stale.reference, "expired"),
        (booked.reference, "booked"),
    ]
    html = response.content.decode()
    assert '<td class="field-seat_numbers">3, 9</td><td class="field-reads_as">booked</td>' in html
    assert f'<td class="field-movie">{booked.show.movie.title}</td>' in html


@pytest.mark.django_db(transaction=True)
def test_bookings_are_found_by_reference_customer_and_film():
    booking = a_booking(a_caller(a_customer("mia")), a_show(movie=a_movie(title="Alraune")))
    a_booking()
    client = staff(BOX_OFFICE)

    for typed in (booking.reference, booking.reference.lower(), "mia", "MIA@example.com", "alraune", "Alraune mia"):
        assert rows(client.get(page("booking_changelist"), {"q": typed})) == [booking], typed
    assert rows(client.get(page("booking_changelist"), {"q": "nothing like that"})) == []


@pytest.mark.django_db(transaction=True)
def test_bookings_are_filtered_by_status_and_by_the_day_of_the_show():
    noon = localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    booked, hold, stale = a_booking(), a_hold(), make_stale(a_hold())
    caller = a_caller()
    cancelled = a_booking(caller)
    bookings.cancel(caller, cancelled.pk)
    Show.objects.filter(pk=booked.show_id).update(date_time=noon)
    Show.objects.exclude(pk=booked.show_id).update(date_time=noon + DAY)
    client = staff(BOX_OFFICE)

    def found(**query) -> set[Booking]:
        return set(rows(client.get(page("booking_changelist"), query)))

    assert found(status="booked") == {booked}
    assert found(status="pending") == {hold}
    assert found(status="expired") == {stale}
    assert found(status="cancelled") == {cancelled}
    assert found(day="today") == {booked}
    assert found(day="tomorrow", status="pending") == {hold}


@pytest.mark.django_db(transaction=True)
def test_nobody_adds_edits_or_deletes_a_booking_by_hand():
    booking, client = a_booking(), superuser()

    assert client.get(page("booking_add")).status_code == 403
    assert client.post(page("booking_change", booking.pk), {"status": "cancelled"}).status_code == 403
    assert client.post(page("booking_delete", booking.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in client.get(page("booking_changelist")).content.decode()

    booking.refresh_from_db()
    assert (booking.status, booking.events.count()) == ("booked", 1)


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_booking_tells_its_history():
    booking, client = a_booking(seats=(5, 6)), staff(BOX_OFFICE)
    cancel(client, booking)

    html = client.get(page("booking_change", booking.pk)).content.decode()

    assert html.count('class="form-row has_original"') == 2
    assert booking.user.username in html
    assert client.user.username in html
    assert 'name="_save"' not in html


@pytest.mark.django_db(transaction=True)
def test_cancel_asks_first():
    booking = a_booking(seats=(5, 6))

    response = act(staff(BOX_OFFICE), "booking", "cancel", booking)

    assert f"{booking.reference}: {booking.user}" in response.content.decode()
    assert Booking.objects.get().status == "booked"
    assert LogEntry.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_cancel_gives_the_seats_back_owes_the_mail_and_names_the_clerk():
    booking, hold, client = a_booking(seats=(5, 6)), a_hold(), staff(BOX_OFFICE)

    response = cancel(client, booking, hold)

    assert sentences(response) == [f"Cancelled: {hold.reference}, {booking.reference}."]
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert not BookingSeat.objects.live().exists()
    events = BookingEvent.objects.filter(kind="cancelled").order_by("booking_id")
    assert [(event.booking, event.actor, event.mail_state) for event in events] == [
        (booking, client.user, "owed"),
        (hold, client.user, "none"),
    ]
    logged = LogEntry.objects.order_by("pk")
    assert [(row.user, row.object_id, row.get_change_message()) for row in logged] == [
        (client.user, str(hold.pk), "Cancelled."),
        (client.user, str(booking.pk), "Cancelled."),
    ]


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_cancelled_is_told_and_stops_none_of_the_others():
    started, stale, good = a_booking(), make_stale(a_hold()), a_booking()
    move_start(started.show, -HOUR)
    caller = a_caller()
    gone = a_booking(caller)
    bookings.cancel(caller, gone.pk)
    events = BookingEvent.objects.count()

    response = cancel(staff(BOX_OFFICE), started, stale, good, gone)

    assert sentences(response) == [
        f"{gone.reference}: it was cancelled before.",
        f"{stale.reference}: This hold has run out. Hold or book the seats again.",
        f"{started.reference}: The show has started, so its bookings can no longer be changed.",
        f"Cancelled: {good.reference}.",
    ]
    assert list(Booking.objects.order_by("pk").values_list("status", flat=True)) == [
        "booked",
        "pending",
        "cancelled",
        "cancelled",
    ]
    assert (BookingEvent.objects.count(), LogEntry.objects.count()) == (events + 1, 1)


@pytest.mark.django_db(transaction=True)
def test_who_may_only_look_cannot_cancel():
    booking, client = a_booking(), staff(["view_booking"])

    response = cancel(client, booking)

    assert "Cancel the selected bookings" not in response.content.decode()
    assert Booking.objects.get().status == "booked"


# Events and their mails


@pytest.mark.django_db(transaction=True)
def test_events_are_filtered_by_kind_and_mail_and_never_edited():
    a_hold()
    owed, sent, failed = (a_booking().events.get() for _ in range(3))
    BookingEvent.objects.filter(pk=sent.pk).update(mail_due_at=None, mail_sent_at=timezone.now())
    BookingEvent.objects.filter(pk=failed.pk).update(mail_due_at=None, mail_failed_at=timezone.now())
    client = superuser()

    def found(**query) -> list[BookingEvent]:
        return rows(client.get(page("bookingevent_changelist"), query))

    assert found(mail="owed") == [owed]
    assert found(mail="sent") == [sent]
    assert found(mail="failed") == [failed]
    assert found(kind__exact="booked") == [failed, sent, owed]
    assert client.post(page("bookingevent_change", owed.pk), {"kind": "held"}).status_code == 403
    assert client.post(page("bookingevent_delete", owed.pk), {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_failed_mail_is_sent_again_and_a_sent_one_is_not():
    failed, sent = (a_booking().events.get() for _ in range(2))
    BookingEvent.objects.filter(pk=failed.pk).update(mail_due_at=None, mail_failed_at=timezone.now(), mail_error="550")
    BookingEvent.objects.filter(pk=sent.pk).update(mail_due_at=None, mail_sent_at=timezone.now())

    response = act(staff(BOX_OFFICE), "bookingevent", "send_again", failed, sent)

    assert sentences(response) == ["Failed mails that will be sent again: 1."]
    assert [BookingEvent.objects.get(pk=event.pk).mail_state for event in (failed, sent)] == ["owed", "sent"]


@pytest.mark.django_db(transaction=True)
def test_who_may_only_look_sends_no_mail_again():
    event = a_booking().events.get()
    BookingEvent.objects.filter(pk=event.pk).update(mail_due_at=None, mail_failed_at=timezone.now())

    act(staff(["view_bookingevent", "view_booking"]), "bookingevent", "send_again", event)

    assert BookingEvent.objects.get().mail_state == "failed"


@pytest.mark.django_db
@pytest.mark.parametrize("start", ["0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31"])
def test_a_start_at_the_ends_of_the_calendar_is_refused_at_the_field(start):
    show, client = a_show(), superuser()

    answer = client.post(page("show_change", show.pk), show_form(show) | {"date_time_0": start})

    assert "The year must be from 1900 to 2999." in errors(answer)["date_time"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("chosen", ["a\0b", "9" * 23, "nonsense"])
def test_an_odd_choice_of_bookings_is_no_fault(chosen):
    booking, client = a_booking(), superuser()

    answer = client.post(page("booking_changelist"), {"action": "cancel_selected", "_selected_action": [chosen]})

    booking.refresh_from_db()
    assert answer.status_code < 500
    assert booking.status == "booked"


@pytest.mark.django_db(transaction=True)
def test_an_odd_word_to_look_for_is_no_fault():
    where = {"app_label": "cinema", "model_name": "show", "field_name": "movie"}

    answer = superuser().get(reverse("admin:autocomplete"), {"term": "a\0b"} | where)

    assert answer.status_code < 500
