"""Every fault, in the order of a whole drill."""

from tests.faults.kinds import (
    links,
    mail,
    postgres,
    processes,
    races,
    redis,
    requests,
    shows,
    sqlite,
    workers,
)
from tests.faults.kinds.fault import Fault

FAULTS: list[Fault] = [
    *workers.FAULTS,
    *mail.FAULTS,  # early: what they put off comes while the others run
    *redis.FAULTS,
    *processes.FAULTS,
    *requests.FAULTS,
    *races.FAULTS,
    *shows.FAULTS,
    *postgres.FAULTS,
    *links.FAULTS,
    *sqlite.FAULTS,
]
