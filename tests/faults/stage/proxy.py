"""A TCP proxy before a server, whose links can be cut, silenced, slowed, or cut inside or just
before a reply.

One thread a direction: a trap may freeze or kill the client's process while its statement is held
back here.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from project.up.embedded_redis import free_port
from tests.faults.run.waiting import wait_until
from tests.faults.stage.postgres_wire import Frames, Statements, ends_reply

HOST = "127.0.0.1"
CHUNK = 65536
CONNECT_SECONDS = 3


@dataclass
class Trap:
    """`act` is called with the link once a statement with this text is about to be forwarded,
    `times` times.
    """

    text: bytes
    act: Callable[["Link"], None]
    times: int = 1
    sprung: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def wait(self, seconds: float, what: str) -> None:
        """Raises Late, and what the act raised."""
        wait_until(self.sprung.is_set, seconds, what)
        if self.error:
            raise self.error


class TcpProxy:
    """In front of `upstream`; `speaks_postgres` makes traps and the cut behind COMMIT possible."""

    def __init__(self, upstream: tuple[str, int], *, speaks_postgres: bool = False) -> None:
        self.upstream, self.speaks_postgres = upstream, speaks_postgres
        self.port = free_port()
        self.delay = 0.0  # seconds, each direction
        self.is_silent = False
        # so much of the next longer reply passes, and the link is cut
        self.reply_bytes: int | None = None
        self.cuts = 0
        self.watch: Callable[[bytes], None] | None = None  # sees every chunk of a client
        self._traps: list[Trap] = []
        self._links: set[Link] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listen()

    def cut(self) -> None:
        """Reset every link and refuse new ones, until `heal`."""
        listener, self._listener = self._listener, None
        if listener:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self.reset_links()

    def silence(self) -> None:
        """Accept, and swallow every byte both ways, until `heal`, which resets what has lost bytes."""
        self.is_silent = True

    def slow(self, seconds: float) -> None:
        self.delay = seconds

    def cut_next_reply(self, after: int) -> None:
        """Let so many bytes of the next reply pass that is longer, and reset its link."""
        self.reply_bytes = after

    def set_trap(self, text: bytes, act: Callable[["Link"], None], times: int = 1) -> Trap:
        trap = Trap(text, act, times)
        with self._lock:
            self._traps.append(trap)
        return trap

    def cut_behind(self, text: bytes, times: int = 1) -> Trap:
        """Let a statement with this text be done, and its reply never arrive: the link is reset in
        its place.
        """
        return self.set_trap(text, lambda link: link.keep_reply(), times)

    def heal(self) -> None:
        self.delay, self.reply_bytes, self.watch = 0.0, None, None
        with self._lock:
            self._traps.clear()
        if self.is_silent:
            self.is_silent = False
            self.reset_links(only_lossy=True)
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        self.cut()

    def reset_links(self, only_lossy: bool = False) -> None:
        with self._lock:
            links = [link for link in self._links if link.is_lossy or not only_lossy]
        for link in links:
            link.reset()

    def spring(self, running: list[bytes], link: "Link") -> None:
        """Every trap that one of these statements runs into, before it is forwarded."""
        with self._lock:
            met = [trap for trap in self._traps if any(trap.text in sql for sql in running)]
            for trap in met:
                trap.times -= 1
            self._traps = [trap for trap in self._traps if trap.times > 0]
        for trap in met:
            try:
                trap.act(link)
            except Exception as error:  # for whoever waits: this thread has a link to serve
                trap.error = error
            trap.sprung.set()

    def forget(self, link: "Link") -> None:
        with self._lock:
            self._links.discard(link)

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self.port))
        listener.listen(512)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, address = listener.accept()
            except OSError:  # closed
                return
            link = Link(self, client, address[1])
            with self._lock:
                self._links.add(link)
            threading.Thread(target=link.serve, daemon=True).start()


class Link:
    """One client's connection and ours to the server for it. `peer_port` tells whose it is."""

    def __init__(self, proxy: TcpProxy, client: socket.socket, peer_port: int) -> None:
        self.proxy, self.client, self.peer_port = proxy, client, peer_port
        self.server: socket.socket | None = None
        self.is_lossy = proxy.is_silent
        self.is_dead = False
        self._keeps_reply = False
        self._statements = Statements()
        self._from_client, self._from_server = Frames(from_client=True), Frames(from_client=False)

    def serve(self) -> None:
        """Pump both ways until both have ended."""
        if self.is_lossy:
            return self._pump(self.client, lambda data: None)
        try:
            self.server = socket.create_connection(self.proxy.upstream, CONNECT_SECONDS)
        except OSError:
            return self.reset()
        self.server.settimeout(None)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(self.server, self._answer), daemon=True)
        back.start()
        self._pump(self.client, self._ask)
        _end_of_file(self.server)
        back.join()
        return self.reset()

    def keep_reply(self) -> None:
        """What the server answers next is read to its end and not delivered, and then the link is
        reset.
        """
        self._keeps_reply = True

    def reset(self) -> None:
        self.is_dead = True
        for end in (self.client, self.server):
            if end:
                _reset(end)
        self.proxy.forget(self)

    def _pump(self, source: socket.socket, handle: Callable[[bytes], None]) -> None:
        with suppress(OSError):
            while (data := source.recv(CHUNK)) and not self.is_dead:
                if self.proxy.delay:
                    time.sleep(self.proxy.delay)
                if self.proxy.is_silent:
                    self.is_lossy = True
                elif not self.is_lossy:
                    handle(data)
        if source is self.server and not self.is_dead:
            _end_of_file(self.client)

    def _ask(self, data: bytes) -> None:
        if self.proxy.watch:
            self.proxy.watch(data)
        if self.proxy.speaks_postgres:
            messages = self._from_client.feed(data)
            data = b"".join(messages)
            running = [sql for message in messages if (sql := self._statements.run_by(message))]
            if running:
                self.proxy.spring(running, self)
        if data and self.server:
            self.server.sendall(data)

    def _answer(self, data: bytes) -> None:
        budget = self.proxy.reply_bytes
        if self._keeps_reply:
            if any(map(ends_reply, self._from_server.feed(data))):
                self._cut()
        elif budget is not None and len(data) > budget:
            self.proxy.reply_bytes = None
            self.client.sendall(data[:budget])
            self._cut()
        else:
            self.client.sendall(data)

    def _cut(self) -> None:
        self.proxy.cuts += 1
        self.reset()


def _end_of_file(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_WR)


def _reset(end: socket.socket) -> None:
    """Close with RST. SHUT_RD first: a thread that waits in recv would keep the connection alive."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)
    with suppress(OSError):
        end.close()
