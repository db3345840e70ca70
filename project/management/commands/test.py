import os
import sys
from typing import NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand

# One suite over all cores; whoever says how to run it, or wants a debugger, which needs one
# process, is obeyed.
IN_PARALLEL = ["-n", "auto", "--dist", "loadfile"]
OWN_WAY = ("-n", "-p", "--numprocesses", "--dist", "--pdb", "--trace")


class Command(BaseCommand):
    help = "Runs the suite with pytest; all arguments are pytest's."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        """Django's parser would refuse pytest's arguments, and answer --help itself. pytest gets a
        fresh process because the settings of this one are loaded already, and pytest-django wants
        to load them.
        """
        arguments = argv[2:]
        command = [sys.executable, "-m", "pytest"]
        if not any(one.startswith(OWN_WAY) for one in arguments):
            command += IN_PARALLEL
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [*command, *arguments])  # noqa: S606
