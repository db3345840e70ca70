"""The drill's customers and their journal: a call is known before it is sent, and its end is told
as it was.
"""

import socket
import threading
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests.faults.run.journal import OK, REFUSED, UNKNOWN, Call, Journal
from tests.faults.run.waiting import wait_until
from tests.faults.stage.client import Client
from tests.faults.stage.customers import THINKING_SECONDS, TRIES, Crowd, Customer, Gate
from tests.faults.stage.proxy import HOST
from tests.support.suite.patience import PATIENCE_SECONDS


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (http("201 Created", b'{"id":5}'), OK, 201),
        (http("409 Conflict", b'{"code":"seat_taken"}'), REFUSED, 409),
        (http("201 Created", b'{"id":5}')[:-3], UNKNOWN, None),
        (b"", UNKNOWN, None),
    ],
)
def test_the_journal_knows_a_call_before_it_is_sent_and_how_it_ended(
    answer, outcome, status, monkeypatch
):
    journal = Journal()
    with socket.create_server((HOST, 0)) as listener:
        client = Client(journal, listener.getsockname()[1], "somebody")
        before = []
        monkeypatch.setattr(
            HTTPConnection, "connect", noting(before, journal, HTTPConnection.connect)
        )
        threading.Thread(target=answering, args=(listener, answer), daemon=True).start()
        call = client.call("book", "POST", "/api/shows/1/book/", {"seat_number": 5}, key="k")
        client.close()
    assert before == ["sent"]
    assert (call.outcome, call.status, call.key, call.body) == (
        outcome,
        status,
        "k",
        {"seat_number": 5},
    )
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
        call = Call(
            0,
            1,
            act,
            method,
            path,
            body,
            key,
            outcome=outcome,
            status=status,
            code=code,
            answer=answer,
        )
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
    customer(client, monkeypatch)._persist(
        "book", "/api/shows/1/book/", {"seat_number": 5}, keyed=True
    )
    assert len(client.calls) == 5
    assert len({(call.key, call.path, str(call.body)) for call in client.calls}) == 1
    assert client.calls[0].key
    assert client.logins == 1


def test_a_sale_without_a_key_is_not_repeated_when_its_outcome_is_unknown(monkeypatch):
    client = Told(LOST, SOLD)
    customer(client, monkeypatch)._persist(
        "book", "/api/shows/1/book/", {"seat_number": 5}, keyed=False
    )
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
    wait_until(lambda: all(client.calls for client in clients), PATIENCE_SECONDS, "the first calls")
    crowd.pause()
    before = [len(client.calls) for client in clients]
    time.sleep(THINKING_SECONDS[1])
    assert [len(client.calls) for client in clients] == before
    crowd.close()
    assert not any(one.is_alive() for one in crowd.customers)
