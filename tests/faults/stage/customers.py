"""Eight customers who hold, book, confirm, cancel, look, and repeat what they do not know the end
of.

Honest ones: they keep one try to one key, wait as Retry-After asks, and give up in the end. The
seed decides what they want; when they get it is the machine's.
"""

import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.faults.run.journal import UNKNOWN, Call
from tests.faults.run.waiting import Late
from tests.faults.stage.client import Client

TRIES = 6
LONGEST_WAIT_SECONDS = 3.0  # of what Retry-After may ask: a drill is short
THINKING_SECONDS = (0.2, 0.8)
MOST_BOOKINGS = 3
COME_AGAIN = {"seat_contended", "idempotency_in_progress", "unavailable", "throttled"}


@dataclass
class Gate:
    """Where customers wait while the drill looks at what they have done."""

    open: threading.Event = field(default_factory=threading.Event)
    over: bool = False


class Customer(threading.Thread):
    def __init__(self, client: Client, shows: list[int], seats: int, seed: str, gate: Gate) -> None:
        super().__init__(daemon=True)
        self.client, self.shows, self.seats, self.gate = client, shows, seats, gate
        self.random = Random(seed)
        self.rests = threading.Event()
        self.mine: dict[int, str] = {}  # status by booking, as last heard
        self.etags: dict[int, str] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while self._may_go_on():
                self._act()
                time.sleep(self.random.uniform(*THINKING_SECONDS))
        except Exception as error:  # a defect of the drill's: the run must fail, not fall silent
            self.error = error
        finally:
            self.rests.set()

    def _may_go_on(self) -> bool:
        if not self.gate.open.is_set():
            self.rests.set()
            self.gate.open.wait()
            self.rests.clear()
        return not self.gate.over

    def _act(self) -> None:
        held, booked = self._with("pending"), self._with("booked")
        dice = self.random.random()
        if held and dice < 0.5:
            self._settle(
                "confirm" if self.random.random() < 0.75 else "cancel", self.random.choice(held)
            )
        elif len(booked) > MOST_BOOKINGS or (booked and dice < 0.6):
            self._settle("cancel", self.random.choice(booked))
        elif dice < 0.85:
            self._sale("hold" if self.random.random() < 0.5 else "book")
        else:
            self._look()

    def _with(self, status: str) -> list[int]:
        return [booking for booking, heard in self.mine.items() if heard == status]

    def _sale(self, act: str) -> None:
        show = self.random.choice(self.shows)
        first = self.random.randint(1, self.seats)
        wanted = sorted(
            {
                first,
                *self.random.choices(range(1, self.seats + 1), k=self.random.choice((0, 0, 1, 2))),
            }
        )
        body = {"seat_number": first} if len(wanted) == 1 else {"seat_numbers": wanted}
        call = self._persist(
            act, f"/api/shows/{show}/{act}/", body, keyed=self.random.random() < 0.6
        )
        if call.outcome == UNKNOWN:
            self._remember_all()

    def _settle(self, act: str, booking: int) -> None:
        call = self._persist(
            act, f"/api/bookings/{booking}/{act}/", {}, keyed=self.random.random() < 0.5
        )
        if call.code in {"hold_expired", "booking_closed", "not_found"}:
            self.mine.pop(booking, None)

    def _persist(self, act: str, path: str, body: dict[str, Any], *, keyed: bool) -> Call:
        """Try until there is an answer that is an end. Without a key a sale of unknown outcome is
        not repeated.
        """
        key = f"{self.random.getrandbits(64):016x}" if keyed else None
        again = keyed or act in {"confirm", "cancel"}
        for attempt in range(TRIES):
            call = self.client.call(act, "POST", path, body, key)
            self._learn(call)
            if call.outcome == UNKNOWN and again:
                self._wait(0.1 * 2**attempt)
            elif call.code in COME_AGAIN:
                self._wait(min(float(call.headers.get("retry-after", 1)), LONGEST_WAIT_SECONDS))
            elif call.status == 401:
                self.client.log_in()
            else:
                break
        return call

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds * self.random.uniform(0.8, 1.2))

    def _look(self) -> None:
        show = self.random.choice(self.shows)
        what = self.random.choice(("seats", "seats", "my_bookings", "booking"))
        if what == "seats":
            call = self.client.call(
                "seats", "GET", f"/api/shows/{show}/seats/", etag=self.etags.get(show)
            )
            self.etags[show] = call.headers.get("etag", "")
        elif what == "my_bookings" or not self.mine:
            self._remember_all()
        else:
            booking = self.random.choice(list(self.mine))
            self._learn(self.client.call("booking", "GET", f"/api/bookings/{booking}/"))

    def _remember_all(self) -> None:
        call = self.client.call("my_bookings", "GET", "/api/my-bookings/?limit=20")
        if call.status == 200 and call.answer:
            live = [
                item for item in call.answer["items"] if item["status"] in {"pending", "booked"}
            ]
            self.mine = {
                item["id"]: item["status"] for item in live if item["show"]["id"] in self.shows
            }
        elif call.status == 401:
            self.client.log_in()

    def _learn(self, call: Call) -> None:
        """Keep what a whole booking tells of itself."""
        if call.outcome == "ok" and call.answer and "seat_numbers" in call.answer:
            booking, status = call.answer["id"], call.answer["status"]
            self.mine[booking] = status
            if status in {"cancelled", "expired"}:
                del self.mine[booking]


class Crowd:
    """All customers together, let go and held back at one gate."""

    def __init__(self, clients: list[Client], shows: list[int], seats: int, seed: int) -> None:
        self.gate = Gate()
        self.customers = [
            Customer(client, shows, seats, f"{seed}-{number}", self.gate)
            for number, client in enumerate(clients)
        ]
        for customer in self.customers:
            customer.start()

    def resume(self) -> None:
        self.gate.open.set()

    def pause(self, seconds: float = 45) -> None:
        """Returns when nobody has anything under way. Raises what a customer died of, and Late."""
        self.gate.open.clear()
        deadline = time.monotonic() + seconds
        for customer in self.customers:
            if not customer.rests.wait(max(0.0, deadline - time.monotonic())):
                raise Late(f"the end of a customer's call has not come within {seconds:g} s")
            if customer.error:
                raise customer.error

    def close(self) -> None:
        self.gate.over = True
        self.gate.open.set()
        for customer in self.customers:
            customer.join(20)
