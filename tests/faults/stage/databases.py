"""Rows as they are, asked past every proxy and past the product."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

# its CURRENT_TIMESTAMP knows no fractions of a second
SQLITE_NOW = "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"
Rows = Sequence[Sequence[Any]]


class PostgresDirect:
    """One kept connection, made anew when the server has been away."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    def query(self, sql: str) -> Rows:
        with self._lock:
            try:
                return self._ask(sql)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._drop()
                return self._ask(sql)

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[str], Rows]]:
        """Every query sees the rows of one moment."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield lambda sql: connection.execute(sql).fetchall()

    def connections(self) -> int:
        """The product's, without this one and the server's own."""
        others = (
            "backend_type = 'client backend' AND pid <> pg_backend_pid() AND usename <> 'postgres'"
        )
        return int(self.query(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")[0][0])

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _ask(self, sql: str) -> Rows:
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


class SqliteDirect:
    def __init__(self, file: Path) -> None:
        self.file = file

    def query(self, sql: str) -> Rows:
        with closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[str], Rows]]:
        with closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            yield lambda sql: connection.execute(
                sql.replace("CURRENT_TIMESTAMP", SQLITE_NOW)
            ).fetchall()

    def connections(self) -> int:
        return 0

    def close(self) -> None:
        pass
