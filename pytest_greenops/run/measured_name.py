"""One measured name of a test: its measurement, its verdict, its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace as changed
from functools import cached_property

from msgspec.structs import replace

from pytest_greenops.judge.case import Case
from pytest_greenops.judge.decision import Look
from pytest_greenops.judge.judgement import judge_measurement
from pytest_greenops.judge.quality import AcceptedQualities, judge_quality
from pytest_greenops.judge.suite import control_checks
from pytest_greenops.judge.summary import summarise
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.meter import Plan
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.measurement import Check, CheckName, Measurement
from pytest_greenops.model.result import Benchmark, Result
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.measured_work import MeasuredWork
from pytest_greenops.run.plan import Planner
from pytest_greenops.run.stored_baseline import StoredBaseline

#: Assumed spread between sessions of one round while fewer than three are known: a single round
#: does not show how the work varies.
ONCE_SD = 0.1


class TrialContext:
    """What all measurements of one test share: the run, the test, its budget and its baseline.

    benchmark  what the test says of itself as a benchmark, known when it has ended
    """

    benchmark: Benchmark | None = None

    def __init__(self, run: RunContext, test: TestKey, budget: Budget) -> None:
        self.run = run
        self.test = test
        self.budget = budget
        self.baseline = StoredBaseline(run, test)
        self.planner = Planner(run, budget, self.baseline)
        stored = run.work_store.load(test) if run.options.counting != "off" else None
        self.accepted_work = stored.measurements if stored else {}


class MeasuredName:
    """The state of one measured name.

    measurement   in this process, with the self-checks of the control workload
    control_j     joules of one call of the control workload, by counter
    verdict       on its joules, without the quality
    fresh         the sessions of fresh processes that are judged with it
    confirmation  the session of the fresh process that confirms or contradicts a regression
    work          its counted work
    """

    def __init__(self, context: TrialContext, name: str, plan: Plan, unit: str) -> None:
        """Begin with no rounds; `unit` is the unit of work whose joules are judged."""
        self.plan = plan
        self.measurement = Measurement(name, (), (), {})
        self.control_j: dict[str, float] = {}
        self.verdict = Verdict(Outcome.NOT_MEASURED)
        self.fresh: list[Result] = []
        self.confirmation: Result | None = None
        action = context.budget.action or context.run.rules.action
        accepted = context.accepted_work.get(name)
        self.work = MeasuredWork(context.run.options, context.budget, action, accepted)
        self._context = context
        self._unit = unit
        self._conditions = dict(context.run.probes.conditions())
        self._look: Look | None = None
        self._made: tuple[tuple[object, ...], Result] | None = None

    @property
    def name(self) -> str:
        """Return the name."""
        return self.measurement.name

    @property
    def unit(self) -> str:
        """Return the unit of work whose joules are judged."""
        return self._unit

    def update(self, measurement: Measurement, control: Control, unit: str) -> None:
        """Take a measurement, complete or not, and check it by the control workload."""
        run = self._context.run
        self._unit = unit
        self._conditions = dict(run.probes.conditions())
        self.control_j = control.joules(len(measurement.rounds))
        trusting = run.options.save == "all"
        self.measurement = measurement
        if all(check.name is not CheckName.INSTRUMENTED for check in measurement.checks):
            # A tracer traces the control workload too, which then says nothing of the machine.
            history = run.control_history(frozenset(self.control_j))
            self.add_checks(control_checks(history, self.control_j, run.rules.session_sd, trusting))

    def add_checks(self, checks: Iterable[Check]) -> None:
        """Add self-checks to those of the meter."""
        both = (*self.measurement.checks, *checks)
        self.measurement = replace(self.measurement, checks=both)

    def recount(self, units: Mapping[str, float], unit: str) -> None:
        """Set the work that one call did, and judge by it what was measured before."""
        rounds = tuple(
            replace(each, units={name: work * each.iterations for name, work in units.items()})
            for each in self.measurement.rounds
        )
        self.measurement, self._unit = replace(self.measurement, rounds=rounds), unit
        if self._look is not None:
            self.judge(self._look)

    def judge(self, look: Look) -> None:
        """Judge the sessions measured so far."""
        self._look = look
        verdict = judge_measurement(self.case(self.fresh), look)
        if verdict.outcome is Outcome.NO_BASELINE:
            verdict = verdict.with_cause(self._context.baseline.renamed())
        self.verdict = verdict

    def case(self, fresh: Iterable[Result]) -> Case:
        """Return what the judge needs, with these sessions of fresh processes."""
        sessions, rules = list(fresh), self._context.run.rules
        if self.plan.once:
            rules = changed(rules, session_sd=max(rules.session_sd, ONCE_SD))
        return Case(
            self.measurement,
            self._context.budget,
            self._context.baseline.reference(self.name, self._conditions),
            rules,
            unit=self._unit,
            fresh=[each.rounds for each in sessions],
            controls=[self.control_j, *(each.control_j for each in sessions)],
        )

    def result(self, quality: Mapping[str, float], explained: Explanation | None) -> Result:
        """Return the result, with the test's quality and what that does to the verdict.

        It is made once after each change.
        """
        fresh = tuple(self.fresh)
        last = (
            dict(quality),
            explained,
            self.work.counted,
            self.work.of_ref,
            self._context.benchmark,
        )
        of = (self.measurement, self.verdict, fresh, self.confirmation, *last)
        if self._made is None or self._made[0] != of:
            self._made = of, self._result(quality, explained)
        return self._made[1]

    def _result(self, quality: Mapping[str, float], explained: Explanation | None) -> Result:
        context, budget = self._context, self._context.budget
        verdict = self.verdict
        # Its baseline is that of the joules: without them there is nothing to compare it with.
        judged = budget.max_quality_drop is not None and not context.run.options.count_only
        if judged and quality:
            action = budget.action or context.run.rules.action
            limit = budget.max_quality_drop
            verdict = judge_quality(verdict, quality, self._accepted_quality, limit, action)
        layers = explained.layers if explained else ()
        # The first model has the name of its class, which is not above those of its modules.
        verdict = self.work.judged(verdict, [one.name for one in layers if one.name != one.kind])
        result = summarise(
            context.test,
            self.measurement,
            verdict,
            domain=budget.domain,
            unit=self._unit,
            fresh=[each.rounds for each in self.fresh],
            conditions=self._conditions,
            control_j=self.control_j,
            carbon=context.run.rules.carbon,
        )
        return replace(
            result,
            quality=dict(quality),
            explained=explained,
            work=self.work.record,
            benchmark=context.benchmark,
            confirming=self.confirmation.rounds if self.confirmation else (),
            fresh_controls_j=tuple(each.control_j for each in self.fresh),
            fresh_quality=tuple(each.quality for each in self.fresh),
        )

    @cached_property
    def _accepted_quality(self) -> AcceptedQualities:
        return self._context.baseline.qualities(self.name)
