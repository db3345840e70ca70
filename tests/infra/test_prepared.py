"""Statements that are asked without a cursor: what a connection forgets, loses and refuses."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from cinema.infra.database import prepared
from cinema.infra.database.errors import is_lock_timeout
from tests.support.factories import a_show

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="PostgreSQL's own way, and run there"
    ),
]
DOUBLE = "SELECT 2 * %(number)s::int"


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def known() -> set[str]:
    return {name for (name,) in prepared.rows("SELECT name FROM pg_prepared_statements", {})}


def test_every_type_comes_as_a_cursor_brings_it():
    sql = """SELECT %(text)s::text, %(text)s::varchar, %(number)s::bigint, %(number)s::smallint, %(truth)s::bool,
        %(seats)s::int[], '{}'::int[], %(nothing)s::int, %(time)s::timestamptz"""
    time = datetime(2026, 12, 24, 20, 15, 0, 120000, UTC)
    values = {
        "text": "Amélie {1,2} %s",
        "number": 7,
        "truth": True,
        "seats": [3, 1],
        "nothing": None,
        "time": time,
    }

    with CaptureQueriesContext(connection) as asked:
        by_cursor = prepared.rows(sql, values)
    (row,) = prepared.rows(sql, values)

    assert len(asked) == 1
    assert by_cursor == [row]
    assert row == [*["Amélie {1,2} %s"] * 2, 7, 7, True, [3, 1], [], None, time]


def test_it_is_prepared_once_and_again_where_it_was_forgotten():
    before = known()
    assert prepared.rows(DOUBLE, {"number": 4}) == [[8]]
    (name,) = known() - before

    execute("DEALLOCATE ALL")  # as psycopg does behind a ROLLBACK
    assert name not in known()

    assert prepared.rows(DOUBLE, {"number": 5}) == [[10]]
    assert name in known()


def test_in_a_transaction_a_forgotten_statement_does_not_end_it():
    prepared.rows(DOUBLE, {"number": 4})
    with transaction.atomic():
        execute("DEALLOCATE ALL")

        assert prepared.rows(DOUBLE, {"number": 4}) == [[8]]

        execute("SELECT 1")  # it goes on


def test_a_lost_connection_is_told_as_any_other_and_the_next_call_has_a_new_one():
    ((process,),) = prepared.rows("SELECT pg_backend_pid()", {})
    with pytest.raises(OperationalError):
        prepared.rows("SELECT pg_terminate_backend(%(process)s::int)", {"process": process})
    with pytest.raises(OperationalError):
        prepared.rows(DOUBLE, {"number": 4})

    connection.close_if_unusable_or_obsolete()  # as at the start of every request

    assert prepared.rows(DOUBLE, {"number": 4}) == [[8]]


def test_what_the_database_refuses_has_the_kind_that_a_cursor_gives_it():
    show = a_show()
    twice = "INSERT INTO cinema_movie SELECT * FROM cinema_movie WHERE id = %(movie)s::bigint RETURNING id"

    with pytest.raises(IntegrityError):
        prepared.rows(twice, {"movie": show.movie_id})
    with pytest.raises(DataError):
        prepared.rows("SELECT 1 / %(number)s::int", {"number": 0})


def test_a_lock_time_out_is_known_as_one(from_elsewhere):
    show = a_show()
    from_elsewhere(f"BEGIN; SELECT 1 FROM cinema_show WHERE id = {show.pk} FOR UPDATE")

    with pytest.raises(OperationalError) as told:
        prepared.rows(
            "SELECT id FROM cinema_show WHERE id = %(show)s::bigint FOR KEY SHARE",
            {"show": show.pk},
        )

    assert is_lock_timeout(told.value)


@pytest.fixture
def from_elsewhere():
    """Statements over a connection of its own."""
    other = connection.copy()
    other.inc_thread_sharing()

    def execute_there(sql: str) -> None:
        with other.cursor() as cursor:
            for statement in sql.split(";"):
                cursor.execute(statement)

    yield execute_there
    other.close()
