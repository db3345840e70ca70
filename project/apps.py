"""What Django loads at its start: our checks, the admin's site, and the table of lock-outs."""

from axes import apps as axes
from django.apps import AppConfig
from django.contrib.admin import apps as admin

from project.config import checks  # noqa: F401 - registers them


class Project(AppConfig):
    name = "project"
    default = True


class Admin(admin.AdminConfig):
    default = False
    default_site = "cinema.staff.site.StaffSite"


class Lockouts(axes.AppConfig):  # type: ignore[misc]
    verbose_name = "Lock-outs"
