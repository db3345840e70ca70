"""What goes past a library on the hot path gives what the library gives, and leans on what it has."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django_redis import get_redis_connection
from redis.connection import Connection

from cinema.infra import redis
from cinema.infra.database.compiled import SLOT, Compiled
from cinema.programme.models import Show
from cinema.sales import snapshots
from cinema.seat_map import availability
from tests.support.factories import a_booking, a_caller, a_customer, a_hold, a_show


@pytest.fixture
def sold():
    """A show with a sold and a held seat, beside one that no answer may name."""
    user, show, other = a_customer(), a_show(), a_show()
    a_booking(a_caller(user), show, (1, 2))
    a_hold(a_caller(user), show, (5,))
    a_booking(a_caller(), other, (7,))
    return {"user": user.pk, "show": show.pk, "movie": show.movie_id}


KEPT = [
    pytest.param(snapshots.NEWEST, "user", id="my bookings"),
    pytest.param(availability.UPCOMING, "movie", id="the shows of a film"),
    pytest.param(availability.ONE_SHOW, "show", id="a show"),
    pytest.param(availability.SEATS, "show", id="its seats"),
]


NOW = snapshots.COLUMNS.index("now")  # the database's clock, which goes on between two questions


def of_django(query: Compiled, value: int) -> list[list]:
    return [list(row) for row in query.build(value)]


def at_rest(query: Compiled, rows: list[list]) -> list[str]:
    if query is snapshots.NEWEST:
        rows = [row[:NOW] + row[NOW + 1 :] for row in rows]
    return sorted(map(repr, rows))  # the seats come in no order


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("query", "owner"), KEPT)
def test_sql_that_is_kept_answers_as_django_does(sold, query, owner):
    found = query.rows(sold[owner])

    assert found
    assert at_rest(query, found) == at_rest(query, of_django(query, sold[owner]))
    assert query.rows(0) == of_django(query, 0) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("query", "owner"), KEPT)
def test_the_slot_is_one_parameter_and_no_part_of_the_text(query, owner):
    """Were Django to write an id into the SQL, every caller would read the first one's rows."""
    sql, params, _ = query._written

    assert params.count(SLOT) == 1
    assert str(SLOT) not in sql


@pytest.mark.django_db(transaction=True)
def test_a_value_that_django_converts_is_converted(sold):
    """A column that each database keeps in its own way: SQLite and MariaDB without a zone."""
    query = Compiled(lambda pk: Show.objects.filter(pk=pk).values_list("date_time", "total_seats"))

    assert query.rows(sold["show"]) == of_django(query, sold["show"])


def test_a_connection_of_the_pool_has_what_is_asked_of_it():
    pool = get_redis_connection("default").connection_pool
    assert issubclass(pool.connection_class, Connection)
    assert callable(Connection.send_packed_command)
    assert callable(Connection.read_response)
    assert {"host", "port"} <= set(pool.connection_kwargs)
    assert pool.connection_kwargs["socket_timeout"] == redis._connection().socket_timeout


WORDS = [("GET", "a"), ("SET", "ä €", 7), ("EVAL", b"\x00\r\n", 0, ""), ("MGET", *"abc")]


@pytest.mark.parametrize("words", WORDS)
def test_a_command_is_packed_as_the_client_packs_it(words):
    assert redis._pack(*words) == b"".join(Connection().pack_command(*words))


def test_a_command_is_answered_as_the_client_is_answered():
    client = get_redis_connection("default")
    redis.call("SET", "bypass", "ä", "EX", 60)

    assert client.get("bypass") == redis.call("GET", "bypass") == "ä".encode()
    assert redis.call("GET", "nothing") is client.get("nothing") is None


COUNT = """
import os

from cinema.infra import metrics

metrics.MAILS.labels("booked", "sent").inc()
child = os.fork()
if not child:
    metrics.MAILS.labels("booked", "sent").inc()
    os._exit(0)
os.waitpid(child, 0)
print(os.getpid(), child)
"""


def test_a_forked_process_counts_into_a_file_of_its_own(tmp_path):
    """Into one file, two processes would overwrite each other's counts."""
    variables = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        cwd=settings.BASE_DIR,
        env=variables,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    files = {path.name for path in tmp_path.glob("counter_*.db")}
    assert files == {f"counter_{pid}.db" for pid in done.stdout.split()}
