"""A drill's verdicts: what breaks one, what is tried once more, and how all of it is told."""

import json
from contextlib import nullcontext
from io import StringIO
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tests.faults.kinds.fault import Fault, Window
from tests.faults.kinds.registry import FAULTS
from tests.faults.run.report import Report, all_kept
from tests.faults.run.runner import BROKEN, KEPT, NOT_HAPPENED, Run, Verdict
from tests.faults.run.waiting import Late
from tests.faults.stage.stage import Options


@pytest.mark.parametrize("other", [BROKEN, NOT_HAPPENED])
def test_one_verdict_that_is_not_kept_fails_the_run(other):
    assert all_kept([Verdict("a"), Verdict("b")])
    assert not all_kept([Verdict("a"), Verdict("b", verdict=other)])
    assert not all_kept([])


def test_a_breach_breaks_a_verdict_also_of_a_fault_that_did_not_happen():
    kept, broken, nothing = (
        Verdict("a"),
        Verdict("b"),
        Verdict("c", verdict=NOT_HAPPENED, told=["No call met it."]),
    )
    for verdict, sentences in (
        (kept, []),
        (broken, ["seats: sold twice."]),
        (nothing, ["seats: sold twice."]),
    ):
        verdict.break_by(sentences)
    assert [kept.verdict, broken.verdict, nothing.verdict] == [KEPT, BROKEN, BROKEN]
    assert broken.told == ["seats: sold twice."]
    assert nothing.told == ["No call met it.", "seats: sold twice."]


@pytest.mark.parametrize(
    ("tries", "left"),
    [
        ([NOT_HAPPENED, KEPT], KEPT),
        ([NOT_HAPPENED] * 2, NOT_HAPPENED),
        ([BROKEN], BROKEN),
        ([KEPT], KEPT),
    ],
)
def test_a_fault_that_did_not_happen_is_tried_once_more_and_a_broken_promise_never(
    monkeypatch, tries, left
):
    verdicts = iter([Verdict("flood", verdict=one) for one in tries])
    monkeypatch.setattr(Run, "_one", lambda self, fault: next(verdicts))
    monkeypatch.setattr(Run, "_at_the_end", lambda self: Verdict("the end"))
    stage = SimpleNamespace(options=Options(seed=1))
    run = Run(stage, Report(total=1, progress=StringIO()))
    flood, _ = run.through([Fault("flood", "Water.", during=lambda stage: nullcontext())])
    assert flood.verdict == left
    assert not list(verdicts)


def test_a_fault_that_fails_half_way_leaves_no_trap_behind(monkeypatch):
    stage = MagicMock()
    for name, answer in (
        ("_calm", Window(start=0.0)),
        ("_measure_recovery", None),
        ("_new_breaches", []),
    ):
        monkeypatch.setattr(Run, name, lambda self, *_, answer=answer: answer)

    def late(_stage):
        raise Late("a confirm has not come")

    verdict = Run(stage, Report(total=1, progress=StringIO()))._one(
        Fault("flood", "Water.", during=late)
    )

    assert (verdict.verdict, verdict.told) == (NOT_HAPPENED, ["a confirm has not come"])
    stage.heal_links.assert_called_once_with()


def test_the_report_tells_lines_and_a_table(tmp_path):
    lines = StringIO()
    report = Report(total=2, progress=lines)
    report.begins("redis-killed")
    report.ends(Verdict("redis-killed", 7, 0.25, 0.1, verdict=BROKEN, told=["seats: sold twice."]))
    assert "redis-killed: BROKEN" in lines.getvalue()
    assert "seats: sold twice." in lines.getvalue()
    last = " ".join(report.table().splitlines()[-1].split())
    assert last == f"redis-killed 7 0.25 s 0.10 s - 0.00 s {BROKEN}"
    report.save(tmp_path / "told.json", seed=3)
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["seed"], told["verdicts"][0]["told"]) == (3, ["seats: sold twice."])


def test_every_fault_has_a_name_of_its_own_and_a_sentence():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 30
    assert all(fault.about.endswith(".") and fault.name == fault.name.lower() for fault in FAULTS)
