"""`manage.py up` as people run it: a real process with free ports and a var/ of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.support.services import free_ports
from tests.support.suite.patience import PATIENCE_SECONDS

BASE_DIR = Path(__file__).resolve().parents[2]
OWN = (
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "DEBUG",
    "HOST",
    "SECRET_KEY",
    "JWT_SIGNING_KEYS",
    "FLOWER_BASIC_AUTH",
)
UP = r"Marquee is up; Ctrl-C ends it\."
READY = r"celery@\S+ ready\."  # the worker; the table does not wait for it


class Up:
    """One `up`, with what it has written so far, and the processes that it has made."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port, self.flower_port = free_ports(2)
        ports = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        self.settings = {"VAR_DIR": str(folder)} | ports | settings
        self.begin()

    def begin(self) -> None:
        environment = {
            name: value for name, value in os.environ.items() if name not in OWN
        } | self.settings
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("wb") as log:
            # this suite may run under nohup
            self.popen = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=BASE_DIR,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log())):
            assert time.monotonic() < deadline, f"{pattern!r} is not in:\n{self.log()}"
            time.sleep(0.1)
        return found

    def is_alive(self) -> bool:
        """The status of /livez, asked once."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        client.request("GET", "/livez")
        return client.getresponse().status == 200

    def sessions(self) -> dict[int, str]:
        """The processes that it has started, each the leader of a session, and their command lines."""
        return {
            pid: line for pid, (parent, _, line) in processes().items() if parent == self.popen.pid
        }

    def leader(self, word: str) -> int:
        return next(pid for pid, line in self.sessions().items() if word in line)

    def end(self, number: int = signal.SIGINT) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(timeout=PATIENCE_SECONDS)


def processes() -> dict[int, tuple[int, int, str]]:
    """Parent, session and command line of all that run; the dead that nobody has reaped yet are
    left out.
    """
    rows = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,sid=,stat=,args="], capture_output=True, text=True
    ).stdout
    split = [row.split(None, 4) for row in rows.splitlines()]
    return {
        int(pid): (int(parent), int(sid), line)
        for pid, parent, sid, stat, line in split
        if stat[0] != "Z"
    }


def left_of(sessions: dict[int, str]) -> list[str]:
    return [line for _, sid, line in processes().values() if sid in sessions]
