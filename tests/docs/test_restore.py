"""The backup page's own commands bring a database back, and its last one tells whether the promises
are kept in it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from cinema.sales.models import BookingSeat
from tests.support.factories import a_booking, a_caller, a_hold, a_show
from tests.support.real_programs import database_url, environment

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the page restores a PostgreSQL"),
]
BASE_DIR = Path(__file__).resolve().parents[2]
PAGE = (BASE_DIR / "docs" / "operations.md").read_text()
PROGRAMS = ("bash", "pg_dump", "createdb", "pg_restore", "psql")
ON_THE_PAGE = "postgres://marquee:password@127.0.0.1:5432/marquee_restored"


@pytest.fixture
def restored():
    """The name of the database that the commands make, which is gone behind the test."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        assert not os.environ.get("CI"), f"missing: {missing}"
        pytest.skip(f"not installed: {missing}")
    name = f"{connection.settings_dict['NAME']}_restored"
    yield name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {connection.ops.quote_name(name)} WITH (FORCE)")


def the_pages_commands(restored: str) -> str:
    """Its blocks for bash, with our address for the page's and our name for the new database."""
    section = re.search(r"^## Backup and restore\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)[1]
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    assert [
        program
        for program in (*PROGRAMS[1:], "migrate --check", ON_THE_PAGE)
        if program not in blocks
    ] == []
    there = urlsplit(database_url())._replace(path=f"/{restored}").geturl()
    ours = blocks.replace(ON_THE_PAGE, there).replace("marquee_restored", restored)
    return ours.replace("python3 manage.py", f"{sys.executable} {BASE_DIR}/manage.py")


def broken(restored: str, tmp_path: Path) -> dict[str, int]:
    """The counts of the last command that are not 0."""
    (tmp_path / "docs").symlink_to(BASE_DIR / "docs")
    script, variables = the_pages_commands(restored), environment(tmp_path)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names, _, counts, *_ = [
        line.split("|") for line in done.stdout.splitlines() if "|" in line or "+" in line
    ]
    told = {name.strip(): int(count) for name, count in zip(names, counts, strict=True)}
    assert len(told) == 7
    return {name: count for name, count in told.items() if count}


def test_a_restored_database_keeps_its_promises(restored, tmp_path):
    show = a_show()
    a_hold(a_caller(), show, (4,))
    a_booking(a_caller(), show, (5, 6))

    assert broken(restored, tmp_path) == {}


def test_control_what_is_broken_comes_back_broken(restored, tmp_path):
    BookingSeat.objects.filter(booking=a_booking()).update(taken=None)

    assert broken(restored, tmp_path) == {"booked_without_seats": 1}
