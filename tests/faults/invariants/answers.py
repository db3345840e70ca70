"""Of the journal: what was answered stands, what was refused did nothing, and every answer is one
of the contract.
"""

import re
from functools import cache
from typing import Any

from tests.faults.invariants.facts import BOOKED, CANCELLED, EXPIRED, PENDING, Booking, Facts
from tests.faults.run.journal import OK, REFUSED, Call

PROBLEM_JSON = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
WAITING = {"throttled", "unavailable", "seat_contended", "idempotency_in_progress"}
# a refusal that says how the booking ended
TOLD = {
    "hold_expired": EXPIRED,
    "booking_closed": CANCELLED,
}
AFTER = {
    PENDING: {PENDING, BOOKED, CANCELLED, EXPIRED},
    BOOKED: {BOOKED, CANCELLED},
    CANCELLED: {CANCELLED},
    EXPIRED: {EXPIRED},
}
# booking, status, and what else the answer told of it
Acknowledged = tuple[int, str, dict[str, Any]]


def acknowledged_bookings_stand(facts: Facts) -> list[str]:
    """Each as it was last told, or in a state that follows on it."""
    told = []
    seen = set()
    for call in facts.calls:
        for number, status, rest in _acknowledged(call):
            fault = _not_as_told(facts, call, facts.bookings.get(number), status, rest)
            if fault and (number, fault) not in seen:
                seen.add((number, fault))
                told.append(
                    f"Booking {number}, told to customer {call.customer} as {status} ({call.act}), {fault}."
                )
    return told


def _acknowledged(call: Call) -> list[Acknowledged]:
    answer = call.answer or {}
    if (
        call.outcome == REFUSED
        and call.code in TOLD
        and (named := re.search(r"/bookings/(\d+)/", call.path))
    ):
        return [(int(named[1]), TOLD[call.code], {})]
    if call.outcome != OK:
        return []
    bookings = answer.get("items", []) if call.act == "my_bookings" else [answer]
    return [(one["id"], one["status"], one) for one in bookings if "seat_numbers" in one]


def _not_as_told(
    facts: Facts, call: Call, row: Booking | None, status: str, rest: dict[str, Any]
) -> str:
    if row is None:
        return "does not exist"
    if row.user != call.customer:
        return f"is customer {row.user}'s"
    if rest and (rest["show"]["id"], rest["seat_numbers"]) != (
        row.show,
        sorted(facts.numbers_of(row.id)),
    ):
        return "has another show or other seats"
    now = EXPIRED if row.status == PENDING and not facts.is_live(row) else row.status
    return "" if now in AFTER[status] else f"is {now}"


def answers_are_in_the_contract(facts: Facts) -> list[str]:
    """A status and code that OpenAPI declares for the call, the problem's members, and never 500."""
    told = []
    for call in facts.calls:
        if call.status is not None and (fault := _odd(call)):
            told.append(
                f"{call.method} {call.path} (call {call.number}) answered {call.status}{fault}."
            )
    return told


def _odd(call: Call) -> str:
    if call.status == 500:
        return f" {call.code}"
    codes = _declared(call.method, call.path).get(call.status or 0)
    if codes is None:
        return ", which it does not declare"
    if (call.status or 0) < 400:
        return ""
    problem = call.answer or {}
    if call.headers.get("content-type") != PROBLEM_JSON or not problem.keys() >= MEMBERS:
        return " without a whole problem+json"
    if call.code not in codes or problem["status"] != call.status:
        return f" with the code {call.code}"
    if call.status == 401 and not call.headers.get("www-authenticate"):
        return " without WWW-Authenticate"
    return ""


def waiting_is_told(facts: Facts) -> list[str]:
    """Retry-After on every 503 and 429, and wherever a repeat is asked for."""
    return [
        f"{call.method} {call.path} (call {call.number}) answered {call.status} {call.code} without Retry-After."
        for call in facts.calls
        if (call.status in (429, 503) or call.code in WAITING)
        and not re.fullmatch(r"[1-9]\d*", call.headers.get("retry-after", ""))
    ]


def _declared(method: str, path: str) -> dict[int, set[str]]:
    """Status → codes, of the operation at this address."""
    template = re.sub(r"\d+", "{}", path.partition("?")[0])
    return _contract().get((method.lower(), template), {})


@cache
def _contract() -> dict[tuple[str, str], dict[int, set[str]]]:
    from project.api import api  # noqa: PLC0415 - wants Django to be ready

    return {
        (method, re.sub(r"{\w+}", "{}", path)): _answers(operation)
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method, operation in operations.items()
    }


def _answers(operation: dict[str, Any]) -> dict[int, set[str]]:
    return {
        int(status): set(told.get("content", {}).get(PROBLEM_JSON, {}).get("examples", {}))
        for status, told in operation["responses"].items()
    }
