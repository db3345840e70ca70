"""The whole cast of a drill in one temporary folder: servers, proxies, the product's processes,
customers, mails.
"""

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import psycopg
from django.conf import settings

from project.management.commands.up import answers
from project.up.embedded_redis import free_port
from project.up.guardian import Guardian
from tests.faults.controls.broken import CONTROLS
from tests.faults.invariants.facts import Usage
from tests.faults.run.journal import Journal
from tests.faults.run.waiting import CannotStart, wait_until
from tests.faults.stage.client import Client
from tests.faults.stage.contents import SEATS, fill
from tests.faults.stage.customers import Crowd
from tests.faults.stage.databases import PostgresDirect, SqliteDirect
from tests.faults.stage.machine import LagMonitor
from tests.faults.stage.programs import Keeper, Program, made_as_up_does, manage
from tests.faults.stage.proxy import HOST, TcpProxy
from tests.faults.stage.servers import Postgres, Redis
from tests.faults.stage.smtp_sink import SmtpSink
from tests.faults.stage.template import migrated_postgres, migrated_sqlite

CUSTOMERS = 8
HOLD_SECONDS = 8
# 3/5 of it are longer than a fault keeps the database away: else a mail that was sent could not be
# stamped in time.
MAIL_LEASE_SECONDS, SQLITE_LEASE_SECONDS = 20, 30
START_SECONDS = 40
SECRET = secrets.token_urlsafe(48)


@dataclass(frozen=True)
class Options:
    """How a drill is asked for. `sqlite` says which of the two stages this one is."""

    seed: int
    sqlite: bool = False
    database_url: str = ""
    redis_url: str = ""
    breaks: str = ""
    full: bool = False
    keep: Path | None = None  # a folder for the journal and the logs


class Stage:
    """Everything runs inside its `with`, and nothing is left of it behind."""

    hold_seconds = HOLD_SECONDS

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lease_seconds = SQLITE_LEASE_SECONDS if options.sqlite else MAIL_LEASE_SECONDS
        self.journal, self.smtp, self.lag = Journal(), SmtpSink(), LagMonitor()
        self.api_port = free_port()
        self.shows: list[int] = []
        self.roomy_show = 0
        self._ends = ExitStack()
        self._seat = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self._start(ends)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Past the proxy, autocommitted."""
        return self.direct.query(sql)

    @property
    def programs(self) -> list[Program]:
        return self.keeper.programs

    def start_another(self, name: str, like: Program, **environment: str) -> Program:
        """A second process of a kind, for one fault; `stop_another` ends it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        own = like.environment | {"VAR_DIR": str(folder)} | environment
        return self.keeper.add(Program(name, like.command, own, self.folder))

    def stop_another(self, program: Program) -> None:
        self.keeper.programs.remove(program)
        program.drop()

    def heal_links(self) -> None:
        """No trap is left, and every link is as it was."""
        for proxy in filter(None, (self.database_proxy, self.redis_proxy)):
            proxy.heal()

    def free_seat(self) -> int:
        """A seat of the roomy show that nobody has asked for."""
        with self._lock:
            self._seat += 1
            return self._seat

    def usage(self) -> Usage:
        return Usage(
            self.direct.connections(), {program.name: program.memory() for program in self.programs}
        )

    def answers(self, port: int) -> bool:
        return answers(HOST, port, "/readyz", {200})

    def _leave(self) -> None:
        """Keep what was asked for, and nothing else."""
        if self.options.keep:
            kept = self.options.keep / ("sqlite" if self.options.sqlite else "postgres")
            kept.mkdir(parents=True, exist_ok=True)
            self.journal.save(kept / "journal.jsonl")
            for log in self.folder.glob("*.log"):
                shutil.copy(log, kept)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, ends: ExitStack) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="marquee-drill-"))
        ends.callback(self._leave)
        self.folder.chmod(0o711)  # the user that runs PostgreSQL must come through
        self.guardian = Guardian()
        ends.callback(self.guardian.close)
        self.lag.start()
        ends.callback(self.lag.close)
        self.smtp.start()
        ends.callback(self.smtp.refuse)
        self._start_redis(ends)
        self._start_database(ends)
        *self.shows, self.roomy_show = fill(self.query)
        self._start_programs(ends)
        self._let_customers_in(ends)

    def _start_redis(self, ends: ExitStack) -> None:
        self.redis, url = (
            Redis(self.folder, self.guardian),
            urlsplit(self.options.redis_url or "redis:///0"),
        )
        if self.options.redis_url:
            self.redis.host, self.redis.port = url.hostname or HOST, url.port or 6379
        else:
            self.redis.start()
            ends.callback(self.redis.close)
        self.redis_proxy = TcpProxy(self.redis.address)
        ends.callback(self.redis_proxy.close)
        self.redis_url = _through(self.redis_proxy, url).geturl()

    def _start_database(self, ends: ExitStack) -> None:
        """Its proxy as well, and `direct`, the way past it."""
        self.database: Postgres | None = None
        self.database_proxy: TcpProxy | None = None
        if self.options.sqlite:
            self.file = self.folder / "marquee.sqlite3"
            self.database_url = f"sqlite:///{self.file}"
            migrated_sqlite(self.file, self._environment())
            self.direct: PostgresDirect | SqliteDirect = SqliteDirect(self.file)
        else:
            self._start_postgres(ends)
        self._sql_of_controls()
        ends.callback(self.direct.close)

    def _start_postgres(self, ends: ExitStack) -> None:
        database = self.database = Postgres(self.folder, self.guardian)
        if self.options.database_url:
            self._point_at(self.options.database_url)
        else:
            self.database_url = database.url
            migrated_postgres(database, self._environment())
            ends.callback(database.close)
            self.direct = PostgresDirect(database.connect)
        self.database_proxy = TcpProxy(database.address, speaks_postgres=True)
        ends.callback(self.database_proxy.close)
        self.database_url = _through(self.database_proxy, urlsplit(self.database_url)).geturl()

    def _point_at(self, url: str) -> None:
        """A given server: nothing of it is killed or restarted, and its database must be empty."""
        assert self.database
        parts = urlsplit(url)
        self.database.host, self.database.port = parts.hostname or HOST, parts.port or 5432
        self.database_url = url
        manage("migrate", "--verbosity=0", environment=self._environment())
        plain = parts._replace(scheme="postgresql").geturl()
        self.direct = PostgresDirect(
            lambda: psycopg.connect(plain, autocommit=True, options="-c timezone=UTC")
        )
        if self.query("SELECT count(*) FROM cinema_user")[0][0]:
            raise CannotStart("The given database is not empty: the drill wants one of its own.")

    def _sql_of_controls(self) -> None:
        if self.options.breaks:
            for sql in CONTROLS[self.options.breaks].sql:
                self.query(sql)

    def _environment(self) -> dict[str, str]:
        """As near to production as loopback is; of the caller's own environment nothing that is a
        setting.
        """
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "TMPDIR")
            if name in os.environ
        }
        made = {
            "DEBUG": "off",
            "SECRET_KEY": SECRET,
            "ALLOWED_HOSTS": HOST,
            "HOST": HOST,
            "PORT": str(self.api_port),
            "VAR_DIR": str(self.folder / "var"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "EMAIL_URL": f"smtp://{HOST}:{self.smtp.port}",
            "HOLD_SECONDS": str(HOLD_SECONDS),
            "MAIL_LEASE_SECONDS": str(self.lease_seconds),
            "THROTTLE_LOGIN": "",
            "THROTTLE_SIGNUP": "",
            "THROTTLE_BOOKING": "",
            "PYTHONPATH": str(settings.BASE_DIR),
            "DJANGO_SETTINGS_MODULE": "project.settings",
        }
        if self.options.breaks:
            made |= {
                "DJANGO_SETTINGS_MODULE": "tests.faults.controls.settings",
                "DRILL_BREAK": self.options.breaks,
            }
        return kept | made

    def _start_programs(self, ends: ExitStack) -> None:
        """The API first: while the others start, customers can sign up."""
        self.keeper = Keeper(self.guardian)
        ends.callback(self.keeper.close)
        made = made_as_up_does(self.redis_url, self._environment(), self.folder)
        self.api = self.keeper.add(made["api"])
        self.keeper.start()
        wait_until(lambda: self.answers(self.api_port), START_SECONDS, "the API's first answer")
        self.worker, self.beat = (self.keeper.add(made[name]) for name in ("worker", "beat"))

    def _let_customers_in(self, ends: ExitStack) -> None:
        clients = [
            Client(self.journal, self.api_port, f"customer{number}")
            for number in range(1, CUSTOMERS + 3)
        ]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(Client.sign_up, clients))
        wait_until(
            lambda: "ready." in self.worker.log.read_text(), START_SECONDS, "the worker's start"
        )
        # two who ask for nothing but what a fault or the runner wants
        *crowd, self.guest, self.other = clients
        self.crowd = Crowd(crowd, self.shows, SEATS, self.options.seed)
        ends.callback(self.crowd.close)


def _through(proxy: TcpProxy, url: SplitResult) -> SplitResult:
    """The same URL, with the proxy in the server's place."""
    login, at, _ = url.netloc.rpartition("@")
    return url._replace(netloc=f"{login}{at}{HOST}:{proxy.port}")
