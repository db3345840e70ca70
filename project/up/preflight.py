"""What `up` refuses before it starts anything, each with one sentence."""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.core.management import CommandError
from django.db import Error as DatabaseFailure
from django.db import connection

if sys.platform != "win32":
    import fcntl

# for what an `up` that was killed has left: its processes take their grace as well
PATIENCE_SECONDS = 15.0


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Hold the folder's lock; yields whether the `up` before this one died without an ordinary end."""
    with path.open("a+") as lock:
        if sys.platform != "win32":
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = path.read_text() or "unknown"
                raise CommandError(
                    f"`up` already runs in this folder, as process {other}: stop it first."
                ) from None
        died = bool(path.read_text())
        path.write_text(str(os.getpid()))
        try:
            yield died
        finally:
            path.write_text("")


def check_database(url: str) -> None:
    """Connect once; the settings bound how long that may take."""
    try:
        connection.ensure_connection()
    except DatabaseFailure as error:
        reason = next(iter(str(error).splitlines()), "no reason given").rstrip(". ")
        password = str(connection.settings_dict.get("PASSWORD") or "")
        reason = reason.replace(password, "…") if password else reason
        raise CommandError(
            f"The database {without_password(url)} cannot be reached: {reason}. Start it, or mend DATABASE_URL."
        ) from None


def without_password(url: str) -> str:
    """Return the URL as it may be shown: without the password and the options.

    Those may hold another.
    """
    url = url.partition("?")[0]
    parts = urlsplit(url)
    if not parts.netloc:  # a file's
        return url
    login, at, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=login.partition(":")[0] + at + place).geturl()


def resolve_host(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    """Return the number that HOST stands for, because granian takes no names.

    IPv4 first, where a name has both.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CommandError(
            f"HOST is {host!r}, which is no address: {error.strerror}. Try 127.0.0.1."
        ) from None
    family, _, _, _, address = min(found, key=lambda one: one[0])
    return family, str(address[0])


def check_port(name: str, host: str, port: int, patience: float) -> None:
    """Refuse a port that cannot be listened on, after so many seconds in which it stays taken."""
    deadline = time.monotonic() + patience
    while (error := _listening_error(host, port)) is not None:
        if error.errno != errno.EADDRINUSE:
            raise CommandError(
                f"{name} {port} cannot be opened on {host}: {error.strerror}. Set another {name} or HOST."
            )
        if time.monotonic() >= deadline:
            raise CommandError(
                f"{name} {port} is taken by another program: stop that one, or set another {name}."
            )
        time.sleep(0.2)


def _listening_error(host: str, port: int) -> OSError | None:
    family, address = resolve_host(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # as a server would: connections of the last one that are still fading away are no hindrance
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None
