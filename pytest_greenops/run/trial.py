"""One run of one test: what it measures, with which budget, against which baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace as changed
from typing import Any

from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.judge.case import Case
from pytest_greenops.judge.decision import Look
from pytest_greenops.judge.judgement import confirm, judge_measurement, unconfirmed
from pytest_greenops.judge.quality import AcceptedQualities, judge_quality
from pytest_greenops.judge.suite import control_checks
from pytest_greenops.judge.summary import summarise
from pytest_greenops.measure.calls import Amount, AnyTrip
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Check, CheckName, Measurement, Round
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome, Verdict
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.explain import Explaining
from pytest_greenops.run.fresh_process import Answer, FreshFailure
from pytest_greenops.run.plan import Planner
from pytest_greenops.run.reference import Accepted

#: What is assumed of sessions of one round while fewer than three are known: no other round of it
#: tells how it varies.
ONCE_SD = 0.1
_ONCE = "the test runs once only (max_rounds=1)"


class Trial:
    """Measures the work of one test under its names, and judges it as it goes."""

    def __init__(
        self,
        context: RunContext,
        test: TestKey,
        budget: Budget,
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """`left_s` tells how long the test may still run."""
        self.test = test
        self.budget = budget
        self.units: dict[str, Amount] = {}
        self._counted = self.units
        self.quality: dict[str, float] = {}
        self.repetition = 0
        self._context = context
        self._accepted = Accepted(context, test)
        self._planner = Planner(context, budget, self._accepted)
        self.explaining = Explaining(context, self._accepted, test.name)
        self._rules = context.rules
        self._left_s = left_s
        self._results: dict[str, Result] = {}
        self._kept: dict[str, tuple[Measurement, Plan]] = {}
        self._controls: dict[str, dict[str, float]] = {}
        self._accepted_quality: dict[str, AcceptedQualities] = {}
        self._units_of: dict[str, str] = {}
        self._begun: list[str] = []
        self._running = False

    @property
    def results(self) -> dict[str, Result]:
        """What has been measured so far, by name, with the test's quality beside it, and judged."""
        quality = dict(self.quality)
        limit = self.budget.max_quality_drop if quality else None
        action = self.budget.action or self._rules.action
        found = {}
        for name, result in self._results.items():
            accepted = self._accepted_quality.get(name, AcceptedQualities())
            verdict = judge_quality(result.verdict, quality, accepted, limit, action)
            explained = self.explaining.of(name)
            found[name] = replace(result, quality=quality, verdict=verdict, explained=explained)
        return found

    def trips(
        self,
        name: str | None = None,
        *,
        rounds: int | None = None,
        warmup: int | None = None,
        iterations: int | None = None,
    ) -> Generator[AnyTrip]:
        """Trips through the work until enough is known of it; then its results stand.

        name                        of its one window; None where the work names its own windows
        rounds, warmup, iterations  what the test itself says of them; None leaves it to the plan

        Raises `GreenopsError` while others are made: their windows would hold these.
        """
        if self._running:
            raise GreenopsError(
                f"energy: {name or 'a loop'} is begun inside another measurement; use "
                "energy.rounds() with energy.measure(name) windows"
            )
        self._check_limits()
        self._begun.append(name or "loop")
        plan = self._planner.plan(name, rounds, warmup, iterations, self._left_s())
        if plan.once:
            sd = max(self._rules.session_sd, ONCE_SD)
            self._rules = changed(self._rules, session_sd=sd)
        planned = self._planner.looks(name, plan)
        verdicts: dict[str, Verdict] = {}
        control = Control(self._context.instruments)

        def enough(measurements: Mapping[str, Measurement], number: int) -> bool:
            for window, measurement in self._controlled(measurements, control).items():
                verdicts[window] = self._judge(measurement, Look(number, planned))
            return all(v.outcome is not Outcome.INCONCLUSIVE for v in verdicts.values())

        label = self.test.name
        self._context.instruments.judge_by(self.budget.domain)
        meter = Meter(
            self._context.instruments,
            plan,
            enough,
            synchronize=synchronize,
            load=machine.LoadProbe(),
            between=control.sample,
            progress=lambda done, most: self._context.progress(label, done, most),
            instrumented=machine.instrumented(),
        )
        self._running = True
        try:
            for self.repetition, trip in enumerate(meter.trips(), 1):
                yield trip
        except GeneratorExit:  # left, but not by a failure, which is told with its number
            self.repetition = 0
            raise
        finally:
            self._running = False
        self.repetition = 0
        self._begun.remove(name or "loop")
        for window, measurement in self._controlled(meter.measurements(), control).items():
            self._kept[window] = measurement, plan
            self._units_of[window] = self.unit
            self._results[window] = self._summarise(measurement, verdicts[window])
        yield from self.explaining.trip(list(verdicts), plan)

    def _controlled(
        self, measurements: Mapping[str, Measurement], control: Control
    ) -> dict[str, Measurement]:
        """The same, with what the control workload beside them says against the machine."""
        context, found = self._context, {}
        for name, measurement in measurements.items():
            joules = self._controls[name] = control.joules(len(measurement.rounds))
            trusting = context.options.save == "all"
            checks = control_checks(context.accepted, joules, context.rules.session_sd, trusting)
            found[name] = replace(measurement, checks=(*measurement.checks, *checks))
        return found

    def renew(self, measure: Callable[[], Answer]) -> None:
        """Have the test measured in fresh processes where that is needed; judge all its sessions.

        measure  runs the test in one, all of its names; raises `FreshFailure`

        It is needed where the options ask for several sessions, and once where the last look of
        this process left it open whether the test is dearer, or before it fails. What cannot be
        used of a fresh session is told as a check, and changes nothing.
        """
        for name in self._kept:
            self._doubt_what_runs_once(name)
        names = [name for name in self._kept if self._wants_session(name)]
        fresh: dict[str, list[Result]] = {name: [] for name in names}
        failures: dict[str, list[FreshFailure]] = {name: [] for name in names}
        for _ in range(max(1, self._context.options.sessions - 1) if names else 0):
            try:
                answer = measure()
            except FreshFailure as failure:
                for name in names:
                    failures[name].append(failure)
                break
            for name in names:
                try:
                    fresh[name].append(self._session_of(answer, name))
                except FreshFailure as failure:
                    failures[name].append(failure)
        for name in names:
            self._judge_again(name, fresh[name], failures[name])

    def _wants_session(self, name: str) -> bool:
        """Whether a name shall be measured in a fresh process too."""
        (measurement, plan), verdict = self._kept[name], self._results[name].verdict
        instrumented = any(check.name is CheckName.INSTRUMENTED for check in measurement.checks)
        spoilt = instrumented or measurement.untrusted(self.budget.domain)
        if spoilt or verdict.outcome is Outcome.NOT_MEASURED or self._context.options.answers:
            return False
        if self._context.options.sessions > 1:
            return True
        if plan.once:
            return False
        last = self._planner.looks(name, plan) > len(plan.looks) or self._planner.limited
        return verdict.red or (last and verdict.undecided and not self._accepted.grows(name))

    def _doubt_what_runs_once(self, name: str) -> None:
        """Say of a red verdict on work that runs once that no fresh process was asked about it."""
        (measurement, plan), result = self._kept[name], self._results[name]
        if plan.once and result.verdict.red and self._context.options.sessions == 1:
            check = Check(CheckName.FRESH_SESSION, _ONCE, "not confirmed")
            measurement = replace(measurement, checks=(*measurement.checks, check))
            self._kept[name] = measurement, plan
            verdict = unconfirmed(result.verdict, _ONCE)
            self._results[name] = self._summarise(measurement, verdict)

    def _session_of(self, answer: Answer, name: str) -> Result:
        """What a fresh process found of a name; raises `FreshFailure` if it cannot be used."""
        ours = self._results[name]
        theirs = next((result for result in answer.results if result.name == name), None)
        if theirs is None:
            raise FreshFailure(f"{name} was not measured there")
        if not theirs.rounds or theirs.verdict.outcome is Outcome.NOT_MEASURED:
            raise FreshFailure(f"{name} was not measured there ({theirs.verdict.cause})")
        for check in theirs.checks:
            if check.untrusted or check.name is CheckName.INSTRUMENTED:
                raise _Disturbed(f"{check.name} ({check.finding})")
        here = Environment(self._context.environment.machine, ours.conditions)
        there = Environment(answer.environment.machine, theirs.conditions)
        changes = here.differences(there)
        if changes:
            raise FreshFailure(f"it was measured under other conditions ({', '.join(changes)})")
        if _counted(ours) != _counted(theirs):
            raise FreshFailure("it has other energy counters or units of work")
        return theirs

    def _judge_again(self, name: str, fresh: list[Result], failures: list[FreshFailure]) -> None:
        measurement, plan = self._kept[name]
        checks = [
            Check(CheckName.FRESH_SESSION, str(each), "judged without it") for each in failures
        ]
        measurement = replace(measurement, checks=(*measurement.checks, *checks))
        verdict = self._results[name].verdict
        confirming: tuple[Round, ...] = ()
        if fresh and self._confirms(verdict):
            other = fresh.pop()
            confirming = other.rounds
            verdict = confirm(verdict, self._case(measurement, [other]))
        elif not fresh and verdict.red and self._context.options.sessions == 1:
            disturbed = isinstance(failures[-1], _Disturbed)
            verdict = unconfirmed(verdict, str(failures[-1]), may_stand=not disturbed)
        elif fresh:
            planned = self._planner.looks(name, plan)
            verdict = self._judge(measurement, Look(planned, planned), fresh)
        self._kept[name] = measurement, plan
        result = self._summarise(measurement, verdict, [each.rounds for each in fresh])
        self._results[name] = replace(
            result,
            confirming=confirming,
            fresh_controls_j=tuple(each.control_j for each in fresh),
            fresh_quality=tuple(each.quality for each in fresh),
        )

    def _confirms(self, verdict: Verdict) -> bool:
        """Whether a fresh session only says yes or no to a regression of this process."""
        return verdict.outcome is Outcome.REGRESSED and self._context.options.sessions == 1

    def close(self) -> dict[str, Result]:
        """The results; what was begun and not ended, or never begun, is told as not measured.

        Raises `GreenopsError` for units of work that were declared when all was measured, and where
        a drop of quality is limited and the test tells none.
        """
        if self.budget.max_quality_drop is not None and not self.quality:
            raise GreenopsError(
                "energy_budget: max_quality_drop needs a quality, but the test tells none; tell it "
                "before the test ends: energy.quality(accuracy=...)"
            )
        if self._results and self.units is not self._counted:
            raise GreenopsError(
                f"energy.units({', '.join(self.units)}=...) came after the last measurement, which "
                "did not count it; call it before"
            )
        unfinished = dict.fromkeys(self._begun, "it was left before its rounds were done")
        if not unfinished and not self._results:
            unfinished = {"call": "the test never called energy"}
        for name, why in unfinished.items():
            measurement = Measurement(name, (), (), {})
            cause = Cause(CauseKind.NOTHING_MEASURED, why)
            verdict = Verdict(Outcome.NOT_MEASURED).with_cause(cause)
            self._results[name] = self._summarise(measurement, verdict)
        self.explaining.replay(self._results, self._left_s)
        return self.results

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """The work that `iterations` calls did, one of which returned `value`.

        Raises `GreenopsError` where the budget is per a unit that the test does not declare.
        """
        if self.budget.per and self.budget.per not in (*self.units, "call"):
            raise GreenopsError(
                f"energy_budget: per={self.budget.per!r}, but the test counts no such unit; "
                f"declare it before the call: energy.units({self.budget.per}=...)"
            )
        self._counted = self.units
        return {unit: _count(unit, n, value) * iterations for unit, n in self.units.items()}

    @property
    def unit(self) -> str:
        """The unit of work whose joules are judged: the budget's, else the first, else a call."""
        return self.budget.per or next(iter(self.units), "call")

    def _unit_of(self, name: str) -> str:
        """The unit whose joules are judged of a name: what was declared as it was measured."""
        return self._units_of.get(name, self.unit)

    def _check_limits(self) -> None:
        if self.budget.max_carbon_g is not None and self._context.rules.carbon is None:
            raise GreenopsError(
                "energy_budget: max_carbon needs to know the grid; add "
                "--energy-carbon-intensity '400 g/kWh' (its own figure) or --energy-region CODE, "
                "or the same in the ini file"
            )

    def _judge(self, measurement: Measurement, look: Look, fresh: Sequence[Result] = ()) -> Verdict:
        verdict = judge_measurement(self._case(measurement, fresh), look)
        if verdict.outcome is Outcome.NO_BASELINE:
            return verdict.with_cause(self._accepted.renamed())
        return verdict

    def _case(self, measurement: Measurement, fresh: Sequence[Result]) -> Case:
        return Case(
            measurement,
            self.budget,
            self._accepted.reference(measurement.name),
            self._rules,
            unit=self._unit_of(measurement.name),
            fresh=[each.rounds for each in fresh],
            controls=[self._controls[measurement.name], *(each.control_j for each in fresh)],
        )

    def _summarise(
        self,
        measurement: Measurement,
        verdict: Verdict,
        fresh: Sequence[tuple[Round, ...]] = (),
    ) -> Result:
        if self.budget.max_quality_drop is not None:
            qualities = self._accepted.qualities(measurement.name)
            self._accepted_quality[measurement.name] = qualities
        return summarise(
            self.test,
            measurement,
            verdict,
            domain=self.budget.domain,
            unit=self._unit_of(measurement.name),
            fresh=fresh,
            conditions=machine.conditions(),
            control_j=self._controls.get(measurement.name, {}),
            carbon=self._context.rules.carbon,
        )


class _Disturbed(FreshFailure):
    """A fresh session that its own self-checks forbid to rest anything on."""


def _counted(result: Result) -> tuple[object, ...]:
    """What the figures of a result count: two sessions of one test count the same."""
    domains = [(d.name, d.kind, d.counted, d.idle) for d in result.domains]
    return domains, result.provenance, sorted(result.rounds[0].units)


def _count(unit: str, amount: Amount, value: Any) -> float:
    work = float(amount(value) if callable(amount) else amount)
    if not 0 < work < math.inf:
        raise GreenopsError(
            f"energy.units: {work:g} {unit} is no work to divide joules by; count at least one"
        )
    return work
