"""A whole show is cancelled, and the worker that ends its bookings dies in the middle of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.faults.kinds.fault import DATABASE, DidNotHappen, Fault, Window
from tests.faults.kinds.races import at_once
from tests.faults.kinds.workers import MAIL_SECONDS
from tests.faults.run.journal import Call
from tests.faults.run.waiting import Late, wait_until
from tests.faults.stage.client import Client
from tests.faults.stage.contents import one_more_show
from tests.faults.stage.programs import manage
from tests.faults.stage.stage import Stage

BOOKINGS_EACH, SEATS = 6, 200
SWEEP_SECONDS = 60  # until a worker that was killed is back, and has ended what is left
# As the admin does it, by a clerk who buys nothing.
CANCEL = """
from cinema.people.caller import Caller
from cinema.people.models import User
from cinema.sales import bookings
clerk, _ = User.objects.get_or_create(username="clerk", defaults={{"email": "clerk@drill.example"}})
bookings.cancel_show(Caller(clerk.pk, staff=True), {show})
"""
MIDDLE = """
SELECT FROM cinema_bookingseat WHERE booking_id IN (
  SELECT max(id) FROM cinema_booking WHERE show_id = {show} GROUP BY user_id ORDER BY user_id OFFSET 4 LIMIT 1
) FOR UPDATE
"""
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%cinema_bookingseat%'"


@dataclass
class Cancelled:
    """Of its bookings, those `ended` and `left` when the worker died, and still `live` in the end.

    `behind` are calls behind the cancellation's answer.
    """

    show: int
    ended: int = 0
    left: int = 0
    live: int = 0
    behind: list[Call] = field(default_factory=list)


@contextmanager
def show_cancelled(stage: Stage) -> Iterator[Cancelled]:
    seen = Cancelled(one_more_show(stage.query, SEATS))
    holds = _sell(stage, seen.show)
    assert stage.database
    with stage.database.connect(autocommit=False) as foreign:
        foreign.execute(MIDDLE.format(show=seen.show))
        manage("shell", "-c", CANCEL.format(show=seen.show), environment=stage.api.environment)
        seen.behind = _behind(stage, seen.show, holds)
        wait_until(
            lambda: stage.query(WAITS),
            30,
            "a sweep that waits in the middle of a customer's bookings",
        )
        stage.worker.kill()
        seen.ended, seen.left = _count(stage, seen.show, "= 'cancelled'"), _live(stage, seen.show)
    with suppress(Late):
        wait_until(lambda: not _live(stage, seen.show), SWEEP_SECONDS, "the end of all")
    seen.live = _live(stage, seen.show)
    yield seen
    if not (seen.ended and seen.left):
        raise DidNotHappen(
            f"The worker did not die in the middle: {seen.ended} were cancelled, {seen.left} were not."
        )


def all_are_ended(stage: Stage, window: Window) -> list[str]:
    seen: Cancelled = window.evidence
    odd = [call for call in seen.behind if call.code != "show_cancelled"]
    told = [
        f"a {call.act} behind the cancellation was answered {call.status} {call.code}."
        for call in odd
    ]
    if seen.live:
        told.append(
            f"{seen.live} bookings of a cancelled show were still live after {SWEEP_SECONDS} s."
        )
    return told


def _sell(stage: Stage, show: int) -> list[int]:
    """Every customer books some seats one by one; two hold one more. The ids of their holds."""
    clients = [customer.client.twin() for customer in stage.crowd.customers]
    clients += [stage.guest.twin(), stage.other.twin()]
    for turn in range(BOOKINGS_EACH):
        made = at_once(
            [
                _sale(client, show, "book", _seat(number, turn))
                for number, client in enumerate(clients)
            ]
        )
        if odd := [call for call in made if call.status != 201]:
            raise DidNotHappen(
                f"A show that is to be cancelled was not sold: {odd[0].status} {odd[0].code}."
            )
    made = [
        _sale(client, show, "hold", SEATS - number)() for number, client in enumerate(clients[-2:])
    ]
    return [call.answer["id"] for call in made if call.status == 201 and call.answer]


def _seat(customer: int, turn: int) -> int:
    return customer * BOOKINGS_EACH + turn + 1


def _sale(client: Client, show: int, act: str, seat: int) -> Callable[[], Call]:
    return lambda: client.call(act, "POST", f"/api/shows/{show}/{act}/", {"seat_number": seat})


def _behind(stage: Stage, show: int, holds: list[int]) -> list[Call]:
    """What must be refused: a booking, a hold, and the confirms of what was held."""
    client = stage.guest.twin()
    asked = [_sale(client, show, act, SEATS - 9)() for act in ("book", "hold")]
    for hold, owner in zip(holds, (stage.guest, stage.other), strict=True):
        asked.append(owner.twin().call("confirm", "POST", f"/api/bookings/{hold}/confirm/", {}))
    return asked


def _live(stage: Stage, show: int) -> int:
    return _count(stage, show, "IN ('pending', 'booked')")


def _count(stage: Stage, show: int, status: str) -> int:
    sql = f"SELECT count(*) FROM cinema_booking WHERE show_id = {show} AND status {status}"
    return int(stage.query(sql)[0][0])


FAULTS = [
    Fault(
        "show-cancelled",
        "A whole show is cancelled, and the worker is killed -9 in the middle of a customer's bookings.",
        show_cancelled,
        seconds=0,
        mail_limit=MAIL_SECONDS,
        expect=all_are_ended,
        # it may be between the yes and the stamp of another mail when it dies
        second_mail_allowed=True,
        needs_own=frozenset({DATABASE}),
    ),
]
