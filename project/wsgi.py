"""What a server loads: Django, behind the one thing that it leaves to its server."""

import io
import os
from collections.abc import Iterable
from typing import Any

import django
import structlog
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)
if not settings.REDIS_URL:
    log = structlog.get_logger("marquee.server")
    log.warning("REDIS_URL is not set: no seat locks, the database alone says who gets a seat")

from project.management.commands.serve import REQUEST_THREADS  # noqa: E402
from project.serving import fast_path, metrics, overload  # noqa: E402 - what they import needs Django set up
from project.serving.fast_path import ApiFastPath  # noqa: E402

overload.watch()
metrics.THREADS.set(REQUEST_THREADS)
fast_path.trim_signals()


class Handler(ApiFastPath, WSGIHandler): ...


handler = Handler()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django reads a body by its length alone, and would take one that comes in chunks for none.

    An extended parameter of the content type (`charset*=x'y'%FF`) may name any codec, on which
    Django falls.
    """
    if "*" in (environ.get("CONTENT_TYPE") or ""):
        environ["CONTENT_TYPE"] = "application/octet-stream"  # which is not JSON either
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
        try:
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        except OSError:
            # refused by RequestMiddleware: half a body is not acted upon
            environ["CONTENT_LENGTH"] = "cut off"
        else:
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return handler(environ, start_response)
