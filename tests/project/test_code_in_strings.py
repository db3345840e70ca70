"""Code that a process is given in a string or a person by a page, and that no linter reads."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"\bfrom ((?:cinema|project|workers)[\w.]*) import (\w+(?:, \w+)*)")
PLACES = ["tests/**/*.py", "docs/**/*.md", "README.md", ".ci/run", "docker-compose.yml"]
FOUND = sorted(
    {
        (module, name)
        for place in PLACES
        for path in BASE_DIR.glob(place)
        for module, names in IMPORT.findall(path.read_text())
        for name in names.split(", ")
    }
)


def test_there_is_something_to_try():
    assert ("cinema.sales", "bookings") in FOUND
    assert ("cinema.notifications", "deliveries") in FOUND


@pytest.mark.parametrize(("module", "name"), FOUND)
def test_what_is_imported_is_there(module, name):
    if not hasattr(import_module(module), name):
        resolve_name(f"{module}.{name}")
