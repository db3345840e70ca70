"""The SQL of a sale, a confirm, a cancel and a batch of the sweep, for PostgreSQL.

What several of them do is written once: the login, the show's columns, the event.
"""

# Every parameter is cast: the statement is prepared, and one that stands twice has no type of its
# own.
LOGIN = """WITH login AS (
  SELECT FROM cinema_authsession login JOIN cinema_user customer ON customer.id = login.user_id
  WHERE login.id = %(session)s::bigint AND login.user_id = %(user)s::bigint
    AND login.revoked_at IS NULL AND login.expires_at > statement_timestamp()
    AND customer.is_active
)"""
# What ShowSnapshot.read takes. Joined, PostgreSQL would build a hash table of all films and one of
# all screens.
SHOW_COLUMNS = """show.id, show.movie_id,
  (SELECT title FROM cinema_movie WHERE id = show.movie_id),
  (SELECT duration_minutes FROM cinema_movie WHERE id = show.movie_id),
  (SELECT name FROM cinema_screen WHERE id = show.screen_id),
  show.date_time, show.total_seats, show.cancelled_at"""
SHOW_ROW = "id, movie_id, screen_id, date_time, total_seats, cancelled_at"


def _insert_event(
    booking: str, *, kind: str, at: str, actor: str = "NULL", due: str = "NULL", request: str = "''"
) -> str:
    """Write the event of each row of the relation `booking`; the rest are expressions over it."""
    return f"""INSERT INTO cinema_bookingevent
    (booking_id, kind, at, actor_id, mail_due_at, mail_attempts, mail_error, request_id)
  SELECT id, {kind}, {at}, {actor}, {due}, 0, '', {request} FROM {booking}"""  # noqa: S608


SOLD = _insert_event(
    "booking",
    kind="%(kind)s::text",
    at="created_at",
    actor="%(user)s::bigint",
    due="CASE WHEN %(hold)s::int = 0 THEN created_at END",
    request="%(request)s::text",
)
SALE = f"""
{LOGIN}, show AS (
  SELECT {SHOW_ROW}, date_time <= statement_timestamp() AS started,
    %(highest)s::int > total_seats AS too_small
  FROM cinema_show WHERE id = %(show)s::bigint FOR KEY SHARE
), own AS (
  SELECT FROM cinema_booking
  WHERE show_id = %(show)s::bigint AND user_id = %(user)s::bigint AND holding
), in_the_way AS (
  SELECT seat_number, held_until, held_until <= statement_timestamp() AS stale
  FROM cinema_bookingseat
  WHERE show_id = %(show)s::bigint AND taken AND seat_number = ANY(%(seats)s::int[])
), booking AS (
  INSERT INTO cinema_booking
    (user_id, show_id, status, holding, reference, expires_at, created_at, updated_at)
  SELECT %(user)s::bigint, show.id, %(status)s::text, CASE WHEN %(hold)s::int > 0 THEN true END,
    %(reference)s::text,
    CASE WHEN %(hold)s::int > 0
      THEN least(statement_timestamp() + %(hold)s::int * interval '1 second', date_time) END,
    statement_timestamp(), statement_timestamp()
  FROM login, show
  WHERE cancelled_at IS NULL AND NOT started AND NOT too_small
    AND NOT EXISTS (SELECT FROM in_the_way)
    AND (%(hold)s::int = 0 OR NOT EXISTS (SELECT FROM own))
  RETURNING id, expires_at, created_at
), seats AS (
  INSERT INTO cinema_bookingseat (booking_id, show_id, seat_number, taken, held_until)
  SELECT booking.id, %(show)s::bigint, seat, true, expires_at
  FROM booking, unnest(%(seats)s::int[]) seat ORDER BY seat
), event AS (
  {SOLD}
)
SELECT EXISTS (SELECT FROM login), EXISTS (SELECT FROM own),
  ARRAY(SELECT seat_number FROM in_the_way ORDER BY 1),
  ARRAY(SELECT seat_number FROM in_the_way WHERE held_until IS NULL),
  coalesce((SELECT bool_or(stale) FROM in_the_way), false), show.started, show.too_small,
  booking.id, booking.expires_at, booking.created_at,
  {SHOW_COLUMNS}
FROM (SELECT) one LEFT JOIN show ON true LEFT JOIN booking ON true
"""  # noqa: S608 - our own words


def _change(*, status: str, may_change: str, seats: str, owes_mail: str, more: str = "") -> str:
    """Return the statement that gives a booking another status, as a compare-and-set.

    A row that another changes meanwhile is looked at again when it is free, and then its status is
    not the one that was found. The show before the booking, as in every step by step. Its time is
    that of its beginning: a hold that runs out while it waits for a row, a second at most, is still
    confirmed if nobody else was first.
    """
    event = _insert_event(
        "booking",
        kind="status",
        at="updated_at",
        actor="%(user)s::bigint",
        due=f"CASE WHEN {owes_mail} THEN updated_at END",
        request="%(request)s::text",
    )
    return f"""
{LOGIN}, found AS (
  SELECT id, show_id, status FROM cinema_booking
  WHERE id = %(booking)s::bigint AND user_id = %(user)s::bigint
), show AS (
  SELECT {SHOW_ROW} FROM cinema_show WHERE id = (SELECT show_id FROM found) FOR KEY SHARE
), booking AS (
  UPDATE cinema_booking
  SET status = {status}, holding = NULL, updated_at = statement_timestamp(){more}
  FROM login, found, show
  WHERE cinema_booking.id = found.id AND cinema_booking.status = found.status AND {may_change}
    AND show.date_time > statement_timestamp()
  RETURNING cinema_booking.*, found.status AS was
), seats AS (
  UPDATE cinema_bookingseat SET {seats} FROM booking
  WHERE booking_id = booking.id RETURNING seat_number
), event AS (
  {event}
)
SELECT booking.id, booking.reference, booking.status, booking.expires_at, booking.created_at,
  booking.updated_at, booking.updated_at, ARRAY(SELECT seat_number FROM seats ORDER BY 1),
  {SHOW_COLUMNS}
FROM booking, show
"""  # noqa: S608 - our own words


HELD = "cinema_booking.status = 'pending' AND cinema_booking.expires_at > statement_timestamp()"
CONFIRM = _change(
    status="'booked'",
    may_change=f"{HELD} AND show.cancelled_at IS NULL",
    seats="held_until = NULL",
    owes_mail="true",
    more=", expires_at = NULL",
)
CANCEL = _change(
    status="'cancelled'",
    may_change=f"(cinema_booking.status = 'booked' OR {HELD})",
    seats="taken = NULL",
    owes_mail="was = 'booked'",
)

# Rows that somebody else has locked are being confirmed, cancelled or taken over at this moment.
# Its commit does not wait for the disk: holds whose expiry a crash forgets are stale as before, and
# the next sweep finds them.
EXPIRED = _insert_event("expired", kind="'expired'", at="statement_timestamp()")
EXPIRY = f"""
WITH stale AS (
  SELECT id FROM cinema_booking WHERE holding AND expires_at <= statement_timestamp()
  ORDER BY expires_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
), expired AS (
  UPDATE cinema_booking SET status = 'expired', holding = NULL, updated_at = statement_timestamp()
  FROM stale WHERE cinema_booking.id = stale.id RETURNING stale.id
), seats AS (
  UPDATE cinema_bookingseat SET taken = NULL FROM expired WHERE booking_id = expired.id
), event AS (
  {EXPIRED}
)
SELECT coalesce(array_agg(id), '{{}}'), set_config('synchronous_commit', 'off', true) FROM expired
"""  # noqa: S608 - our own words
