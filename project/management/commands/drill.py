import secrets
import signal
import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project.up.processes import on_stop_signals


class Command(BaseCommand):
    """The machinery is the tests' and is loaded only here: no request knows of it."""

    help = (
        "Injects faults into a Marquee of its own, "
        "and checks that every promise is kept through each of them."
    )
    # it starts servers of its own; the settings of this process do not matter
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="name the faults and end")
        parser.add_argument(
            "--fault", action="append", default=[], metavar="NAME", help="only this one; repeatable"
        )
        parser.add_argument("--minutes", type=float, default=0, help="random faults for so long")
        parser.add_argument(
            "--full",
            action="store_true",
            help="workers and beat stay dead for a minute, not for 20 s",
        )
        parser.add_argument(
            "--sqlite", action="store_true", help="only the stage with a SQLite file"
        )
        parser.add_argument(
            "--seed", type=int, default=None, help="what the customers want; printed if it is drawn"
        )
        parser.add_argument(
            "--json",
            type=Path,
            default=None,
            metavar="FILE",
            help="write the verdicts there as well",
        )
        parser.add_argument(
            "--journal", type=Path, default=None, metavar="FOLDER", help="keep calls and logs there"
        )
        parser.add_argument(
            "--database-url", default="", help="a PostgreSQL with an empty database, not its own"
        )
        parser.add_argument(
            "--redis-url", default="", help="a Redis that holds nothing else, not its own"
        )
        parser.add_argument(
            "--break",
            dest="breaks",
            default="",
            metavar="NAME",
            help="break one guard: it must fail",
        )

    def handle(self, *_: object, **options: Any) -> None:
        on_stop_signals(signal.default_int_handler)
        if sys.platform != "linux":
            raise CommandError(
                "The drill kills and freezes processes by means that only Linux has."
            )
        if options["seed"] is None:
            options["seed"] = secrets.randbelow(10**6)
        try:
            whole = import_module("tests.faults.run.whole")
        except ModuleNotFoundError as missing:
            raise CommandError(
                f"The drill is not part of this installation: {missing.name} is missing."
            ) from None
        try:
            kept = whole.run(options, self.stdout)
        except KeyboardInterrupt:
            sys.exit("marquee: the drill was interrupted; nothing of it is left running.")
        sys.exit(0 if kept else 1)
