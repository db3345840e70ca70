"""Tasks carry ids alone and may run twice, late or never.

What they do is decided by the rows they find.

They are sent their arguments by name, so that Flower says what each is.
"""

import time

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from cinema.notifications import deliveries
from cinema.people import logins
from cinema.sales import bookings, idempotency
from workers.celery import MAIL_HARD_SECONDS, MAIL_SOFT_SECONDS, app

log = structlog.get_logger("marquee.task")

MAILS_PER_SWEEP = 500
HOLDS_PER_BATCH, BATCHES_PER_TICK = 500, 200  # a batch locks its rows for some 20 ms
HELP_SECONDS = 5  # after that the first is done
CUSTOMERS_PER_BATCH = 50
# the next tick goes on: holds and mails of others do not wait for a whole hall
CANCELLING_SECONDS = 4


@app.task
def sweep_mail() -> None:
    """Queue what is due.

    If the broker fails half-way, the mails that were not queued are due again after QUEUED_SECONDS.
    """
    for due in deliveries.queue_due(MAILS_PER_SWEEP):
        send_mail.apply_async(kwargs=due._asdict(), expires=deliveries.QUEUED_SECONDS)


@app.task(soft_time_limit=MAIL_SOFT_SECONDS, time_limit=MAIL_HARD_SECONDS)
def send_mail(kind: str, pk: int, attempt: int) -> None:
    try:
        deliveries.deliver(kind, pk, attempt)
    except SoftTimeLimitExceeded:
        deliveries.put_off(kind, pk, attempt + 1, f"not done in {MAIL_SOFT_SECONDS} s")


@app.task
def expire_holds(helps: bool = False) -> None:
    """Expire stale holds. A full first batch may be a crowd's, so a second worker helps.

    Each skips what the other has locked.
    """
    for batch in range(BATCHES_PER_TICK):
        if bookings.expire_stale(HOLDS_PER_BATCH) < HOLDS_PER_BATCH:
            return
        if batch == 0 and not helps:
            expire_holds.apply_async(kwargs={"helps": True}, expires=HELP_SECONDS)


@app.task
def cancel_bookings_of_cancelled_shows() -> None:
    """It may die anywhere: the next tick finds who is left."""
    until = time.monotonic() + CANCELLING_SECONDS
    while bookings.cancel_bookings_of_cancelled_shows(CUSTOMERS_PER_BATCH):
        if time.monotonic() >= until:
            return


@app.task
def purge_logins_and_keys() -> None:
    ended, old = logins.purge_ended(), idempotency.purge()
    log.info("purged", ended_logins=ended, old_keys=old)
