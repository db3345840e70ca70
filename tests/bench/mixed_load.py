"""Mixed loads for the side-by-side benchmark: stands in for its load.py, which it expects beside it
as plain_load.py.

    reads-among-writes  of ten calls six seat maps, three show lists and a booking: every target can do it
    groups              POST book, four seats side by side, every request others (ours alone)
    journey             a hold of two seats, its confirm, and of every second one the cancel (ours alone)

Everything else is the benchmark's own: clients, clock, latencies, CPU. docs/performance.md says how
to run it.
"""

import json
from collections import deque
from collections.abc import Iterator

import plain_load
from plain_load import Conn, mint, run  # noqa: F401 - what compare.py asks of load

BOOK, MAP, LIST = 1, 6, 3  # of ten
plain_finish = Conn.finish


class Mixed(plain_load.Run):
    """Answers that lead to a further call are kept in `next_calls`: those go first."""

    def _requests(self) -> Iterator[tuple[object, bytes]]:
        self.next_calls: deque[tuple[object, bytes]] = deque()
        kinds = {
            "reads-among-writes": self._read_and_write,
            "groups": self._groups,
            "journey": self._journeys,
        }
        return kinds[self.workload]() if self.workload in kinds else super()._requests()

    def _read_and_write(self) -> Iterator[tuple[object, bytes]]:
        seats = self._free(1)
        while True:
            kind = self.rng.choices(["book", "map", "list"], [BOOK, MAP, LIST])[0]
            if kind == "book":
                show, seat = next(seats)
                yield 0, self._book(show, seat)
            elif kind == "map":
                yield (
                    0,
                    self._get(plain_load.PATHS["seats"].format(id=self.rng.randint(1, self.shows))),
                )
            else:
                yield (
                    0,
                    self._get(
                        plain_load.PATHS["shows"].format(id=self.rng.randint(1, self.movies))
                    ),
                )

    def _groups(self) -> Iterator[tuple[object, bytes]]:
        for show, seat in self._free(4):
            numbers = list(range(seat, seat + 4))
            path = plain_load.PATHS["book"].format(id=show)
            yield 0, self._post(path, {"seat_numbers": numbers}, self.rng.choice(self.tokens))

    def _journeys(self) -> Iterator[tuple[object, bytes]]:
        seats = self._free(2)
        # one hold a customer and show: each customer goes through the shows in an order of its own
        while True:
            while self.next_calls:
                yield self.next_calls.popleft()
            if not (place := next(seats, None)):
                return
            token = self.tokens[(place[0] + place[1]) % len(self.tokens)]
            body = {"seat_numbers": [place[1], place[1] + 1]}
            yield ("hold", token), self._post(f"/api/shows/{place[0]}/hold/", body, token)

    def goes_on(self, done: tuple[str, str], status: int, body: bytes) -> None:
        act, token = done
        if status in (200, 201) and (then := {"hold": "confirm", "confirm": "cancel"}.get(act)):
            number = json.loads(body)["id"]
            if then == "confirm" or number % 2:
                call = self._post(f"/api/bookings/{number}/{then}/", {}, token)
                self.next_calls.append(((then, token), call))

    def _free(self, step: int) -> Iterator[tuple[int, int]]:
        """Places that nobody has bought: the first third of every hall may be sold."""
        first = self.seats // 3 + 1
        places = [
            (show, seat)
            for show in range(1, self.shows + 1)
            for seat in range(first, self.seats - step, step)
        ]
        self.rng.shuffle(places)
        return iter(places)

    def _post(self, path: str, body: dict, token: str) -> bytes:
        text = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {token}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def finish(self: Conn, status: int, head: bytes, close: bool) -> None:
    if isinstance(self.key, tuple):
        self.run.goes_on(self.key, status, self.buf.partition(b"\r\n\r\n")[2])
    plain_finish(self, status, head, close)


plain_load.Run, Conn.finish = Mixed, finish
