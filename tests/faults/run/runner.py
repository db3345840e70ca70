"""The run: calm, a fault, its heal, the recovery, and then every promise asked of rows, journal and
mails.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import psycopg

from tests.faults.invariants.facts import Facts, Usage
from tests.faults.invariants.promises import breaches
from tests.faults.kinds.fault import DidNotHappen, Fault, Window
from tests.faults.run.recovery import bookings_recover, mails_recover
from tests.faults.run.report import Report
from tests.faults.run.waiting import CannotStart, Late, wait_until
from tests.faults.stage.databases import Rows
from tests.faults.stage.stage import Options, Stage

CALM_SECONDS = 1.5
SETTLE_SECONDS = 75  # the longest that a mail may be late: a queue that was lost, and then a retry
ASKED_AT_THE_END = "no_mail_waits_too_long"
KEPT, BROKEN, NOT_HAPPENED = "kept", "BROKEN", "did not happen"


@dataclass
class Verdict:
    """Of one fault, and of what is owed at the end."""

    fault: str
    calls: int = 0
    slowest: float = 0.0
    recovery: float | None = None
    mail_recovery: float | None = None
    lag: float = 0.0
    verdict: str = KEPT
    told: list[str] = field(default_factory=list)

    def break_by(self, sentences: Sequence[str]) -> None:
        """A broken promise outweighs a fault that did not happen."""
        if sentences:
            self.verdict = BROKEN
        self.told += sentences


class Run:
    """Faults on one stage, one behind the other."""

    def __init__(self, stage: Stage, report: Report) -> None:
        self.stage, self.report = stage, report
        self.before: Usage | None = None
        self.told: set[str] = set()
        self.second_mail_times: list[tuple[float, float]] = []
        self.failed_mail_times: list[tuple[float, float]] = []

    def through(self, faults: Iterable[Fault]) -> list[Verdict]:
        verdicts = []
        for fault in faults:
            self.report.begins(fault.name)
            verdict = self._one(fault)
            # a race may go the other way, and then nothing was shown: once more
            if verdict.verdict == NOT_HAPPENED:
                self.report.says(f"         {fault.name} again: {' '.join(verdict.told)}")
                verdict = self._one(fault)
            self.report.ends(verdict)
            verdicts.append(verdict)
            if verdict.verdict != KEPT and self.stage.options.breaks:
                return verdicts  # caught; and what is owed under a broken guard may never arrive
        self.report.begins("all that is owed arrives")
        verdicts.append(self._at_the_end())
        self.report.ends(verdicts[-1])
        return verdicts

    def soak(self, faults: Sequence[Fault], seconds: float) -> list[Verdict]:
        """Random faults by the seed, until the time is over."""
        random, deadline = Random(self.stage.options.seed), time.monotonic() + seconds

        def drawn() -> Iterator[Fault]:
            while time.monotonic() < deadline:
                yield random.choice(faults)

        return self.through(drawn())

    def _one(self, fault: Fault) -> Verdict:
        stage, verdict = self.stage, Verdict(fault.name)
        window = self._calm()
        stage.journal.fault = fault.name
        try:
            with fault.during(stage) as window.evidence:
                time.sleep(fault.seconds)
            self._judge_window(fault, window, verdict)
        except (DidNotHappen, Late, CannotStart, OSError, psycopg.Error) as failed:
            verdict.verdict, verdict.told = NOT_HAPPENED, [str(failed)]
            window.healed = window.healed or time.time()
            stage.heal_links()  # of what failed half-way
        stage.journal.fault = ""
        self._allow_mails(fault, window)
        self._measure_recovery(fault, window, verdict)
        verdict.break_by(self._new_breaches())
        return verdict

    def _calm(self) -> Window:
        self.stage.crowd.resume()
        started = time.time()
        time.sleep(CALM_SECONDS)
        self.before = self.before or self.stage.usage()
        calm = [
            call.seconds
            for call in self.stage.journal.between(started, time.time())
            if call.ended_at
        ]
        return Window(start=time.time(), normal=max(calm, default=0.0))

    def _judge_window(self, fault: Fault, window: Window, verdict: Verdict) -> None:
        window.healed = time.time()
        window.lag = verdict.lag = self.stage.lag.worst(window.start, window.healed)
        window.calls = self.stage.journal.between(window.start, window.healed)
        verdict.calls, verdict.slowest = len(window.calls), window.slowest
        if fault.expect:
            verdict.break_by(fault.expect(self.stage, window))

    def _allow_mails(self, fault: Fault, window: Window) -> None:
        """Of the mails that were owed in this time, some may come twice or fail: only where the
        fault says so.
        """
        span = (window.start - CALM_SECONDS, time.time() + 2 * self.stage.lease_seconds)
        if fault.second_mail_allowed:
            self.second_mail_times.append(span)
        if fault.failed_mail_allowed:
            self.failed_mail_times.append(span)

    def _measure_recovery(self, fault: Fault, window: Window, verdict: Verdict) -> None:
        verdict.recovery = bookings_recover(self.stage, fault, window)
        if verdict.recovery is None or verdict.recovery > fault.recovery_limit + window.lag:
            verdict.break_by(
                [f"recovery: bookings were not back {fault.recovery_limit:g} s behind the heal."]
            )
        if fault.mail_limit:
            verdict.mail_recovery = mails_recover(self.stage, fault, window)
            if verdict.mail_recovery is None:
                verdict.break_by(
                    [f"recovery: no mail came within {fault.mail_limit:g} s behind the heal."]
                )

    def _new_breaches(self, *, at_the_end: bool = False) -> list[str]:
        """Those not told before. Whether a mail is late is asked at the end, when nothing is broken
        any more.
        """
        try:
            self.stage.crowd.pause()
        except Late as late:
            return [f"calls: {late}."]
        with self.stage.direct.snapshot() as query:
            facts = self._facts(query)
            found = [
                one for one in breaches(facts) if at_the_end or not one.startswith(ASKED_AT_THE_END)
            ]
        new = [sentence for sentence in found if sentence not in self.told]
        self.told.update(new)
        return new

    def _facts(self, query: Callable[[str], Rows]) -> Facts:
        stage = self.stage
        return Facts(
            query=query,
            journal=stage.journal,
            mails=stage.smtp.mails,
            hold_seconds=stage.hold_seconds,
            lease_seconds=stage.lease_seconds,
            second_mail_times=self.second_mail_times,
            failed_mail_times=self.failed_mail_times,
            before=self.before,
            after=stage.usage(),
        )

    def _at_the_end(self) -> Verdict:
        """Wait for every mail that is owed, and judge the whole."""
        verdict = Verdict("all that is owed arrives")
        self.stage.crowd.gate.open.clear()
        owed = "SELECT count(*) FROM cinema_bookingevent WHERE mail_due_at IS NOT NULL"
        started = time.time()
        try:
            wait_until(
                lambda: self.stage.query(owed)[0][0] == 0, SETTLE_SECONDS, "the last owed mail"
            )
            verdict.mail_recovery = time.time() - started
        except Late as late:
            verdict.break_by([f"mails: {late}."])
        verdict.calls = len(self.stage.journal.calls)
        verdict.break_by(self._new_breaches(at_the_end=True))
        return verdict


def drill(
    options: Options, faults: Sequence[Fault], report: Report, soak_seconds: float = 0
) -> list[Verdict]:
    """All of these faults on one stage."""
    with Stage(options) as stage:
        run = Run(stage, report)
        return run.soak(faults, soak_seconds) if soak_seconds else run.through(faults)
