"""Which tests say nothing of the database, so that the gate runs them on one of the three alone."""

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
OPTION = "--another-database"

# Each with its reason; what is not here runs on all three.
SAME_ON_EVERY_DATABASE = {
    "browser": "its product has a SQLite of its own",
    "faults/test_drill.py": "the command, and names",
    "faults/test_drill_customers.py": "the drill's own customers, without a product",
    "faults/test_drill_machinery.py": "sockets and processes",
    "faults/test_drill_runs.py": "verdicts and reports",
    "project/test_checks.py": "settings, which are set there for the database each speaks of",
    "project/test_environment.py": "what stands in the environment",
    "project/test_environment_urls.py": "what a URL says",
    "project/test_manage.py": "the start on a machine with Python alone",
    "project/test_overload.py": "sockets",
    "project/test_up.py": "its product has a SQLite of its own",
    "workers/test_flower.py": "Flower, which asks Redis",
    "workers/test_heartbeats.py": "signs of life, which are kept in Redis",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "leave out what says nothing of the database, and has run on another one"
    parser.addoption(OPTION, action="store_true", help=text)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption(OPTION) or not collection_path.is_relative_to(TESTS):
        return None
    return True if str(collection_path.relative_to(TESTS)) in SAME_ON_EVERY_DATABASE else None


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption(OPTION):
        return None
    return "the same on every database, and left out: " + ", ".join(SAME_ON_EVERY_DATABASE)
