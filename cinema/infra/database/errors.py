"""Which of the database's refusals is it? PostgreSQL says it in an SQLSTATE, MariaDB in a number."""

from django.db import DatabaseError


def is_deadlock(error: DatabaseError) -> bool:
    return _state(error) in {"40P01", "40001", 1213}


def is_lock_timeout(error: DatabaseError) -> bool:
    return _state(error) in {"55P03", 1205}


def _state(error: DatabaseError) -> object:
    return getattr(error.__cause__, "sqlstate", None) or (error.args[0] if error.args else None)
