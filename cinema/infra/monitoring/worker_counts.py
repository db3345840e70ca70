"""What the workers count, added up in Redis: nobody can ask a worker for /metrics.

After each task a process adds what it has counted since its last one, zeros as well: a rate needs
one to begin with, and a Redis that was flushed has lost it. Every API process exposes the same
sums, so a query takes their maximum over the machines and not their sum. A Redis that is flushed
begins at zero, which Prometheus takes for a restart.
"""

from typing import Any, NamedTuple

import orjson
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from cinema.infra import redis
from cinema.infra.metrics import OF_WORKERS

TALLIES, LAST_RUNS = "metrics:workers", "metrics:last-runs"
BY_WORKERS = {"by": "workers"}
ADD = """
if ARGV[1] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], redis.call('TIME')[1]) end
for i = 2, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
"""
READ = (
    "return {redis.call('TIME')[1], redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}"
)
# a task that has not ended for a week has another name by now, or is no more
FORGOTTEN_SECONDS = 7 * 24 * 3600

_added: dict[bytes, float] = {}  # by this process so far


class Tallies(NamedTuple):
    families: list[Metric]
    last_runs: dict[str, float]  # seconds ago, by task


def begin() -> None:
    """In a process that was forked: what its parent has counted is not its own."""
    _added.clear()
    _added.update({key: value for key, value in _collect().items() if value})


def add(task: str) -> None:
    """Add what was counted, after a task. What Redis does not take is added after a later one."""
    _share(ended=task)


def share() -> None:
    """What a process counts that ends no tasks."""
    _share(ended="")


def _share(ended: str) -> None:
    counted = _collect()
    words: list[redis.Word] = ["EVAL", ADD, 2, TALLIES, LAST_RUNS, ended]
    for key, value in counted.items():
        words += [key, repr(value - _added.get(key, 0))]
    if redis.ask(*words):
        _added.update(counted)


def read() -> Tallies | None:
    """None if Redis does not answer."""
    answer = redis.ask("EVAL", READ, 2, TALLIES, LAST_RUNS)
    if answer is None:
        return None
    now, tallies, runs = answer
    ages = {task.decode(): float(now) - float(at) for task, at in _pairs(runs)}
    last_runs = {task: age for task, age in ages.items() if age < FORGOTTEN_SECONDS}
    return Tallies(_families(_pairs(tallies)), last_runs)


def _collect() -> dict[bytes, float]:
    """Every sample that workers may have, by its name and labels."""
    samples = (
        sample for metric in OF_WORKERS for family in metric.collect() for sample in family.samples
    )
    return {
        orjson.dumps([sample.name, sample.labels], option=orjson.OPT_SORT_KEYS): sample.value
        for sample in samples
        if not sample.name.endswith("_created")
    }


def _families(pairs: list[tuple[bytes, bytes]]) -> list[Metric]:
    """Return samples under their metrics; a name that this version does not know is left out."""
    known = {
        name: family
        for metric in OF_WORKERS
        for family in metric.describe()
        for name in _sample_names(family)
    }
    for key, value in sorted(pairs):
        name, labels = orjson.loads(key)
        if family := known.get(name):
            family.samples.append(Sample(name, labels | BY_WORKERS, float(value)))
    return list({family.name: family for family in known.values()}.values())


def _sample_names(family: Metric) -> list[str]:
    return [family.name + ending for ending in ("_total", "_bucket", "_sum", "_count")]


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
