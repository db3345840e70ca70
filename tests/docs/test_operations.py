"""docs/operations.md: what it lets an operator ask of a database is answered, and finds what is
wrong there.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.db import connection

from cinema.sales.models import Booking, BookingEvent, BookingSeat
from tests.support.factories import a_booking, a_caller, a_hold, a_show
from tests.support.real_programs import environment

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the page restores a PostgreSQL"),
]
DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PROMISES = (DOCS / "operations.md").read_text(), DOCS / "ops" / "promises.sql"


@pytest.fixture
def booking() -> Booking:
    show = a_show()
    a_hold(a_caller(), show, (4,))
    return a_booking(a_caller(), show, (5, 6))


def commands() -> list[str]:
    """What the page asks of a running database in one line."""
    return re.findall(r"""`(psql "\$DATABASE_URL" -x?c (?:"[^"]+"|'[^']+'))`""", PAGE)


def test_the_page_has_its_questions_to_the_database():
    assert len(commands()) == 4


@pytest.mark.skipif(not shutil.which("psql"), reason="psql is not installed")
@pytest.mark.parametrize("command", commands())
def test_each_question_to_the_database_is_answered(command, tmp_path):
    done = subprocess.run(
        ["bash", "-c", command], env=environment(tmp_path), capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def broken() -> dict[str, int]:
    """The counts that are not 0."""
    with connection.cursor() as cursor:
        cursor.execute(PROMISES.read_text())
        counts = dict(
            zip([column.name for column in cursor.description], cursor.fetchone(), strict=True)
        )
    assert len(counts) == 7
    return {name: count for name, count in counts.items() if count}


def test_kept_promises_are_seven_zeros(booking):
    assert broken() == {}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda one: BookingSeat.objects.filter(booking=one).update(taken=None), {"booked_without_seats": 1}),
        (lambda one: BookingEvent.objects.filter(booking=one).delete(), {"events_that_differ": 1}),
        (lambda one: Booking.objects.filter(pk=one.pk).update(status="cancelled"),
         {"seats_kept_by_ended": 2, "events_that_differ": 1}),
        (lambda one: BookingSeat.objects.filter(booking=one).update(show=a_show()), {"seats_of_another_show": 2}),
        (lambda one: BookingSeat.objects.filter(booking=one, seat_number=6).update(seat_number=9999),
         {"seats_the_hall_has_not": 1}),
    ],
    ids=["no seats", "no event", "seats kept", "another show's", "beyond the hall"],
)  # fmt: skip
def test_each_damage_is_counted(booking, damage, told):
    damage(booking)

    assert broken() == told
