"""Real programs of the product, on the database and the Redis of the test that starts them."""

import os
import subprocess
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from django.conf import settings as project_settings
from django.db import connection

from tests.support.suite.patience import PATIENCE_SECONDS


def database_url() -> str:
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(project_settings.DATABASE_URL)._replace(path=f"/{name}").geturl()


def environment(tmp_path, **variables: str) -> dict[str, str]:
    ours = {
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": database_url(),
        "REDIS_URL": project_settings.REDIS_URL,
    }
    return os.environ | ours | variables


def celery(*words: str) -> list[str]:
    """As in production."""
    return [sys.executable, "-m", "celery", "-A", "workers", "--quiet", *words]


def run(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=variables,
        cwd=project_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture
def start(transactional_db, tmp_path):
    """Starts real programs and ends them, with all that they forked, before the tables are emptied."""
    running = []

    def start(program: str, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{program}.log").open("w") as log:
            command, variables = celery(program, *words), environment(tmp_path, **variables)
            running.append(
                subprocess.Popen(
                    command,
                    env=variables,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=project_settings.BASE_DIR,
                )
            )
        return running[-1]

    yield start
    for process in running:
        with suppress(ProcessLookupError):  # the test has ended it
            os.killpg(process.pid, 9)
        process.wait()
