"""Which tests share a worker, and in which order the workers take them.

A file's tests stay on one worker, so that a server started for a module is started once. The
`xdist_group` mark would say that too, and does nothing from pytest 9.2 on (pytest-xdist #1386).
"""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# Files that go to one worker as if they were one.
TOGETHER = {
    "tests/browser": "tests/browser",  # one product and one Chromium for all
    "tests/sales/races": "crowd",  # two crowds at once would use up PostgreSQL's connections
    "tests/programme/test_programme_races.py": "crowd",
}

# These start real programs, which are slow to start beside each other: one worker in two takes
# them, one after the other, while the rest takes everything else.
WITH_PROGRAMS = [
    "tests/faults/test_drill.py",
    "tests/browser",
    "tests/project/test_up.py",
    "tests/workers/test_heartbeats.py",
    "tests/project/test_metrics_processes.py",
    "tests/workers/test_workers.py",
    "tests/workers/test_flower.py",
    "tests/project/test_manage.py",
]

# What takes longest of the rest; begun last, one of them would keep a single worker busy.
LONG = ["crowd", "tests/sales/test_state_machine.py", "tests/api/test_schema.py"]


class ProgramsApart(LoadScopeScheduling):
    """Hand out files: those with programs to some workers, those without to the others, and what
    is left to whoever is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        for place, group in TOGETHER.items():
            if path == place or path.startswith(f"{place}/"):
                return group
        return path

    def _assign_work_unit(self, node: WorkerController) -> None:
        number = int(node.gateway.id.removeprefix("gw")) % self.numnodes
        takes_programs = number < max(1, self.numnodes // 2)
        self.workqueue.move_to_end(self._next_scope(takes_programs), last=False)
        super()._assign_work_unit(node)

    def _next_scope(self, takes_programs: bool) -> str:
        wanted = WITH_PROGRAMS if takes_programs else LONG
        for scope in wanted:
            if scope in self.workqueue:
                return scope
        plain = (scope for scope in self.workqueue if scope not in WITH_PROGRAMS)
        return next(plain, next(iter(self.workqueue)))


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: who runs programs waits for them most of the time."""
    has_affinity = hasattr(os, "sched_getaffinity")  # macOS has none
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return cores + 1


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    return ProgramsApart(config, log) if config.getvalue("dist") == "loadfile" else None
