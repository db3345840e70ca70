"""What does not fit into the queue is refused at the door, and only that."""

import json
import socket
import sys
import threading
from contextlib import ExitStack

import pytest

from project.serving import overload
from tests.support.services import free_port
from tests.support.suite.patience import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells how many wait")
ASKED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", free_port()), backlog=300) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def crowd(listener):
    """`crowd(n)`: so many clients that have asked and wait."""
    with ExitStack() as stack:

        def arrive(number: int) -> list[socket.socket]:
            clients = [
                stack.enter_context(socket.create_connection(listener.getsockname(), 5))
                for _ in range(number)
            ]
            for client in clients:
                client.sendall(ASKED)
            return clients

        yield arrive


def told(client: socket.socket) -> bytes:
    with client.makefile("rb") as answer:
        return answer.read()


def test_who_is_beyond_the_queue_is_refused_at_once(listener, crowd):
    clients = crowd(7)

    assert overload.waiting_at(listener) == 7
    assert overload.refuse_excess(listener, waiting=5) == 2

    head, _, body = told(clients[0]).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    problem = json.loads(body)
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Retry-After"]) > 0
    assert int(headers["Content-Length"]) == len(body)
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    assert problem["request_id"] == headers["X-Request-ID"]


def test_who_fits_still_waits_for_the_server(listener, crowd):
    clients = crowd(7)

    overload.refuse_excess(listener, waiting=5)

    assert overload.waiting_at(listener) == 5
    with listener.accept()[0] as served:
        assert served.recv(100) == ASKED
        served.sendall(b"served")
    assert told(clients[2]) == b"served"


def test_nobody_is_refused_while_there_is_room(listener, crowd):
    crowd(5)

    assert overload.refuse_excess(listener, waiting=5) == 0
    assert overload.waiting_at(listener) == 5


def test_one_look_refuses_a_bounded_number(listener, crowd, monkeypatch):
    monkeypatch.setattr(overload, "AT_ONCE", 3)
    crowd(10)

    assert [overload.refuse_excess(listener, waiting=2) for _ in range(4)] == [3, 3, 2, 0]


def test_a_client_that_has_gone_costs_nothing(listener, crowd):
    for client in crowd(3):
        client.close()

    assert overload.refuse_excess(listener, waiting=0) == 3


def test_the_find_listener_of_this_process_is_found_and_runed(
    listener, crowd, settings, monkeypatch
):
    settings.PORT = listener.getsockname()[1]
    refused = overload.REFUSED._value.get()
    looked = threading.Event()
    refuse_excess = overload.refuse_excess

    def look_once(door):
        if looked.is_set():
            raise OSError("the server has closed it")
        looked.set()
        return refuse_excess(door, waiting=0)

    monkeypatch.setattr(overload, "refuse_excess", look_once)
    (client,) = crowd(1)

    overload.watch()

    assert told(client).startswith(b"HTTP/1.1 503")
    wait_until(lambda: "overload" not in {thread.name for thread in threading.enumerate()})
    assert overload.REFUSED._value.get() == refused + 1
