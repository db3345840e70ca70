"""manage.py: from a machine with Python and pip alone, and what it says to a mistake. Each test
runs the real thing.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.suite.patience import PATIENCE_SECONDS

INSTALLS = (
    "marquee: this Python lacks packages that project/requirements.lock pins: pip installs them "
    "into .venv, once. That takes a minute or so."
)
BASE_DIR = Path(__file__).resolve().parents[2]
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)  # without the packages, and with pip
PYTEST_USAGE = "usage: python -m pytest [options] [file_or_dir] [file_or_dir] [...]"
OLD_PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.10")

# Prints what it is asked, in place of Django: nothing has to be downloaded, and an installation
# takes a second.
PACKAGE = {
    "django/__init__.py": "",
    "django/core/__init__.py": "",
    "django/core/exceptions.py": "class ImproperlyConfigured(Exception): pass",
    "django/core/management.py": "def execute_from_command_line(argv): print('django got', *argv[1:])",
}


def old_python() -> str | None:
    homes = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    found = [shutil.which(f"python{version}") for version in OLD_PYTHONS] + [
        str(home) for home in homes
    ]
    return next((one for one in found if one and runs_old(one)), None)


def runs_old(python: str) -> bool:
    code = "import sys; sys.exit(not (3, 6) <= sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    own = ("DEBUG", "SECRET_KEY", "JWT_SIGNING_KEYS", "DATABASE_URL", "REDIS_URL", "PYTEST_ADDOPTS")
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return kept | {"VAR_DIR": str(tmp_path / "var")} | more


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


def write_wheel(folder: Path, version: str) -> None:
    info = f"django-{version}.dist-info"
    files = PACKAGE | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: django\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"django-{version}-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with manage.py, and a lock that wants one package, which a folder beside it offers."""
    clone = tmp_path / "clone"
    (clone / "project").mkdir(parents=True)
    shutil.copy(BASE_DIR / "manage.py", clone)
    (clone / "project/__init__.py").touch()
    (clone / "project/settings.py").touch()
    (clone / "project/requirements.lock").write_text(
        "django==0.1\ncolorama==0.4 ; sys_platform == 'nowhere'\n"
    )
    write_wheel(tmp_path, "0.1")
    write_wheel(tmp_path, "0.2")
    return clone


def begin(clone: Path, *arguments: str, python: str = BASE_PYTHON) -> subprocess.Popen[str]:
    env = environment(
        clone, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone.parent), PIP_CONFIG_FILE=os.devnull
    )
    env.pop("DJANGO_SETTINGS_MODULE", None)
    command = [python, "manage.py", *arguments]
    return subprocess.Popen(
        command, cwd=clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def test_a_first_start_fills_venv_and_a_second_goes_straight_on(clone: Path) -> None:
    code, out, err = outcome(begin(clone, "migrate", "--plan"))

    assert (code, out.splitlines()[-1]) == (0, "django got migrate --plan")
    assert out.splitlines() == ["django got migrate --plan"]
    assert err.splitlines()[0] == INSTALLS

    assert outcome(begin(clone, "migrate", "--plan")) == (0, "django got migrate --plan\n", "")


def test_two_first_starts_at_once_install_once(clone: Path) -> None:
    both = [begin(clone, "check") for _ in range(2)]

    results = [outcome(one) for one in both]

    assert [(code, out.splitlines()[-1]) for code, out, _ in results] == [
        (0, "django got check")
    ] * 2
    assert sum(INSTALLS in err for _, _, err in results) == 1
    assert (
        sum("another start is filling .venv: waiting for it." in err for _, _, err in results) == 1
    )


def test_an_interrupted_installation_is_begun_anew(clone: Path) -> None:
    outcome(begin(clone, "check"))
    (clone / ".venv/marquee.lock").write_bytes(b"")
    left_over = clone / ".venv/left_over"
    left_over.touch()

    code, out, _ = outcome(begin(clone, "check"))

    assert (code, out.splitlines()[-1]) == (0, "django got check")
    assert not left_over.exists()
    assert (clone / ".venv/marquee.lock").read_bytes() == (
        clone / "project/requirements.lock"
    ).read_bytes()


def test_a_changed_lock_is_installed_also_from_inside_venv(clone: Path) -> None:
    outcome(begin(clone, "check"))
    (clone / "project/requirements.lock").write_text("django==0.2\n")

    code, out, _ = outcome(begin(clone, "check", python=str(clone / ".venv/bin/python")))

    assert (code, out.splitlines()[-1]) == (0, "django got check")
    assert list((clone / ".venv").rglob("django-0.2.dist-info"))


def test_what_pip_refuses_is_told_and_tried_again_next_time(clone: Path) -> None:
    (clone / "project/requirements.lock").write_text("django==0.3\n")

    code, _, err = outcome(begin(clone, "check"))

    assert code == 1
    assert err.splitlines()[-1] == (
        "marquee: .venv could not be made, for the reason above; mend that and repeat the command."
    )

    (clone / "project/requirements.lock").write_text("django==0.2\n")
    assert outcome(begin(clone, "check"))[0] == 0


def test_a_python_without_pip_gets_one_sentence(clone: Path, tmp_path: Path) -> None:
    bare = tmp_path / "pip"
    bare.mkdir()
    (bare / "__init__.py").write_text("raise ImportError")
    env = environment(clone) | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run(
        [BASE_PYTHON, "manage.py", "up"], cwd=clone, env=env, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "marquee: this Python has no pip: install it (Debian: apt-get install python3-pip) and repeat.\n"
    )


def test_an_old_python_gets_one_sentence() -> None:
    python = old_python()
    if python is None:
        pytest.skip("no Python from 3.6 to 3.10 on this machine")

    done = subprocess.run([python, "manage.py", "up"], cwd=BASE_DIR, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"marquee: this is Python 3\.\d+, and Marquee needs 3\.11 or newer: "
        r"repeat the command with a newer one, for example `python3\.11 manage\.py up`\.\n",
        done.stderr,
    )


@pytest.mark.parametrize("command", ["up", "check", "runserver", "help"])
@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        (
            "DEBUG",
            "off",
            "SECRET_KEY is not set: with DEBUG off it must have 32 characters or more.",
        ),
        ("PORT", "http", "PORT is 'http': it must be a whole number from 1 to 65535."),
    ],
)
def test_an_odd_setting_stops_every_command_with_one_sentence(
    tmp_path: Path, command: str, setting: str, value: str, sentence: str
) -> None:
    done = manage(command, env=environment(tmp_path, **{setting: value}))

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"marquee: {sentence}\n")


def test_the_test_command_hands_everything_to_pytest_and_uses_all_cores_by_default(
    tmp_path: Path,
) -> None:
    test = tmp_path / "test_one.py"
    in_parallel = "def test_in_parallel(worker_id): assert worker_id.startswith('gw')"
    test.write_text(f"def test_fails(): assert False\n\ndef test_passes(): pass\n\n{in_parallel}\n")
    env = environment(tmp_path)

    failed = manage("test", str(test), "-q", "--no-header", env=env)
    passed = manage(
        "test", str(test), "-n0", "-q", "-k", "passes", "-p", "no:cacheprovider", env=env
    )
    helped = manage("test", "--help", env=env)

    assert (failed.returncode, failed.stdout.splitlines()[-1].partition(" in ")[0]) == (
        1,
        "1 failed, 2 passed",
    )
    assert (passed.returncode, passed.stdout.splitlines()[-1].partition(" in ")[0]) == (
        0,
        "1 passed, 2 deselected",
    )
    assert (helped.returncode, helped.stdout.splitlines()[0]) == (0, PYTEST_USAGE)
