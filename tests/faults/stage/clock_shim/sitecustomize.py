"""A process that finds this on its path lives DRILL_CLOCK seconds ahead: what Python asks of the
clock is shifted.
"""

import datetime
import os
import time

AHEAD = float(os.environ.get("DRILL_CLOCK", "0"))
real_time, real_time_ns, real = time.time, time.time_ns, datetime.datetime


class Kind(type):
    def __instancecheck__(cls, one):
        return isinstance(one, real)

    def __subclasscheck__(cls, one):
        return issubclass(one, real)


class Ahead(real, metaclass=Kind):
    """Makes nothing but real datetimes: C code and serializers compare the exact class."""

    def __new__(cls, *args, **kwargs):
        return real.__new__(real, *args, **kwargs)

    @classmethod
    def now(cls, tz=None):
        return real.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return real.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls):
        return cls.now()


if AHEAD:
    time.time = lambda: real_time() + AHEAD
    time.time_ns = lambda: real_time_ns() + int(AHEAD * 10**9)
    datetime.datetime = Ahead
