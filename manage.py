#!/usr/bin/env python3
"""Django's entry; where its packages are missing, it first fills .venv from the lock.

Standard library only until Django runs, in words that Python 3.6 can parse, so that an old one gets
a sentence.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - whatever `python3` is comes here first
    sys.exit(
        "marquee: this is Python {}.{}, and Marquee needs 3.11 or newer: repeat the command with a newer one, "
        "for example `python3.11 manage.py up`.".format(*sys.version_info[:2])
    )

from importlib import metadata

BASE_DIR = Path(__file__).resolve().parent
LOCK = BASE_DIR / "project" / "requirements.lock"
VENV = BASE_DIR / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
# the lock's bytes after a finished install, empty while one is under way
STAMP = VENV / "marquee.lock"


def main() -> None:
    try:
        if not is_ready():
            if in_venv() or not is_stamped():
                with one_at_a_time() as kept_open:
                    install(kept_open)
            run_in_venv()
        run_django()
    except KeyboardInterrupt:
        sys.exit("marquee: interrupted.")


def is_ready() -> bool:
    """Return whether this very interpreter can go on.

    Django alone proves nothing: another one may be installed here.
    """
    if not (in_venv() and STAMP.is_file()):
        return has_every_pin()
    # after an upgrade of the system's Python the stamp is still there, but the packages are another
    # version's
    return is_stamped() and importlib.util.find_spec("django") is not None


def in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def is_stamped() -> bool:
    return PYTHON.exists() and STAMP.is_file() and STAMP.read_bytes() == LOCK.read_bytes()


def has_every_pin() -> bool:
    """Return whether the lock is installed here by other means.

    A pin with a marker is some platforms' only, and not asked.
    """
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        name, pinned, version = line.rstrip(" \\").partition("==")
        if pinned and ";" not in version and not is_installed(name, version):
            return False
    return True


def is_installed(name: str, version: str) -> bool:
    try:
        return metadata.version(name) == version
    except metadata.PackageNotFoundError:
        return False


@contextmanager
def one_at_a_time() -> Iterator[tuple[int, ...]]:
    """Let the second of two first starts wait.

    The descriptors yielded are for the children of the first: a pip that outlives its killed parent
    still holds the second off.
    """
    if sys.platform == "win32":
        yield ()
        return
    import fcntl  # noqa: PLC0415 - Windows has none

    with LOCK.open(
        "r+b"
    ) as lock:  # the lock of the packages locks their installation as well: no other file needed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start is filling .venv: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield (lock.fileno(),)


def install(kept_open: tuple[int, ...]) -> None:
    if is_stamped() and not in_venv():
        return  # by the start that this one has waited for
    wanted = LOCK.read_bytes()
    # .venv itself has no pip
    interpreter = getattr(sys, "_base_executable", None) or sys.executable
    pip = [sys.executable if importlib.util.find_spec("pip") else interpreter, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:  # noqa: S603 - this interpreter's own
        sys.exit(
            "marquee: this Python has no pip: install it (Debian: apt-get install python3-pip) and repeat."
        )
    say(
        "this Python lacks packages that project/requirements.lock pins: pip installs them into "
        ".venv, once. That takes a minute or so."
    )
    interrupted = STAMP.is_file() and not STAMP.read_bytes()
    fresh = ["--clear"] if interrupted or not PYTHON.exists() else []
    run([interpreter, "-m", "venv", "--without-pip", *fresh, str(VENV)], kept_open)
    STAMP.write_bytes(b"")
    # Twice quiet: of two hundred lines a newcomer would read none. What fails is still printed.
    quietly = ["--quiet", "--quiet", "--disable-pip-version-check"]
    arguments = ["install", *quietly, "--requirement", str(LOCK)]
    run([*pip, "--python", str(PYTHON), *arguments], kept_open)
    STAMP.write_bytes(wanted)


def run(command: list[str], kept_open: tuple[int, ...]) -> None:
    if subprocess.call(command, pass_fds=kept_open):  # noqa: S603 - ours, from install() above
        sys.exit(
            "marquee: .venv could not be made, for the reason above; mend that and repeat the command."
        )


def run_in_venv() -> NoReturn:
    command = [str(PYTHON), *sys.orig_argv[1:]]
    if sys.platform == "win32":  # exec would give the prompt back while the command still runs
        sys.exit(subprocess.call(command))  # noqa: S603 - the same command again
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


def run_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    # not there before the bootstrap
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    try:
        # some commands of Django's would hide its errors
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit("marquee: " + " ".join(str(error).split()))


def say(sentence: str) -> None:
    sys.stderr.write("marquee: " + sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
