"""How log lines look: JSON, one object a line, or for people in development.

They go to standard error.

What passes through the standard library's loggers (Django's, Celery's, the server's) takes the same
way. Of an exception the kind and the place are kept, and never its words: a database's, say, quote
what a customer typed.
"""

import logging
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from cinema.infra import logs

# Their words hold paths, queries, referrers and host names: kind and place of the error say enough.
QUOTING = ("django.request", "django.security")
# RequestMiddleware writes a request's line; `axes` names who tries to log in; tasks log their
# end themselves.
LOGGERS: dict[str, Any] = {
    "django": {"handlers": [], "level": "INFO"},
    "django.request": {"level": "ERROR"},
    "django.server": {"handlers": [], "level": "CRITICAL"},
    "axes": {"level": "ERROR"},
    "celery.app.trace": {"level": "CRITICAL"},
}
# In development a person reads along: connections are no news, and Flower asks workers that are just
# starting, and asks again.
IN_DEVELOPMENT: dict[str, Any] = {
    "celery.worker.consumer.connection": {"level": "WARNING"},
    "flower": {"level": "WARNING"},
    "flower.inspector": {"level": "ERROR"},
    "kombu.mixins": {"level": "WARNING"},
}


def configure(*, debug: bool, level: str) -> dict[str, Any]:
    """Structlog's set-up, and Django's LOGGING as its answer."""
    logging.captureWarnings(not debug)
    structlog.configure(
        processors=[
            *_steps(),
            structlog.dev.ConsoleRenderer(colors=_colored()) if debug else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=Writer,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter, "debug": debug}},
        "handlers": {"console": {"()": Handler, "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": LOGGERS | (IN_DEVELOPMENT if debug else {}),
    }


def formatter(debug: bool = False) -> structlog.stdlib.ProcessorFormatter:
    """Format records of the standard library.

    The server names it in `log_config.json`, before there is a Django.
    """
    renderer = structlog.dev.ConsoleRenderer(colors=_colored()) if debug else _as_text
    steps: list[Processor] = [_without_quotes, *_steps()]
    keep: Processor = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=steps, processors=[keep, renderer])


def write(line: bytes) -> None:
    """Write in one call, so that lines of several processes do not mix.

    Where nobody reads any more, none is missed.
    """
    with suppress(OSError):
        os.write(2, line + b"\n")


class Writer:
    """What structlog writes to. Every level is the same: which are written is decided before."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str | bytes) -> None:
        write(line if isinstance(line, bytes) else line.encode(errors="replace"))

    debug = info = warning = error = critical = msg


class Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            write(self.format(record).encode(errors="replace"))
        except Exception:
            self.handleError(record)


def _steps() -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [_add_carried, structlog.stdlib.add_log_level, _add_logger, stamp, _without_words]


def _add_carried(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What the line says itself goes before what its thread carries."""
    return {**logs.carried(), **event}


def _add_logger(logger: Any, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = record.name if record else logger.name
    return event


def _without_words(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """An exception as its kind and the places that it came through."""
    error = event.pop("exc_info", None)
    if error and not isinstance(error, BaseException):
        error = error[1] if isinstance(error, tuple) else sys.exc_info()[1]
    if error:
        event["error"] = type(error).__name__
        event["exception"] = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return event


def _without_quotes(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record = event["_record"]
    if record.name.startswith(QUOTING):
        event["event"] = f"refused or broken: {record.name.rpartition('.')[2]}"
    return event


def _as_json(_logger: Any, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=_kind, option=orjson.OPT_NON_STR_KEYS)


def _as_text(logger: Any, method: str, event: EventDict) -> str:
    return _as_json(logger, method, event).decode()


def _kind(value: object) -> str:
    return type(value).__name__


def _colored() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
