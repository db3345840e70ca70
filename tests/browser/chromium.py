"""Playwright and a Chromium for it to drive, fetched where they are missing: they are for these
tests alone.
"""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import pytest

from tests.support.up import BASE_DIR

LOCK = BASE_DIR / "project" / "requirements-browser.lock"
NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL_SECONDS = 600
APT = {"DEBIAN_FRONTEND": "noninteractive"}
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # what a page asks elsewhere is recorded, and not sent
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


class CannotBeHad(Exception):
    """Why there is no browser here, as a sentence."""


def flags() -> list[str]:
    return [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS  # its sandbox refuses root


def path_or_skip(may_install: bool = True) -> str:
    """Return where Chromium is, once Playwright is there too. In CI a browser that cannot be had is
    a failure.
    """
    try:
        if not (may_install or (find_spec("playwright") and _installed())):
            raise CannotBeHad(
                "Playwright or Chromium is missing: "
                "`python3 manage.py test tests/browser` installs what is."
            )
        require_playwright()
        return path()
    except CannotBeHad as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))


def require_playwright() -> None:
    """Into this very venv, by its own lock: it would weigh 50 MB on everybody who sells tickets."""
    if find_spec("playwright"):
        return
    if sys.prefix == sys.base_prefix:
        raise CannotBeHad(
            f"Playwright is missing, and this Python is no venv to install {LOCK.name} into."
        )
    pip = [
        sys.executable if find_spec("pip") else getattr(sys, "_base_executable", sys.executable),
        "-m",
        "pip",
    ]
    patience = ["--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=15"]
    install = ["install", *patience, "--require-hashes", f"--requirement={LOCK}"]
    _run(
        [*pip, f"--python={sys.executable}", *install],
        "Playwright is missing, and pip could not install it",
    )
    importlib.invalidate_caches()


def path() -> str:
    """Where Chromium is; on a Debian without one, root installs it."""
    if found := _installed():
        return found
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise CannotBeHad(
            "Chromium is missing: install it (Debian, as root: apt-get install chromium)."
        )
    _run(["apt-get", "-q", "update"], "Chromium is missing, and apt-get could not ask for it")
    install = [
        "apt-get",
        "-q",
        "install",
        "--yes",
        "--no-install-recommends",
        "chromium",
        "fonts-dejavu-core",
    ]
    _run(install, "Chromium is missing, and apt-get could not install it")
    if found := _installed():
        return found
    raise CannotBeHad("apt-get has installed Chromium, and there is none on the PATH.")


def _installed() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def _run(command: Sequence[str], failure: str) -> None:
    try:
        done = subprocess.run(
            command,
            env=os.environ | APT,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeHad(f"{failure}: {type(error).__name__}.") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise CannotBeHad(f"{failure}: {lines[-1]}")
