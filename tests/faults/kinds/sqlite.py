"""SQLite's own faults: a writer that dies in its transaction, and a file that somebody keeps
locked.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.run.waiting import wait_until
from tests.faults.stage.stage import Stage

LOCKED_SECONDS = 10
# Writes so much that pages go to the log before the commit that never comes.
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute("PRAGMA cache_size = 10")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE cinema_bookingseat SET taken = NULL")
db.execute("CREATE TABLE drill (word TEXT)")
db.executemany("INSERT INTO drill VALUES (?)", (("x" * 100,) for _ in range(20000)))
print("written", flush=True)
time.sleep(60)
"""


@contextmanager
def writer_killed(stage: Stage) -> Iterator[None]:
    """A foreign writer, and every worker of the API under load."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(stage.file)], stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout
        if writer.stdout.readline().strip() != b"written":
            raise DidNotHappen("The foreign writer did not write.")
        before = set(stage.api.children)
        writer.kill()
    yield
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(set(stage.api.children) - before) == len(before), 20, "the new workers")
    if stage.query("SELECT 1 FROM sqlite_master WHERE name = 'drill'"):
        raise DidNotHappen("The dead writer's transaction was committed.")


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    with closing(sqlite3.connect(stage.file, timeout=20, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            foreign.execute("ROLLBACK")


def writes_are_refused(stage: Stage, window: Window) -> list[str]:
    """503 behind 3 s, and the readers do not notice."""
    if not any(call.status == 503 for call in window.calls):
        raise DidNotHappen("No call met the lock.")
    reads = [call for call in window.calls if call.method == "GET" and (call.status or 0) >= 500]
    return [
        f"call {call.number} ({call.act}), which only reads, was answered {call.status}."
        for call in reads
    ]


FAULTS = [
    Fault(
        "sqlite-writer-killed",
        "A writer is killed -9 in its transaction, and so are the API's workers.",
        writer_killed,
        seconds=3,
        sqlite=True,
    ),
    Fault(
        "sqlite-locked",
        "The file is locked by another program for 10 s.",
        locked,
        seconds=LOCKED_SECONDS,
        mail_limit=60,
        expect=writes_are_refused,
        sqlite=True,
    ),
]
