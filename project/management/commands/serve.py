import os
import shutil
import sys
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand

from project.up.preflight import resolve_host

REQUEST_THREADS = 3  # a process


class Command(BaseCommand):
    """The one place of the serving setup: `up`, docker-compose and the benchmark all run this."""

    help = "Serves the API on HOST and PORT in the foreground, one process per core."
    requires_system_checks = []

    def handle(self, *_: object, **__: object) -> None:
        os.execve(sys.executable, granian(), environment())  # noqa: S606 - no shell is the point


def granian() -> list[str]:
    options = {
        "interface": "wsgi",
        "workers": str(cores()),
        "blocking-threads": str(REQUEST_THREADS),
        "host": resolve_host(settings.HOST, settings.PORT)[1],
        "port": str(settings.PORT),
        "backlog": "2048",
        # per worker, and an idle keep-alive connection counts: 1024 open files are usual
        "backpressure": "512",
        # a client that never finishes its headers gives its place back
        "http1-header-read-timeout": "10000",
        # a reload (HUP) ends an old worker so long after its successor's start
        "respawn-interval": "10",
        "workers-kill-timeout": "8",  # below the grace that `up` gives
    }
    if settings.DEBUG:
        options["log-level"] = "warning"
    else:  # its own lines as ours
        options["log-config"] = str(settings.BASE_DIR / "project/serving/log_config.json")
    command = [sys.executable, "-m", "granian"]
    for name, value in options.items():
        command += [f"--{name}", value]
    command += ["--no-ws", "--no-access-log", "--respawn-failed-workers"]
    return [*command, "project.wsgi:application"]


def cores() -> int:
    """Count what this process may use, which in a container is less than the machine's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    return os.environ | {
        "PYTHONPATH": path,
        "PROMETHEUS_MULTIPROC_DIR": str(emptied(settings.VAR / "metrics")),
    }


def emptied(folder: Path) -> Path:
    """Empty the port's own folder, so that a server never empties another's counters."""
    own = folder.resolve() / str(settings.PORT)
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    return own
