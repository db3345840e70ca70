"""What is done most, in one statement each, on PostgreSQL: a sale, a confirm, a cancel, and a batch
of the sweep.

The sale makes 2.5 times the bookings of the same steps one by one. It reads who (live login, active
user), the show (FOR KEY SHARE: its edits wait) and the seats that are in the way, and inserts
booking, seats and event only if nothing forbids it. Its one row tells the booking, or why there is
none, so a refusal costs no second query. What it finds in the way and cannot judge (a stale hold to
take over, the customer's own hold) and a true race, which the unique constraint undoes whole, are
left to the steps one by one. So is whatever a confirm or a cancel does not find as it should be.
"""

from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.transaction import TransactionManagementError

from cinema.errors import (
    NotFound,
    SeatOutOfRange,
    SeatTaken,
    ShowCancelled,
    ShowStarted,
    TokenInvalid,
)
from cinema.infra import logs
from cinema.infra.database import prepared
from cinema.infra.database.prepared import serves
from cinema.people import logins
from cinema.people.logins import Caller
from cinema.sales import snapshots, telemetry
from cinema.sales.models import Booking, BookingEvent, new_reference

__all__ = ["cancel", "confirm", "expire_stale", "serves", "take"]

# Every parameter is cast: the statement is prepared, and one that stands twice has no type of its
# own.
LOGIN = """WITH login AS (
  SELECT FROM cinema_authsession login JOIN cinema_user customer ON customer.id = login.user_id
  WHERE login.id = %(session)s::bigint AND login.user_id = %(user)s::bigint AND login.revoked_at IS NULL
    AND login.expires_at > statement_timestamp() AND customer.is_active
)"""
# What `answers.show_of` wants. Joined, PostgreSQL would build a hash table of all films and one of
# all screens.
TOLD = """show.id, show.movie_id, (SELECT title FROM cinema_movie WHERE id = show.movie_id),
  (SELECT duration_minutes FROM cinema_movie WHERE id = show.movie_id),
  (SELECT name FROM cinema_screen WHERE id = show.screen_id), show.date_time, show.total_seats, show.cancelled_at"""
SALE = f"""
{LOGIN}, show AS (
  SELECT id, movie_id, screen_id, date_time, total_seats, cancelled_at,
    date_time <= statement_timestamp() AS started, %(highest)s::int > total_seats AS too_small
  FROM cinema_show WHERE id = %(show)s::bigint FOR KEY SHARE
), own AS (
  SELECT FROM cinema_booking
  WHERE show_id = %(show)s::bigint AND user_id = %(user)s::bigint AND holding
), in_the_way AS (
  SELECT seat_number, held_until, held_until <= statement_timestamp() AS stale FROM cinema_bookingseat
  WHERE show_id = %(show)s::bigint AND taken AND seat_number = ANY(%(seats)s::int[])
), booking AS (
  INSERT INTO cinema_booking (user_id, show_id, status, holding, reference, expires_at, created_at, updated_at)
  SELECT %(user)s::bigint, show.id, %(status)s::text, CASE WHEN %(hold)s::int > 0 THEN true END, %(reference)s::text,
    CASE WHEN %(hold)s::int > 0 THEN least(statement_timestamp() + %(hold)s::int * interval '1 second', date_time) END,
    statement_timestamp(), statement_timestamp()
  FROM login, show
  WHERE cancelled_at IS NULL AND NOT started AND NOT too_small
    AND NOT EXISTS (SELECT FROM in_the_way) AND (%(hold)s::int = 0 OR NOT EXISTS (SELECT FROM own))
  RETURNING id, expires_at, created_at
), seats AS (
  INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken, held_until)
  SELECT booking.id, %(show)s::bigint, seat, true, expires_at FROM booking, unnest(%(seats)s::int[]) seat ORDER BY seat
), event AS (
  INSERT INTO cinema_bookingevent (booking_id, kind, at, actor_id, mail_due_at, mail_attempts, mail_error, request_id)
  SELECT id, %(kind)s::text, created_at, %(user)s::bigint, CASE WHEN %(hold)s::int = 0 THEN created_at END, 0, '',
    %(request)s::text
  FROM booking
)
SELECT EXISTS (SELECT FROM login), EXISTS (SELECT FROM own), ARRAY(SELECT seat_number FROM in_the_way ORDER BY 1),
  ARRAY(SELECT seat_number FROM in_the_way WHERE held_until IS NULL),
  coalesce((SELECT bool_or(stale) FROM in_the_way), false), show.started, show.too_small,
  booking.id, booking.expires_at, booking.created_at,
  {TOLD}
FROM (SELECT) one LEFT JOIN show ON true LEFT JOIN booking ON true
"""  # noqa: S608 - our own words

# A compare-and-set: a row that another changes meanwhile is looked at again when it is free, and
# then its status is not the one that was found. The show before the booking, as in every step by
# step. Its time is that of its beginning: a hold that runs out while it waits for a row, a second
# at most, is still confirmed if nobody else was first.
CHANGE = """
{login}, found AS (
  SELECT id, show_id, status FROM cinema_booking WHERE id = %(booking)s::bigint AND user_id = %(user)s::bigint
), show AS (
  SELECT id, movie_id, screen_id, date_time, total_seats, cancelled_at FROM cinema_show
  WHERE id = (SELECT show_id FROM found) FOR KEY SHARE
), booking AS (
  UPDATE cinema_booking SET status = {status}, holding = NULL, updated_at = statement_timestamp(){and_sets}
  FROM login, found, show
  WHERE cinema_booking.id = found.id AND cinema_booking.status = found.status AND {may_change}
    AND show.date_time > statement_timestamp()
  RETURNING cinema_booking.*, found.status AS was
), seats AS (
  UPDATE cinema_bookingseat SET {of_seats} FROM booking WHERE booking_id = booking.id RETURNING seat_number
), event AS (
  INSERT INTO cinema_bookingevent (booking_id, kind, at, actor_id, mail_due_at, mail_attempts, mail_error, request_id)
  SELECT id, status, updated_at, %(user)s::bigint, CASE WHEN {owes_mail} THEN updated_at END, 0, '', %(request)s::text
  FROM booking
)
SELECT booking.reference, ARRAY(SELECT seat_number FROM seats ORDER BY 1), booking.status, booking.expires_at,
  booking.created_at, booking.updated_at,
  {told}
FROM booking, show
"""
HELD = "cinema_booking.status = 'pending' AND cinema_booking.expires_at > statement_timestamp()"
CONFIRM = CHANGE.format(
    login=LOGIN,
    told=TOLD,
    status="'booked'",
    and_sets=", expires_at = NULL",
    may_change=f"{HELD} AND show.cancelled_at IS NULL",
    of_seats="held_until = NULL",
    owes_mail="true",
)
CANCEL = CHANGE.format(
    login=LOGIN,
    told=TOLD,
    status="'cancelled'",
    and_sets="",
    may_change=f"(cinema_booking.status = 'booked' OR {HELD})",
    of_seats="taken = NULL",
    owes_mail="was = 'booked'",
)

# Rows that somebody else has locked are being confirmed, cancelled or taken over at this moment.
# Its commit does not wait for the disk: holds whose expiry a crash forgets are stale as before, and
# the next sweep finds them.
EXPIRY = """
WITH stale AS (
  SELECT id FROM cinema_booking WHERE holding AND expires_at <= statement_timestamp()
  ORDER BY expires_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
), expired AS (
  UPDATE cinema_booking SET status = 'expired', holding = NULL, updated_at = statement_timestamp()
  FROM stale WHERE cinema_booking.id = stale.id RETURNING stale.id
), seats AS (
  UPDATE cinema_bookingseat SET taken = NULL FROM expired WHERE booking_id = expired.id
), event AS (
  INSERT INTO cinema_bookingevent (booking_id, kind, at, mail_attempts, mail_error)
  SELECT id, 'expired', statement_timestamp(), 0, '' FROM expired
)
SELECT coalesce(array_agg(id), '{}'), set_config('synchronous_commit', 'off', true) FROM expired
"""


class Found(NamedTuple):
    """What the statement tells before the columns of the booking and the show."""

    login: bool
    own_hold: bool
    in_the_way: list[int]
    sold: list[int]
    stale: bool
    started: bool
    too_small: bool


def take(
    caller: Caller, show_id: int, seats: list[int], status: Booking.Status
) -> snapshots.Answer | None:
    """The new booking, or None if it takes the steps one by one. `seats` are sorted. Raises what
    `bookings.book` does.

    One autocommitted statement: a transaction around it would keep the rows it locks beyond the
    seat lock.
    """
    _require_no_transaction()
    reference, pending = new_reference(), status is Booking.Status.PENDING
    values = {
        "session": caller.session_id,
        "user": caller.user_id,
        "show": show_id,
        "seats": seats,
        "highest": seats[-1],
        "status": status.value,
        "kind": BookingEvent.Kind.HELD.value if pending else BookingEvent.Kind.BOOKED.value,
        "hold": settings.HOLD_SECONDS if pending else 0,
        "reference": reference,
        "request": logs.request_id(),
    }
    try:
        (row,) = prepared.rows(SALE, values)
    except IntegrityError:
        return None  # somebody was faster by a hair: look again
    found, (booking_id, expires_at, created_at), show = Found(*row[:7]), row[7:10], row[10:]
    if booking_id is None:
        _refuse(found, caller, seats, show)
        return None
    told = snapshots.show_of(*show)
    times = (expires_at, created_at, created_at, created_at)
    return snapshots.booking_of(booking_id, reference, told, seats, status.value, *times)


def confirm(caller: Caller, booking_id: int) -> snapshots.Answer | None:
    """The hold, booked; or None, and the steps one by one find out why not."""
    return _changed(CONFIRM, caller, booking_id)


def cancel(caller: Caller, booking_id: int) -> snapshots.Answer | None:
    """The booking, cancelled; or None, and the steps one by one find out why not."""
    return _changed(CANCEL, caller, booking_id)


def expire_stale(limit: int) -> int:
    """How many stale holds, up to `limit`, gave back their seats."""
    _require_no_transaction()
    with connection.cursor() as cursor:
        cursor.execute(EXPIRY, {"limit": limit})
        ids: list[int] = cursor.fetchone()[0]
    telemetry.expired(ids)
    return len(ids)


def _changed(statement: str, caller: Caller, booking_id: int) -> snapshots.Answer | None:
    _require_no_transaction()
    who = {"session": caller.session_id, "user": caller.user_id}
    rows = prepared.rows(statement, who | {"booking": booking_id, "request": logs.request_id()})
    if not rows:
        return None
    reference, seats, status, expires_at, created_at, now = rows[0][:6]
    show = snapshots.show_of(*rows[0][6:])
    return snapshots.booking_of(
        booking_id, reference, show, seats, status, expires_at, created_at, now, now
    )


def _require_no_transaction() -> None:
    if connection.in_atomic_block:
        raise TransactionManagementError("This statement is its own transaction.")


def _refuse(found: Found, caller: Caller, seats: list[int], show: list[Any]) -> None:
    """Raise what forbids the sale, in the order of the steps one by one, if no more than this row
    is needed to know.
    """
    show_id, *_, total_seats, cancelled_at = show
    if not found.login:
        raise TokenInvalid
    logins.saw_live(caller)
    if show_id is None:
        raise NotFound
    if cancelled_at:
        raise ShowCancelled
    if found.started:
        raise ShowStarted
    if found.too_small:
        raise SeatOutOfRange.of([seat for seat in seats if seat > total_seats], total_seats)
    if found.in_the_way and not found.own_hold and not found.stale:
        raise SeatTaken.of(found.in_the_way, found.sold)
