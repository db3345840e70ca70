"""The settings of a negative control: the product's own, and one guard broken by the name in
DRILL_BREAK.
"""

from project.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.controls.broken.Broken"]  # noqa: F405
