"""Refuse at once what does not fit into the server's bounded queue.

granian takes a bounded number of connections a process and leaves the rest in the kernel's queue,
where a client would wait until its patience ends, for an answer that nobody reads. A thread in each
process looks at that queue: while more than WAITING stand in it, it accepts those and answers 503
with Retry-After. Who was let in never meets it.

Linux alone says how many wait; elsewhere nobody stands at the door, and clients wait as before.
"""

import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import structlog
from django.conf import settings
from prometheus_client import Counter

from cinema.api.errors import PROBLEM_JSON, problem_body
from cinema.errors import Unavailable

WAITING = 128  # a burst of new connections stands here for some milliseconds
LOOKS_EVERY_SECONDS = 0.05
LISTENS_WITHIN_SECONDS = 60
# then the others get the interpreter: a refused client that comes again at once must not use it up
AT_ONCE = 64
# tcpi_unacked, which of a listening socket is how many wait
TCP_INFO_ACCEPT_QUEUE = struct.Struct("24xI")
REFUSED = Counter(
    "marquee_connections_refused", "Connections answered 503 because the queue was full"
)
log = structlog.get_logger("marquee.door")


def watch() -> None:
    """Watch the door of this process from a thread of its own, once the server listens on PORT."""
    if sys.platform == "linux":
        threading.Thread(target=_run, name="overload", daemon=True).start()


def waiting_at(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_ACCEPT_QUEUE.size)
    return int(TCP_INFO_ACCEPT_QUEUE.unpack(info)[0])


def refuse_excess(listener: socket.socket, waiting: int = WAITING) -> int:
    """Answer those beyond `waiting`, at most AT_ONCE, and say how many that were. Waits for nobody."""
    excess = min(AT_ONCE, waiting_at(listener) - waiting)
    for number in range(excess):
        try:
            client, _ = listener.accept()
        except OSError:  # the server was faster
            return number
        with client:
            _refuse(client)
    return max(0, excess)


def _refuse(client: socket.socket) -> None:
    refusal = Unavailable(
        "More requests are waiting than can be answered in time. Nothing was done; try again."
    )
    body = problem_body(refusal, request_id := uuid4().hex)
    head = [
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {PROBLEM_JSON}",
        f"Content-Length: {len(body)}",
        f"Retry-After: {refusal.retry_after}",
        f"X-Request-ID: {request_id}",
        "Connection: close",
    ]
    with suppress(OSError):
        client.setblocking(False)
        client.send("\r\n".join([*head, "", ""]).encode() + body)
        client.shutdown(socket.SHUT_WR)
        client.recv(1 << 16)  # what is left unread would make the kernel take the answer back


def _run() -> None:
    if not (listener := _find_listener()):
        return
    try:
        while True:
            if refused := refuse_excess(listener):
                REFUSED.inc(refused)
                log.warning("the queue is full: connections refused", connections=refused)
            time.sleep(LOOKS_EVERY_SECONDS)
    except OSError:  # the server has closed it, and ends
        listener.detach()


def _find_listener() -> socket.socket | None:
    """Find the server's socket among our open files: it binds after it has loaded us."""
    deadline = time.monotonic() + LISTENS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            with suppress(OSError):
                if _is_listener(fd):
                    return socket.socket(fileno=fd)
        time.sleep(LOOKS_EVERY_SECONDS)
    return None


def _is_listener(fd: int) -> bool:
    candidate = socket.socket(fileno=fd)
    try:
        listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(listens) and candidate.getsockname()[1] == settings.PORT
    finally:
        candidate.detach()  # the server's, and it stays open
