"""How long after the heal the product works as before: asked by a guest, ten times a second, not by
the customers, who wait as Retry-After asks.
"""

import time

from tests.faults.kinds.fault import Fault, Window
from tests.faults.run.journal import Call
from tests.faults.stage.client import Client
from tests.faults.stage.stage import Stage

PROBE_SECONDS = 0.1
PATIENCE_SECONDS = 2.0
IN_A_ROW = 6  # on new connections, so that every worker of the API is met
NORMAL_SECONDS = 1.0


def bookings_recover(stage: Stage, fault: Fault, window: Window) -> float | None:
    """Seconds from the heal to the first of six good answers in a row; None if they have not come."""
    first: Call | None = None
    good = 0
    while good < IN_A_ROW:
        call = _probe(stage)
        window.probes.append(call)
        good = good + 1 if _is_good(call, window.lag) else 0
        first = call if good == 1 else first
        if time.time() > window.healed + fault.recovery_limit + 2 * PATIENCE_SECONDS and not good:
            return None
        time.sleep(PROBE_SECONDS)
    assert first
    return max(0.0, (first.ended_at or 0) - window.healed)


def mails_recover(stage: Stage, fault: Fault, window: Window) -> float | None:
    """Seconds from the heal to the first mail."""
    deadline = window.healed + fault.mail_limit
    while not (mail := stage.smtp.first_after(window.healed)):
        if time.time() > deadline:
            return None
        time.sleep(PROBE_SECONDS)
    return mail.at - window.healed


def _probe(stage: Stage) -> Call:
    client: Client = stage.guest.twin(PATIENCE_SECONDS)
    call = client.call(
        "book", "POST", f"/api/shows/{stage.roomy_show}/book/", {"seat_number": stage.free_seat()}
    )
    client.close()
    return call


def _is_good(call: Call, lag: float) -> bool:
    answered = call.status == 201 or call.status == 409
    return answered and call.seconds < NORMAL_SECONDS + lag
