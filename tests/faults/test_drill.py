"""The drill itself: what it offers, and that it fails under every negative control and under
nothing else.

A run takes half a minute, so those that run it are left out unless DRILL is set, as the gate does.
"""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

from tests.faults.controls.broken import CONTROLS
from tests.faults.kinds.registry import FAULTS

needs_minutes = pytest.mark.skipif(not os.environ.get("DRILL"), reason="takes minutes: set DRILL=1")
PATIENCE_SECONDS = 900
PROMISES = (settings.BASE_DIR / "docs" / "promises.md").read_text()
CATCHERS = sorted({control.caught_by for control in CONTROLS.values()})


def drill(*words: str) -> subprocess.CompletedProcess[str]:
    """As from a shell: nothing of this suite's own settings."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    command = [sys.executable, "manage.py", "drill", *words]
    return subprocess.run(
        command,
        env=kept,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_it_lists_every_fault():
    listed = [line.split()[0] for line in drill("--list").stdout.splitlines()]
    assert listed == [fault.name for fault in FAULTS]


@pytest.mark.parametrize(
    "words", [("--fault", "fire"), ("--fault", "deadlock", "--break", "nothing")]
)
def test_it_refuses_what_it_does_not_know_with_a_sentence(words):
    ran = drill(*words)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert (
        f"There is no {'guard' if '--break' in words else 'fault'} named {words[-1]}" in ran.stderr
    )
    assert "Traceback" not in ran.stderr


def test_every_control_names_a_fault_of_postgresql():
    assert set(CATCHERS) <= {fault.name for fault in FAULTS if not fault.sqlite}


@pytest.mark.parametrize("name", [*(fault.name for fault in FAULTS), *CONTROLS])
def test_the_promises_name_every_fault_and_every_control(name):
    assert f"`{name}`" in PROMISES


def test_the_promises_name_tests_that_are_there():
    named = set(re.findall(r"\btest_\w+\.py", PROMISES))
    assert named <= {path.name for path in (settings.BASE_DIR / "tests").rglob("*.py")}
    assert len(named) > 15


@needs_minutes
@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_a_broken_guard_is_caught(control):
    ran = drill("--break", control.name, "--fault", control.caught_by)
    assert ran.returncode == 1, ran.stderr
    assert re.search(control.told, ran.stderr), ran.stderr


@needs_minutes
def test_the_same_faults_break_no_promise_while_every_guard_stands():
    ran = drill(*(word for name in CATCHERS for word in ("--fault", name)))
    assert ran.returncode == 0, ran.stderr
