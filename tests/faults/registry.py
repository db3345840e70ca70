"""Every fault, in the order of a whole drill."""

from tests.faults import (
    faults_links,
    faults_mail,
    faults_postgres,
    faults_processes,
    faults_races,
    faults_redis,
    faults_requests,
    faults_shows,
    faults_sqlite,
    faults_workers,
)
from tests.faults.fault import Fault

FAULTS: list[Fault] = [
    *faults_workers.FAULTS,
    *faults_mail.FAULTS,  # early: what they put off comes while the others run
    *faults_redis.FAULTS,
    *faults_processes.FAULTS,
    *faults_requests.FAULTS,
    *faults_races.FAULTS,
    *faults_shows.FAULTS,
    *faults_postgres.FAULTS,
    *faults_links.FAULTS,
    *faults_sqlite.FAULTS,
]
