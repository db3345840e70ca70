"""README and docs are true: their tables are the code's, their commands work as written."""

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
from project.api import api
from tests.support.suite.patience import PATIENCE_SECONDS

BASE_DIR = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [BASE_DIR / "README.md", *sorted((BASE_DIR / "docs").rglob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}


def section(page: str, title: str) -> str:
    return re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", TEXTS[page], re.MULTILINE | re.DOTALL)[1]


def rows(page: str, title: str) -> list[list[str]]:
    table = re.findall(r"^\| (.*) \|$", section(page, title), re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.split("|")] for row in table[1:]]


def block(page: str, language: str, title: str) -> str:
    """The section's first block of code in that language; a comment in it is no heading."""
    return re.search(
        rf"^#+ {title}\n.*?^```{language}\n(.*?)^```$", TEXTS[page], re.MULTILINE | re.DOTALL
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
    assert sorted(row[0] for row in rows("settings.md", "Settings")) == sorted(settings_read())


def test_the_settings_table_tells_the_defaults():
    plain = {name: value for name, value in settings_read().items() if value is not ...}
    told = {row[0]: row[1] for row in rows("settings.md", "Settings")}

    assert len(plain) > 15
    shown = {True: "on", False: "off"}
    assert {name: told[name] for name in plain} == {
        name: shown[value] if isinstance(value, bool) else str(value)
        for name, value in plain.items()
    }


def test_the_refusals_table_is_the_codes_and_statuses_of_the_code():
    told = [(int(status), code) for status, code, _ in rows("api.md", "Refusals")]

    assert len(told) == len(set(told))
    assert set(told) == {(kind.status, kind.code) for kind in Refusal.__subclasses__()}


def test_the_table_of_calls_is_the_openapi_document():
    document = api.get_openapi_schema()
    calls = {
        (f"{method.upper()} {path}", "yes" if "security" in operation else "")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert {(call, token) for call, token, _ in rows("README.md", "The calls")} == calls


ROOMS = ("project", "cinema", "workers")
DATA = {"cinema", "cinema/migrations", "project/management/commands"}


def packages() -> set[str]:
    """Every folder of code."""
    files = [path for room in ROOMS for path in (BASE_DIR / room).rglob("*.py")]
    return {str(path.parent.relative_to(BASE_DIR)) for path in files} - DATA


def test_the_architecture_has_a_row_for_each_package():
    row = r"^\| `((?:cinema|project|workers)[\w/]*)` \|"
    named = re.findall(row, TEXTS["architecture.md"], re.MULTILINE)

    assert len(named) == len(set(named)) > 15
    assert set(named) == packages()


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("architecture.md", 120)])
def test_a_page_is_no_longer_than_its_readers_take(page, most):
    assert len(TEXTS[page].splitlines()) <= most


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_and_every_path_leads_somewhere(page):
    """Links by their target; words in backticks that look like a path of this repository."""
    text = page.read_text(encoding="utf-8")
    targets = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link]
    paths = re.findall(r"`((?:cinema|project|workers|tests|docs)/[\w./*-]+)`", text)

    assert [link for link in targets if link and not (page.parent / link).exists()] == []
    assert [path for path in paths if not list(BASE_DIR.glob(path))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_anchor_is_a_heading(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if not anchor or "://" in link:
            continue
        other = page.parent / target if target else page
        headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", heading).lower() for heading in headings]
        assert anchor in [slug.replace(" ", "-") for slug in slugs]


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
    production = dict(
        line.split("=", 1)
        for line in block("deployment.md", "ini", "Production settings").splitlines()
    )
    production |= {"VAR_DIR": str(tmp_path), "PATH": os.environ["PATH"]}

    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=BASE_DIR, env=production, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (
        0,
        "System check identified no issues (1 silenced).\n",
    ), done.stderr


walks = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="written for bash and curl"
)


def walk(page: str, live_server, settings) -> list[dict]:
    """Run the page's walk as it is written, and return its answers, a line each."""
    settings.DEBUG = True  # demo data is for development
    call_command("seed_demo", verbosity=0)
    script = block(page, "bash", "A booking by curl")
    script = script.replace("http://localhost:8000", live_server.url)
    assert live_server.url in script

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@walks
@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_the_walk_of_the_readme_works_as_written(live_server, settings):
    customer, movies, shows, booked, mine = walk("README.md", live_server, settings)

    assert customer["username"] == "testuser"
    assert movies["items"][0]["title"]
    assert {show["movie_id"] for show in shows["items"]} == {1}
    assert (booked["status"], booked["seat_number"]) == ("booked", 5)
    assert [booking["id"] for booking in mine["items"]] == [booked["id"]]


@walks
@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_the_walk_by_curl_works_as_written(live_server, settings):
    answers = walk("api.md", live_server, settings)
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
