"""A drill from its options to its exit code: which faults, on which stages, and what is told of
them.
"""

from typing import Any, TextIO

from django.core.management import CommandError

from tests.faults.controls.broken import CONTROLS
from tests.faults.kinds.fault import DATABASE, REDIS, Fault
from tests.faults.kinds.registry import FAULTS
from tests.faults.run.report import Report, all_kept
from tests.faults.run.runner import drill
from tests.faults.run.waiting import CannotStart, Late
from tests.faults.stage.stage import Options


def run(options: dict[str, Any], out: TextIO) -> bool:
    """Whether every promise was kept."""
    if options["list"]:
        for fault in FAULTS:
            out.write(f"{fault.name:<28} {fault.about}\n")
        return True
    faults = chosen(options)
    report = Report(total=len(faults) + len({fault.sqlite for fault in faults}))
    report.says(
        f"seed {options['seed']}; the same customers want the same with --seed {options['seed']}"
    )
    for left_out in sorted(
        {fault.name for fault in wanted(options)} - {fault.name for fault in faults}
    ):
        report.says(f"left out, because its server is a given one: {left_out}")
    try:
        _on_each_stage(options, faults, report)
    except (CannotStart, Late) as reason:
        raise CommandError(f"The stage of the drill cannot be set: {reason}") from None
    finally:
        if report.verdicts:
            out.write(f"{report.table()}\n")
        if options["json"]:
            report.save(options["json"], seed=options["seed"])
    return all_kept(report.verdicts)


def _on_each_stage(options: dict[str, Any], faults: list[Fault], report: Report) -> None:
    for sqlite in sorted({fault.sqlite for fault in faults}):
        these = [fault for fault in faults if fault.sqlite is sqlite]
        drill(_stage_options(options, sqlite), these, report, 60 * options["minutes"])


def wanted(options: dict[str, Any]) -> list[Fault]:
    by_name = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in options["fault"] if name not in by_name]:
        raise CommandError(f"There is no fault named {unknown[0]}: --list names them.")
    if options["breaks"] and options["breaks"] not in CONTROLS:
        raise CommandError(
            f"There is no guard named {options['breaks']}: there are {', '.join(CONTROLS)}."
        )
    faults = [by_name[name] for name in options["fault"]] or FAULTS
    if options["minutes"]:
        faults = [fault for fault in faults if fault.in_soak and fault.sqlite is options["sqlite"]]
    return [fault for fault in faults if fault.sqlite or not options["sqlite"]]


def chosen(options: dict[str, Any]) -> list[Fault]:
    """Without those that would kill a given server. Raises CommandError if none is left."""
    given = {
        name
        for name, url in ((DATABASE, options["database_url"]), (REDIS, options["redis_url"]))
        if url
    }
    faults = [fault for fault in wanted(options) if not fault.needs_own & given]
    if not faults:
        raise CommandError("No fault is left to inject: --list names them.")
    return faults


def _stage_options(options: dict[str, Any], sqlite: bool) -> Options:
    return Options(
        seed=options["seed"],
        sqlite=sqlite,
        database_url="" if sqlite else options["database_url"],
        redis_url=options["redis_url"],
        breaks=options["breaks"],
        full=options["full"] or bool(options["minutes"]),
        keep=options["journal"],
    )
