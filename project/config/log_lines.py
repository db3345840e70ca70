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
from typing import Any, TypedDict

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from cinema.infra import logs


class Logger(TypedDict, total=False):
    """One logger as `logging.config` takes it."""

    handlers: list[str]
    level: str


# Their words hold paths, queries, referrers and host names: kind and place of the error say enough.
QUOTING = ("django.request", "django.security")
# RequestMiddleware writes a request's line; `axes` names who tries to log in; tasks log their
# end themselves.
LOGGERS: dict[str, Logger] = {
    "django": {"handlers": [], "level": "INFO"},
    "django.request": {"level": "ERROR"},
    "django.server": {"handlers": [], "level": "CRITICAL"},
    "axes": {"level": "ERROR"},
    "celery.app.trace": {"level": "CRITICAL"},
}
# In development a person reads along: connections are no news, and Flower asks workers that are
# just starting, and asks again.
IN_DEVELOPMENT: dict[str, Logger] = {
    "celery.worker.consumer.connection": {"level": "WARNING"},
    "flower": {"level": "WARNING"},
    "flower.inspector": {"level": "ERROR"},
    "kombu.mixins": {"level": "WARNING"},
}


def configure(*, debug: bool, level: str) -> dict[str, Any]:
    """Set structlog up, and return Django's LOGGING."""
    logging.captureWarnings(not debug)
    renderer: Processor = _as_json
    loggers = LOGGERS
    if debug:
        renderer = structlog.dev.ConsoleRenderer(colors=_colored())
        loggers = LOGGERS | IN_DEVELOPMENT
    structlog.configure(
        processors=[*_steps(), renderer],
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
        "loggers": loggers,
    }


def formatter(debug: bool = False) -> structlog.stdlib.ProcessorFormatter:
    """Format records of the standard library.

    The server names it in `log_config.json`, before there is a Django.
    """
    renderer: Processor = _as_text
    if debug:
        renderer = structlog.dev.ConsoleRenderer(colors=_colored())
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
        if isinstance(line, str):
            line = line.encode(errors="replace")
        write(line)

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


def _add_carried(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What the line says itself goes before what its thread carries."""
    return {**logs.carried(), **event}


def _add_logger(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    source = event.get("_record") or logger
    event["logger"] = source.name
    return event


def _without_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep of an exception its kind and the places that it came through."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    if error:
        event["error"] = type(error).__name__
        event["exception"] = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return event


def _without_quotes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event["_record"]
    if record.name.startswith(QUOTING):
        event["event"] = f"refused or broken: {record.name.rpartition('.')[2]}"
    return event


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=_kind, option=orjson.OPT_NON_STR_KEYS)


def _as_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _as_json(logger, method, event).decode()


def _kind(value: object) -> str:
    return type(value).__name__


def _colored() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
