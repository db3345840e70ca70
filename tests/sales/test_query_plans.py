"""What is asked all day reads what it tells and not the history, however long that is: the plans of
PostgreSQL.
"""

import json
from contextlib import contextmanager

import pytest
from django.db import connection

from cinema.infra.monitoring import health
from cinema.notifications import deliveries
from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales import bookings, idempotency, one_statement, show_cancelling
from cinema.sales.idempotency import Key
from cinema.sales.models import Booking
from cinema.staff import dashboard, search
from project.serving import metrics as project_metrics
from tests.conftest import Api
from tests.support.factories import a_caller, a_clerk
from tests.support.staff import page, superuser

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="only PostgreSQL tells its plans in this form"
    ),
]

# 200 000 bookings of 2 000 customers, with a seat and an event each: most past, every tenth of a
# show to come, one in a hundred a stale hold, and the mail of every hundredth still owed. The shows
# are an hour apart, and a booking was made every five minutes.
HISTORY = """
INSERT INTO cinema_user (username, email, password, first_name, last_name, is_active, is_staff, is_superuser,
    date_joined)
  SELECT 'past' || n, 'past' || n || '@example.com', '', '', '', true, false, false, now()
  FROM generate_series(0, 1999) n;
INSERT INTO cinema_authsession (user_id, refresh_jti, created_at, expires_at)
  SELECT id, '', now(), now() + interval '7 days' FROM cinema_user, generate_series(1, 10);
INSERT INTO cinema_movie (title, duration_minutes, updated_at)
  SELECT 'Past ' || n, 100, now() FROM generate_series(0, 99) n;
INSERT INTO cinema_screen (name) SELECT 'Past ' || n FROM generate_series(0, 9) n;
INSERT INTO cinema_show (movie_id, screen_id, date_time, total_seats, updated_at)
  SELECT (SELECT min(id) FROM cinema_movie) + n % 100, (SELECT min(id) FROM cinema_screen) + n % 10,
    now() + (n - 1800) * interval '1 hour', 200, now()
  FROM generate_series(0, 1999) n;
INSERT INTO cinema_booking (user_id, show_id, status, holding, reference, expires_at, created_at)
  SELECT (SELECT min(id) FROM cinema_user) + n % 2000, (SELECT min(id) FROM cinema_show) + n / 100,
    CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'booked' END, CASE WHEN n % 100 = 0 THEN true END, n,
    CASE WHEN n % 100 = 0 THEN now() - interval '1 minute' END, now() - (200000 - n) * interval '5 minutes'
  FROM generate_series(0, 199999) n;
SELECT brin_summarize_new_values('booking_made');
INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken, held_until)
  SELECT id, show_id, 1 + reference::int % 100, true, expires_at FROM cinema_booking;
INSERT INTO cinema_bookingevent (booking_id, kind, mail_attempts, mail_error, mail_due_at)
  SELECT id, CASE WHEN holding THEN 'held' ELSE 'booked' END, 0, '',
    CASE WHEN id % 100 = 2 THEN now() - interval '1 second' END
  FROM cinema_booking;
INSERT INTO cinema_idempotencykey (user_id, key_sha256, fingerprint, status, body, created_at)
  SELECT id, n, '', 200, '{}', now() - n * interval '15 minutes' FROM cinema_user, generate_series(1, 97) n
  WHERE id % 10 = 0;
ANALYZE
"""
EVERYTHING = "TRUNCATE cinema_user, cinema_movie, cinema_screen CASCADE"
BIG = {
    f"cinema_{name}"
    for name in ("booking", "bookingseat", "bookingevent", "idempotencykey", "authsession")
}
# hold nothing but what is to be done
OF_WORK = {
    "booking_stale",
    "bookingevent_owed",
    "bookingevent_failed",
}


@pytest.fixture(scope="module", autouse=True)
def history(django_db_setup, django_db_blocker):
    """Loaded once: every test is rolled back behind it."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for statement in HISTORY.split(";"):
            cursor.execute(statement)
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(EVERYTHING)


@pytest.fixture(autouse=True)
def rolled_back(monkeypatch):
    """The sweep refuses to run inside a transaction, which every test here is."""
    monkeypatch.setattr(one_statement, "_require_no_transaction", lambda: None)


@pytest.fixture
def caller():
    return a_caller(User.objects.get(username="past7"))


@pytest.fixture
def show():
    """To come, and half sold."""
    return Show.objects.upcoming().order_by("date_time")[5]


@contextmanager
def statements():
    """Every statement of the block that reads or writes rows, with its parameters."""
    told = []

    def tell(execute, sql, params, many, context):
        if sql.split(maxsplit=1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            told.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(tell):
        yield told
    assert told


def read_whole(sql: str, params) -> list[str]:
    """The big tables that this statement reads from end to end, in the table or along an index."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (answer,) = cursor.fetchone()
    (plan,) = json.loads(answer) if isinstance(answer, str) else answer
    return [node["Relation Name"] for node in nodes(plan["Plan"]) if is_whole(node)]


def nodes(plan: dict):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def is_whole(node: dict) -> bool:
    if node.get("Relation Name") not in BIG:
        return False
    if node["Node Type"] == "Seq Scan":
        return True
    is_index_scan = node["Node Type"] in {"Index Scan", "Index Only Scan"}
    return is_index_scan and "Index Cond" not in node and node["Index Name"] not in OF_WORK


def all_read_whole(told) -> dict[str, list[str]]:
    return {sql[:300]: tables for sql, params in told if (tables := read_whole(sql, params))}


def test_the_sweep_of_stale_holds():
    with statements() as told:
        assert bookings.expire_stale(1000) == 1000

    assert all_read_whole(told) == {}


def test_the_sweep_of_owed_mail():
    with statements() as told:
        assert len(deliveries.queue_due(500)) == 500

    assert all_read_whole(told) == {}


def test_what_a_mail_waits_for_is_looked_up_by_its_booking():
    """Begun with all that is owed, a full hall's mails would each read those of all others: 6 s for
    2 500.
    """
    with statements() as told, connection.cursor() as cursor:
        deliveries.queue_due(500)
        ((sweep, params),) = [
            one for one in told if "mailed_with_id" in one[0] and '"mail_attempts"' in one[0]
        ]
        cursor.execute(f"EXPLAIN {sweep}", params)
        plan = "".join(row[0] for row in cursor.fetchall())

    assert plan.count("using bookingevent_owed") == 1, plan


def test_the_sweep_of_cancelled_shows(show):
    clerk = a_clerk()
    with statements() as told:
        bookings.cancel_show(clerk, show.pk)
        assert bookings.cancel_bookings_of_cancelled_shows(3) == 3
        assert show_cancelling.customers_left(1) != []

    assert all_read_whole(told) == {}
    assert Show.objects.get(pk=show.pk).progress == (3, 99)


def test_the_claim_of_a_mail(mailoutbox):
    due = deliveries.queue_due(1)[0]
    with statements() as told:
        deliveries.deliver(*due)

    assert len(mailoutbox) == 1
    assert all_read_whole(told) == {}


def test_health_and_metrics():
    with statements() as told:
        health.parts()
        project_metrics._collect_database()

    assert len(told) > 8
    assert all_read_whole(told) == {}


@pytest.mark.parametrize(
    "path", ["/api/shows/{show}/seats/", "/api/shows/{show}/", "/api/movies/{movie}/shows/"]
)
def test_what_is_on(show, path):
    with statements() as told:
        response = Api().get(path.format(show=show.pk, movie=show.movie_id))

    assert response.status_code == 200
    assert all_read_whole(told) == {}


@pytest.mark.parametrize(
    "question", ["", "?status=expired", "?status=pending", "?upcoming=true", "?limit=100&offset=50"]
)
def test_a_page_of_ones_own_bookings(caller, question):
    with statements() as told:
        response = Api(caller).get(f"/api/my-bookings/{question}")

    assert response.status_code == 200
    assert all_read_whole(told) == {}


def test_one_booking(caller):
    booking = Booking.objects.filter(user=caller.user_id).first()
    with statements() as told:
        response = Api(caller).get(f"/api/bookings/{booking.pk}/")

    assert response.status_code == 200
    assert all_read_whole(told) == {}


def sale(caller, show) -> dict:
    return {
        "session": caller.session_id,
        "user": caller.user_id,
        "show": show.pk,
        "seats": [150, 151],
        "highest": 151,
        "status": "pending",
        "kind": "held",
        "hold": 600,
        "reference": "0",
        "request": "",
    }


def test_a_sale_in_one_statement(caller, show):
    assert read_whole(one_statement.SALE, sale(caller, show)) == []


def test_a_sale_step_by_step_with_a_key_and_what_follows_it(caller, show):
    key = Key("a" * 64, "b" * 64)
    with statements() as told:
        hold = bookings.hold(caller, show.pk, [150, 151], key)
        assert bookings.hold(caller, show.pk, [150, 151], key).booking.id == hold.booking.id
        bookings.confirm(caller, hold.booking.id, Key("c" * 64, "d" * 64))
        bookings.cancel(caller, hold.booking.id, Key("e" * 64, "f" * 64))

    assert all_read_whole(told) == {}


@pytest.mark.parametrize("statement", ["CONFIRM", "CANCEL"])
def test_a_confirm_and_a_cancel_in_one_statement(caller, show, statement):
    hold = bookings.hold(caller, show.pk, [150, 151], Key("a" * 64, "b" * 64))
    who = {
        "session": caller.session_id,
        "user": caller.user_id,
        "booking": hold.booking.id,
        "request": "",
    }

    assert read_whole(getattr(one_statement, statement), who) == []


def test_a_takeover_of_a_stale_hold(caller, show):
    stale = Booking.objects.stale().filter(show=show).get()
    with statements() as told:
        bookings.book(caller, show.pk, stale.seat_numbers, Key("a" * 64, "b" * 64))

    stale.refresh_from_db()
    assert stale.status == "expired"
    assert all_read_whole(told) == {}


def test_the_purge_of_old_keys():
    with statements() as told:
        assert idempotency.purge() > 0

    assert all_read_whole(told) == {}


@pytest.mark.parametrize(
    ("index", "act"),
    [
        ("booking_stale, booking_one_hold", lambda: bookings.expire_stale(1000)),
        (
            "booking_stale, booking_one_hold",
            lambda: list(Booking.objects.with_status("pending")[:100]),
        ),
        ("bookingevent_owed", lambda: deliveries.queue_due(500)),
        (
            "booking_of_user",
            lambda: list(Booking.objects.filter(user=User.objects.first()).order_by("-id")[:50]),
        ),
    ],
)
def test_control_without_its_index_it_reads_all(index, act):
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {index}")
    with statements() as told:
        act()

    assert all_read_whole(told)


STAFF = ["tonight", "cancelling", "sales", "mails"]


@pytest.mark.parametrize("part", STAFF)
def test_the_front_page_of_the_staff(part):
    with statements() as told:
        getattr(dashboard, part)()

    assert all_read_whole(told) == {}


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize(
    "typed", ["77777", "past777", "past77@example.com", "past777 past77", "nobody"]
)
def test_what_a_clerk_looks_for(typed, sees):
    with statements() as told:
        list(Booking.objects.filter(search.bookings(typed, sees=sees)).order_by("-id")[:100])

    assert all_read_whole(told) == {}


def test_the_list_of_holds():
    """Those of another status are read from the newest on, until a page is full."""
    client = superuser()
    with statements() as told:
        client.get(page("booking_changelist"), {"status": "pending"})

    assert sum('"cinema_booking"' in sql for sql, _ in told) == 2  # counted, and shown
    assert all_read_whole(told) == {}


def test_control_without_its_index_the_front_page_reads_all():
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX booking_made")
    with statements() as told:
        dashboard.sales()

    assert all_read_whole(told)
