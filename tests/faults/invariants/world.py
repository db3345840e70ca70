"""Invented facts of a run: rows, calls and mails as a sound product leaves them, for breaking one
at a time.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults.invariants.facts import Facts
from tests.faults.invariants.promises import breaches
from tests.faults.run.journal import Call, Journal

NOW, HOLD_SECONDS, LEASE_SECONDS = 1_800_000_000.0, 8.0, 6.0
STARTS_AT, SEATS_OF_A_SHOW = NOW + 86400, 9
JSON, PROBLEM = {"content-type": "application/json"}, {"content-type": "application/problem+json"}


@dataclass
class Mail:
    message_id: str
    to: str
    at: float


@dataclass
class World:
    """Rows, calls and mails as a sound run leaves them: every act is written wherever the product
    writes it.
    """

    journal: Journal = field(default_factory=Journal)
    mails: list[Mail] = field(default_factory=list)
    bookings: dict[int, list[Any]] = field(default_factory=dict)
    seats: list[list[Any]] = field(default_factory=list)
    events: list[list[Any]] = field(default_factory=list)
    keys: list[tuple[int, int]] = field(default_factory=list)
    shows: dict[int, list[Any]] = field(default_factory=dict)  # when and by whom each was cancelled
    walk_ins: list[int] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)  # of the facts

    def sold(
        self, act: str, at: float, user: int = 1, seats: tuple[int, ...] = (1,), key: str | None = None, show: int = 1,
    ) -> int:  # fmt: skip
        """A hold or a booking that was answered 201 at once."""
        number, holds = len(self.bookings) + 1, act == "hold"
        expires = at + HOLD_SECONDS if holds else None
        status = "pending" if holds else "booked"
        self.bookings[number] = [
            number,
            user,
            show,
            status,
            holds or None,
            f"REF{number}",
            expires,
            at,
        ]
        self.seats += [[number, show, seat, True, expires] for seat in seats]
        self.event(number, "held" if holds else "booked", at, mail=not holds)
        path = f"/api/shows/{show}/{act}/"
        self.call(
            act, at, user, seats=seats, key=key, answer=self.told(number), status=201, path=path
        )
        if key:
            self.keys.append((user, 201))
        return number

    def confirmed(self, number: int, at: float) -> None:
        self.bookings[number][3:7] = ["booked", None, self.bookings[number][5], None]
        for seat in self.seats_of(number):
            seat[4] = None
        self.event(number, "booked", at, mail=True)
        self.call("confirm", at, self.bookings[number][1], booking=number, answer=self.told(number))

    def cancelled(self, number: int, at: float) -> None:
        was_booked = self.bookings[number][3] == "booked"
        self.ended(number, "cancelled", at, mail=was_booked)
        self.call("cancel", at, self.bookings[number][1], booking=number, answer=self.told(number))

    def expired(self, number: int, at: float) -> None:
        self.ended(number, "expired", at, mail=False)

    def ended(self, number: int, kind: str, at: float, mail: bool) -> None:
        self.bookings[number][3:5] = [kind, None]
        for seat in self.seats_of(number):
            seat[3] = None
        self.event(number, kind, at, mail)

    def show_cancelled(self, show: int, at: float, clerk: int = 3) -> None:
        """And all of its bookings with it; of each customer the first that was booked owes the mail
        of all.
        """
        self.shows[show] = [at, clerk]
        letters: dict[int, int] = {}
        for number, row in self.bookings.items():
            if row[2] == show and row[3] in ("pending", "booked"):
                owes, user, pk = row[3] == "booked", row[1], len(self.events) + 1
                letter = letters.setdefault(user, pk) if owes else None
                self.ended(number, "cancelled", at + 1, mail=owes and letter == pk)
                self.events[-1][8:] = [clerk, letter]

    def event(self, number: int, kind: str, at: float, mail: bool) -> None:
        pk, user = len(self.events) + 1, self.bookings[number][1]
        self.events.append(
            [pk, number, kind, at, None, at + 1 if mail else None, None, "", user, None]
        )
        if mail:
            self.mails.append(
                Mail(
                    f"<event-{pk}-REF{number}@localhost>",
                    f"c{self.bookings[number][1]}@x.org",
                    at + 1,
                )
            )

    def call(
        self, act: str, at: float, user: int = 1, booking: int = 0, seats: Any = (), **how: Any
    ) -> Call:
        """Answered 200 in 10 ms unless it is said otherwise."""
        body = {"seat_numbers": list(seats)} if seats else None
        path = f"/api/shows/1/{act}/" if seats else f"/api/bookings/{booking}/{act}/"
        call = self.journal.send(user, act, "POST", path, body, how.pop("key", None))
        call.answered(how.pop("status", 200), how.pop("headers", JSON), how.pop("answer", None))
        if how.pop("unknown", False):
            forget(call)
        call.sent_at, call.ended_at = at - 0.005, at + 0.005
        for name, value in how.items():
            setattr(call, name, value)
        return call

    def refused(self, act: str, at: float, status: int, code: str, **how: Any) -> Call:
        members = {
            "type": "",
            "title": "",
            "status": status,
            "detail": "",
            "code": code,
            "request_id": "",
        }
        headers = PROBLEM | how.pop("headers", {})
        return self.call(
            act, at, status=status, headers=headers, answer=members | how.pop("extra", {}), **how
        )

    def unknown(self, act: str, at: float, **how: Any) -> Call:
        return self.call(act, at, unknown=True, **how)

    def told(self, number: int) -> dict[str, Any]:
        seats = [seat[2] for seat in self.seats_of(number)]
        _, _, show, status, *_ = self.bookings[number]
        return {"id": number, "status": status, "show": {"id": show}, "seat_numbers": seats}

    def seats_of(self, number: int) -> list[list[Any]]:
        return [seat for seat in self.seats if seat[0] == number]

    def last_event(self) -> list[Any]:
        return self.events[-1]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        tables = {
            "cinema_booking ": [self.with_times(row, 6, 8) for row in self.bookings.values()],
            "cinema_bookingseat ": [self.with_times(row, 4, 5) for row in self.seats],
            "cinema_bookingevent ": [self.with_times(row, 3, 7) for row in self.events],
            "cinema_idempotencykey ": self.keys,
            "cinema_show ": [
                (show, at(STARTS_AT), SEATS_OF_A_SHOW, *self.end_of(show)) for show in (1, 2)
            ],
            "username = 'walk-in'": [(user,) for user in self.walk_ins],
            "cinema_user ": [(user, f"c{user}@x.org") for user in range(1, 4)],
            "CURRENT_TIMESTAMP ": [(at(NOW),)],
        }
        return next(rows for name, rows in tables.items() if name in f"{sql} ")

    def end_of(self, show: int) -> tuple[datetime | None, int | None]:
        moment, clerk = self.shows.get(show, (None, None))
        return at(moment), clerk

    @staticmethod
    def with_times(row: list[Any], first: int, behind: int) -> tuple[Any, ...]:
        return (*row[:first], *map(at, row[first:behind]), *row[behind:])

    def breaches(self) -> list[str]:
        facts = Facts(
            self.query,
            self.journal,
            self.mails,
            HOLD_SECONDS,
            LEASE_SECONDS,
            taken_at=NOW,
            **self.more,
        )
        return breaches(facts)

    def breached(self) -> set[str]:
        return {sentence.partition(":")[0] for sentence in self.breaches()}


def forget(call: Call) -> None:
    """The answer never came."""
    call.outcome, call.status, call.code, call.answer, call.headers = (
        "unknown",
        None,
        None,
        None,
        {},
    )


def at(time: float | None) -> datetime | None:
    return None if time is None else datetime.fromtimestamp(time, UTC)


def a_sound_world() -> World:
    """Every path that a booking can take, and every ending that a call can have."""
    world = World()
    first = world.sold("book", NOW - 100, seats=(1, 2), key="k1")
    again = world.call(
        "book", NOW - 99, seats=(1, 2), key="k1", answer=world.told(first), status=201
    )
    assert again.outcome == "ok"
    world.cancelled(first, NOW - 90)
    world.confirmed(world.sold("hold", NOW - 80, user=2), NOW - 75)  # 2, booked: has seat 1
    world.expired(world.sold("hold", NOW - 70, seats=(2,)), NOW - 50)  # 3
    world.cancelled(world.sold("hold", NOW - 40, seats=(2,)), NOW - 39)  # 4
    world.sold("hold", NOW - 30, user=3, seats=(3,))  # 5, stale and not swept
    world.sold("hold", NOW - 2, seats=(3,))  # 6, live
    for seat in (1, 2):
        # 7, 8: of a show that is cancelled
        world.sold("book", NOW - 30 + seat, seats=(seat,), show=2)
    world.sold("hold", NOW - 27, seats=(3,), show=2)  # 9
    world.sold("book", NOW - 26, user=2, seats=(4,), show=2)  # 10
    world.show_cancelled(2, NOW - 25)
    world.refused("book", NOW - 60, 409, "seat_taken", user=3, seats=(1, 4), extra={"seats": [1]})
    world.refused("confirm", NOW - 10, 410, "hold_expired", user=3, booking=5)
    world.refused(
        "book", NOW - 60, 503, "unavailable", user=3, seats=(4,), headers={"retry-after": "2"}
    )
    world.unknown("book", NOW - 55, user=3, seats=(5,), key="k2")
    world.unknown("cancel", NOW - 54, user=2, booking=2)
    return world
