import os
import secrets
import signal
import sys
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from io import StringIO

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connections

from project.management.commands.seed_demo import DEMO_LOGINS
from project.up import embedded_redis
from project.up.output import Output
from project.up.preflight import (
    PATIENCE_SECONDS,
    check_database,
    check_port,
    only_one,
    resolve_host,
    without_password,
)
from project.up.processes import Process, Supervisor, on_stop_signals

START_SECONDS = 60
FLOWER_HOST = "127.0.0.1"
# for Flower the table waits no longer: it is restarted, and tickets are sold without it
FLOWER_SECONDS = 20


class Command(BaseCommand):
    help = (
        "Runs API, worker, beat and Flower until Ctrl-C, "
        "with a Redis and demo data where none are given."
    )
    # some ask the database; where it is away, check_database has a sentence for it
    requires_system_checks = []

    def handle(self, *_: object, **__: object) -> None:
        on_stop_signals(signal.default_int_handler)
        try:
            with only_one(settings.VAR / "up.lock") as died, closing(Output()) as output:
                refuse_early(PATIENCE_SECONDS if died else 0)
                prepare_database(output)
                run(output)
        except KeyboardInterrupt:
            return  # before anything was started
        except CommandError as refusal:
            sys.exit(f"marquee: {refusal}")


def refuse_early(patience: float) -> None:
    check_database(settings.DATABASE_URL)
    if settings.PORT == settings.FLOWER_PORT:
        raise CommandError(
            f"PORT and FLOWER_PORT are both {settings.PORT}: set one of them to another."
        )
    check_port("PORT", settings.HOST, settings.PORT, patience)
    if flower_runs():
        check_port("FLOWER_PORT", FLOWER_HOST, settings.FLOWER_PORT, patience)


def prepare_database(output: Output) -> None:
    output.say(f"bringing the database up to date: {without_password(settings.DATABASE_URL)}")
    call_command("migrate", verbosity=0, interactive=False)
    if settings.DEBUG:
        said = StringIO()
        call_command("seed_demo", stdout=said)
        for line in said.getvalue().splitlines():
            output.say(line)
    connections.close_all()  # `up` itself needs none from here on


def run(output: Output) -> None:
    flower_auth = settings.FLOWER_BASIC_AUTH
    if not flower_auth and flower_runs():
        flower_auth = f"admin:{secrets.token_urlsafe(12)}"
    with Supervisor(output) as supervisor:
        redis_url = settings.REDIS_URL or start_redis(supervisor)
        supervisor.start(programs(redis_url, flower_auth))
        if not flower_auth:
            output.say(
                "Flower is not started: with DEBUG off it needs FLOWER_BASIC_AUTH, "
                "such as user:password."
            )
        born = time.monotonic()
        if supervisor.run(until=lambda: is_complete(born), seconds=START_SECONDS):
            for line in table(redis_url, flower_auth):
                output.say(line)
            supervisor.run(until=lambda: False)
        elif not supervisor.asked:
            raise CommandError(
                f"{url()}/livez has not answered for {START_SECONDS} s: the lines above may say why."
            )


def start_redis(supervisor: Supervisor) -> str:
    port = embedded_redis.free_port()
    redis = Process(
        "redis", embedded_redis.command(port), outlives=True, unsaid=embedded_redis.UNSAID
    )
    supervisor.start([redis])
    answers = supervisor.run(until=lambda: embedded_redis.answers(port), seconds=10)
    if not answers and not supervisor.asked:
        sentence = "The embedded Redis has not answered for 10 s"
        raise CommandError(f"{sentence}: set REDIS_URL to a Redis that runs.")
    supervisor.output.say(f"embedded Redis, until `up` ends: {embedded_redis.url(port)}")
    return embedded_redis.url(port)


def programs(redis_url: str, flower_auth: str) -> list[Process]:
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    common = {"REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path}
    # Without Celery's banner, which is forty lines for a person and no JSON for a program.
    celery = [sys.executable, "-m", "celery", "-A", "workers", "--quiet"]
    worker = [
        *celery,
        "worker",
        "--concurrency=2",
        "--loglevel=info",
        "--without-gossip",
        "--without-mingle",
    ]
    beat = [*celery, "beat", "--loglevel=info", "--pidfile="]
    flower = [*celery, "flower", f"--address={FLOWER_HOST}", f"--port={settings.FLOWER_PORT}"]
    made = [
        Process(
            "api",
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve"],
            common,
            vital=True,
        ),
        # At a TERM a running task gets its time.
        Process("worker", worker, common | {"REMAP_SIGTERM": "SIGQUIT"}),
        Process("beat", beat, common),
    ]
    if flower_auth:  # by the environment: everybody on the machine can read a command line
        made.append(Process("flower", flower, common | {"FLOWER_BASIC_AUTH": flower_auth}))
    return made


def flower_runs() -> bool:
    return settings.DEBUG or bool(settings.FLOWER_BASIC_AUTH)


def is_complete(born: float) -> bool:
    if not answers(resolve_host(settings.HOST, settings.PORT)[1], settings.PORT, "/livez", {200}):
        return False
    if not flower_runs() or time.monotonic() - born > FLOWER_SECONDS:
        return True
    return answers(FLOWER_HOST, settings.FLOWER_PORT, "/", {200, 401})


def answers(host: str, port: int, path: str, statuses: set[int]) -> bool:
    # reads the setting, binds nothing
    place = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    with (
        closing(HTTPConnection(place, port, timeout=2)) as client,
        suppress(OSError, HTTPException),
    ):
        client.request("GET", path)
        return client.getresponse().status in statuses
    return False


def url() -> str:
    host = settings.HOST
    if host in {"0.0.0.0", "::"}:  # noqa: S104
        host = "localhost"
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{settings.PORT}"


def table(redis_url: str, flower_auth: str) -> list[str]:
    rows = [
        ("API", f"{url()}/api/"),
        ("Swagger", f"{url()}/swagger/"),
        ("ReDoc", f"{url()}/redoc/"),
        ("Admin", f"{url()}/admin/"),
        ("Flower", describe_flower(flower_auth)),
        ("Database", without_password(settings.DATABASE_URL)),
        ("Redis", without_password(redis_url)),
        ("Mails", describe_mails()),
    ]
    if settings.DEBUG:
        for name, password, what_for in DEMO_LOGINS:
            rows.append(("Login", f"{name} / {password}  {what_for}"))
    lines = [f"  {what:<9} {where}" for what, where in rows]
    return ["", "Marquee is up; Ctrl-C ends it.", *lines, ""]


def describe_flower(auth: str) -> str:
    """Return its address and login; one that was set is in the settings and not shown."""
    if not auth:
        return "not started"
    login = "FLOWER_BASIC_AUTH"
    if not settings.FLOWER_BASIC_AUTH:
        login = auth.replace(":", " / ", 1)
    return f"http://{FLOWER_HOST}:{settings.FLOWER_PORT}/  {login}"


def describe_mails() -> str:
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return f"files in {settings.EMAIL_FILE_PATH}"
