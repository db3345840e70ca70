"""The README is true: its tables are the code's, and its commands work as they are written."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from cinema.errors import Refusal
from cinema.sales.models import Booking

BASE_DIR = Path(__file__).resolve().parents[2]
README = (BASE_DIR / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", README, re.MULTILINE | re.DOTALL)[1]


def rows(title: str) -> list[list[str]]:
    table = re.findall(r"^\| (.*) \|$", section(title), re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.split("|")] for row in table[1:]]


def block(language: str, title: str) -> str:
    """The section's first block of code in that language; a comment in it is no heading."""
    return re.search(
        rf"^#+ {title}\n.*?^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    )[1]


def settings_read() -> dict[str, object]:
    """Every variable that the settings read, with its default where that is a plain value."""
    tree = ast.parse((BASE_DIR / "project" / "settings.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in calls if re.fullmatch(r"env\.\w+", ast.unparse(call.func))]
    named = [call for call in calls if isinstance(call.args[0], ast.Constant)]
    return {
        call.args[0].value: call.args[1].value
        if call.args[1:] and isinstance(call.args[1], ast.Constant)
        else ...
        for call in named
    }


def test_the_settings_table_names_every_variable():
    assert sorted(row[0] for row in rows("Settings")) == sorted(settings_read())


def test_the_settings_table_tells_the_defaults():
    plain = {name: value for name, value in settings_read().items() if value is not ...}
    told = {row[0]: row[1] for row in rows("Settings")}

    assert len(plain) > 15
    shown = {True: "on", False: "off"}
    assert {name: told[name] for name in plain} == {
        name: shown[value] if isinstance(value, bool) else str(value)
        for name, value in plain.items()
    }


def test_the_refusals_table_is_the_codes_and_statuses_of_the_code():
    told = [(int(status), code) for status, code, _ in rows("Refusals")]

    assert len(told) == len(set(told))
    assert set(told) == {(kind.status, kind.code) for kind in Refusal.__subclasses__()}


def test_the_house_names_every_file():
    house = section("The house")
    files = [
        path
        for room in ("project", "cinema", "workers")
        for path in (BASE_DIR / room).rglob("*.py")
    ]
    files = [path for path in files if path.stat().st_size and "migrations" not in path.parts]

    assert len(files) > 30
    assert [
        str(path) for path in files if not re.search(rf"\b{re.escape(path.name)}`", house)
    ] == []


@pytest.mark.parametrize(
    "path", sorted(BASE_DIR.glob("project/*.lock")), ids=lambda path: path.name
)
def test_a_lock_holds_hashes_and_no_address(path):
    text = path.read_text(encoding="utf-8")

    assert "://" not in text
    assert re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
    assert all("--hash=sha256:" in pin for pin in re.split(r"\n(?=\S)", text.strip()))


def test_the_mysql_lock_holds_its_driver_alone_and_the_lint_lock_all_of_the_other():
    def pins(name: str) -> set[str]:
        text = (BASE_DIR / "project" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9-]+==[^ ;\\]+)", text, re.MULTILINE))

    assert [pin.partition("==")[0] for pin in pins("requirements-mysql.lock")] == ["mysqlclient"]
    assert pins("requirements.lock") < pins("requirements-lint.lock")


def test_check_deploy_has_nothing_to_say_to_the_production_settings(tmp_path):
    production = dict(line.split("=", 1) for line in block("ini", "Deployment").splitlines())
    production |= {"VAR_DIR": str(tmp_path), "PATH": os.environ["PATH"]}

    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=BASE_DIR, env=production, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (
        0,
        "System check identified no issues (1 silenced).\n",
    ), done.stderr


@pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")),
    reason="the walk is written for bash and curl",
)
@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_the_walk_by_curl_works_as_written(live_server, settings):
    settings.DEBUG = True  # demo data is for development
    call_command("seed_demo", verbosity=0)
    walk = block("bash", "A booking by curl").replace("http://localhost:8000", live_server.url)
    assert live_server.url in walk

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    first, second, movies, shows, seats, mine, cancelled, again, refused, confirmed = answers
    assert (first["username"], second["username"]) == ("testuser", "john_doe")
    assert movies["items"][0]["id"] in {movie["id"] for movie in movies["items"]}
    assert {show["movie_id"] for show in shows["items"]} == {1}
    assert 5 not in seats["taken"]
    assert [booking["status"] for booking in mine["items"]] == ["booked"]
    assert (cancelled["id"], cancelled["status"]) == (mine["items"][0]["id"], "cancelled")
    assert (again["status"], again["seat_number"]) == ("booked", 5)
    assert (refused["code"], refused["seats"]) == ("seat_taken", [5])
    assert (confirmed["status"], confirmed["seat_numbers"]) == ("booked", [6, 7])
    assert Booking.objects.filter(user__username__in=["testuser", "john_doe"]).count() == 3
