"""Where the model's calls are made for real: a show, two customers, and what may happen to a clock
and to Redis.
"""

import socket
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone
from django_redis import get_redis_connection

from cinema.infra import redis
from cinema.programme.models import Show
from cinema.sales import seat_locks
from cinema.sales.models import Booking, BookingEvent, BookingSeat, IdempotencyKey
from tests.conftest import Api
from tests.support.factories import a_caller, a_show


class World:
    """What all examples share: a show and two customers. Each example finds it as new."""

    def __init__(self, total_seats: int):
        self.show = a_show(total_seats=total_seats)
        self.customers = [Api(a_caller()), Api(a_caller())]
        self.answers = defaultdict(set)
        self.redis_url = settings.REDIS_URL
        self.nobody = socket.socket()  # bound and not listening: whoever connects is refused
        self.nobody.bind(("127.0.0.1", 0))

    def renew(self, starts_in_seconds: float) -> None:
        for table in (BookingEvent, BookingSeat, IdempotencyKey, Booking):
            table.objects.all()._raw_delete(connection.alias)
        self.redis_returns()
        get_redis_connection("default").flushdb()
        self.move_start(starts_in_seconds)

    def move_start(self, seconds: float) -> None:
        """As staff do it. The second that a mark lives has passed behind it, as behind all that
        takes time here.
        """
        self.show.date_time = timezone.now() + timedelta(seconds=seconds)
        self.show.save()
        self.forget_marks()

    def jump(self, seconds: int) -> None:
        """Every time that is kept moves into the past instead."""
        past = timedelta(seconds=seconds)
        Booking.objects.filter(holding=True).update(expires_at=F("expires_at") - past)
        BookingSeat.objects.filter(held_until__isnull=False).update(
            held_until=F("held_until") - past
        )
        Show.objects.update(date_time=F("date_time") - past)
        self.forget_marks()

    def forget_marks(self) -> None:
        client = get_redis_connection("default")
        if marks := client.keys(seat_locks.mark_key("*", "*")):
            client.delete(*marks)

    def redis_refuses(self) -> None:
        pool = get_redis_connection("default").connection_pool
        elsewhere = {"host": "127.0.0.1", "port": self.nobody.getsockname()[1]}
        redis._thread.connection = pool.connection_class(**pool.connection_kwargs | elsewhere)

    def redis_returns(self, probed: bool = True) -> None:
        """Unless it was probed, the breaker stays as open as it is."""
        settings.REDIS_URL = self.redis_url
        with suppress(AttributeError):
            del redis._thread.connection
        if probed:
            redis.breaker.__init__()
        self.forget_marks()
