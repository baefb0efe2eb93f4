"""One run of one test: what it measures, with which budget, against which baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from pytest_greenops.judge.decision import Look
from pytest_greenops.measure.calls import AnyTrip, UnmeasuredTrip
from pytest_greenops.measure.given import Amount, counted_work
from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.errors import GreenopsError, RanksApart
from pytest_greenops.model.measurement import Measurement
from pytest_greenops.model.result import Benchmark, Result
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.run.against_ref import AgainstRef
from pytest_greenops.run.budget_needs import (
    check_benchmark,
    check_call,
    check_quality,
    check_run,
    why_not_counted,
)
from pytest_greenops.run.confirm import Confirmation
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.counting import Counting
from pytest_greenops.run.explain import Explaining
from pytest_greenops.run.fresh_process import Answer
from pytest_greenops.run.measured_name import MeasuredName, TrialContext
from pytest_greenops.system import Originals

COUNTED_ONLY = "--energy-count-only measures no joules"
#: How long one look at whether another thread still measures lasts, beyond the longest measurement.
WAIT_S = 30.0


class Trial:
    """Measures the work of one test under its names, and judges it as it goes; see `AnyTrial`."""

    def __init__(
        self,
        run: RunContext,
        test: TestKey,
        budget: Budget,
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Begin with nothing measured; `left_s` returns how long the test may still run."""
        self.units: dict[str, Amount] = {}
        self.repetition = 0
        self._context = TrialContext(run, test, budget)
        self.explaining = Explaining(run, self._context.baseline, test.name)
        self._counting = Counting(run.options, partial(run.team.same, "work of a call"))
        self._left_s = left_s
        self._names: dict[str, MeasuredName] = {}
        self._quality: dict[str, float] = {}
        self._counted = self.units
        self._begun: list[str] = []
        self._running = False
        self._whole: AnyTrip | None = None
        self._turn = 0

    @property
    def test(self) -> TestKey:
        """Return the key of the test."""
        return self._context.test

    @property
    def counts_only(self) -> bool:
        """Return whether this run counts work, and measures no joules."""
        return self._context.run.options.count_only

    @property
    def results(self) -> dict[str, Result]:
        """Return the results so far, by name, to a test that may have replaced functions."""
        with Originals():
            return self.made

    @property
    def made(self) -> dict[str, Result]:
        """Return the results so far, by name; each is made once after each change."""
        return {
            name: state.result(self._quality, self.explaining.of(name))
            for name, state in self._names.items()
        }

    def trips(
        self,
        name: str | None = None,
        *,
        rounds: int | None = None,
        warmup: int | None = None,
        iterations: int | None = None,
        whole: bool = False,
    ) -> Generator[AnyTrip]:
        """Yield trips through the work until its measurement is complete; see `AnyTrial`.

        If this package fails in between, the work is not measured, and has run at least once.

        Raises `GreenopsError` inside another measurement, whose windows would contain these.
        """
        steps = self._trips(name, rounds, warmup, iterations, whole)
        ran, originals = False, Originals()
        while True:
            try:
                with originals:
                    trip = next(steps)
            except StopIteration:
                return
            except GreenopsError:
                raise
            except RanksApart as apart:
                self._running = False
                self.leave_out(name or "loop", str(apart))
                if not ran:
                    yield UnmeasuredTrip()
                return
            except Exception as error:
                self._give_up(name or "loop", error)
                if not ran:
                    yield UnmeasuredTrip()
                return
            try:
                yield trip
            except BaseException as error:
                with originals:
                    steps.throw(error)
                raise
            ran = True

    def _trips(
        self,
        name: str | None,
        rounds: int | None,
        warmup: int | None,
        iterations: int | None,
        whole: bool,
    ) -> Generator[AnyTrip]:
        if self._running and self._context.run.turn.is_mine:
            raise GreenopsError(
                f"energy: {name or 'a loop'} begins inside another measurement; use "
                "energy.rounds() with energy.measure(name) windows"
            )
        check_run(self._context.budget, self._context.run.rules)
        self._begun.append(name or "loop")
        plan = self._context.planner.plan(name, rounds, warmup, iterations, self._left_s())
        states = yield from self._measure(name, plan, whole)
        if not states:  # a whole test that measures by itself
            return
        self._begun.remove(name or "loop")
        self._names |= states
        measured = [name for name, state in states.items() if state.measurement.rounds]
        yield from self.explaining.trip(measured, plan)

    def _measure(
        self, name: str | None, plan: Plan, whole: bool
    ) -> Generator[AnyTrip, None, dict[str, MeasuredName]]:
        """Yield trips until the looks have decided; return the state of each name.

        Return nothing for a `whole` test whose work measures by itself.
        """
        run, label = self._context.run, self.test.name
        looks = self._context.planner.looks(name, plan)
        control = run.probes.control(run.instruments)
        states: dict[str, MeasuredName] = {}

        def update(measurements: Mapping[str, Measurement]) -> None:
            for window, measurement in measurements.items():
                if window not in states:
                    states[window] = MeasuredName(self._context, window, plan, self.unit)
                states[window].update(measurement, control, self.unit)

        def enough(measurements: Mapping[str, Measurement], number: int) -> bool:
            control.complete()
            update(measurements)
            for state in states.values():
                state.judge(Look(number, looks))
            return all(s.verdict.outcome is not Outcome.INCONCLUSIVE for s in states.values())

        run.instruments.judge_by(self._context.budget.domain)
        meter = run.meter(
            run.instruments,
            plan,
            enough,
            synchronize=synchronize,
            load=run.probes.load(),
            between=control.accompany,
            progress=lambda done, most: run.progress(label, done, most),
            instrumented=run.probes.instrumented(),
            garbage=run.garbage,
        )
        trips = self._counting.beside(meter.trips(), plan.once, plan.fixed)
        if run.options.count_only:
            trips = self._counting.alone(plan.once, name or "loop")
        limit_s = min(plan.max_time_s + WAIT_S, self._left_s() / 2)
        self._turn = turn = run.turn.take(limit_s)
        self._running = True
        try:
            for self.repetition, trip in enumerate(trips, 1):
                first = whole and self.repetition == 1
                self._whole = trip if first else None
                yield trip
                if first and self._whole is None:
                    return {}
        except GeneratorExit:  # left by `break`: only a failure keeps its number
            self.repetition = 0
            raise
        finally:
            if turn == self._turn:
                self._running, self._whole = False, None
                run.turn.give(turn)
        self.repetition = 0
        if run.options.count_only:
            new = (window for window in self._counting.found if window not in self._names)
            states = {window: self._state(window, plan, COUNTED_ONLY) for window in new}
        counted = {window: self._counting.of(window, plan.once) for window in states}
        for window, work in run.team.counted(counted).items():
            states[window].work.counted = work
            states[window].work.facts = {**self._counting.facts, **run.team.work_facts}
        return states

    def _give_up(self, name: str, error: Exception) -> None:
        """Note that a measurement cannot be completed because this package failed."""
        self._running, self.repetition = False, 0
        if name in self._begun:
            self._begun.remove(name)
        why = f"the measurement failed ({type(error).__name__}: {error})"
        self._not_measured(name, " ".join(why.split()))

    def _not_measured(self, name: str, why: str) -> None:
        self._names[name] = state = self._state(name, Plan(looks=()), why)
        if self._context.run.options.count_only:
            state.work.counted = why

    def _state(self, name: str, plan: Plan, why: str) -> MeasuredName:
        """Return the state of a name whose joules are not measured, and why."""
        state = MeasuredName(self._context, name, plan, self.unit)
        state.verdict = state.verdict.with_cause(Cause(CauseKind.NOTHING_MEASURED, why))
        return state

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Return the work of `iterations` calls, one of which returned `value`, by unit.

        Raises `GreenopsError` if the budget is per a unit that the test does not declare.
        """
        check_call(self._context.budget, self.units)
        self._counted = self.units
        return {unit: n * iterations for unit, n in counted_work(self.units, value).items()}

    @property
    def per(self) -> str | None:
        """Return the unit of work that the budget is per, or None."""
        return self._context.budget.per

    @property
    def unit(self) -> str:
        """Return the unit of work whose joules are judged: the budget's, the first, or a call."""
        return self._context.budget.per or next(iter(self.units), "call")

    def add_quality(self, quality: Mapping[str, float]) -> None:
        """Keep the quality of what the test computed, by name."""
        self._quality |= quality

    def describe(self, benchmark: Benchmark) -> None:
        """Keep what a test that has ended says of itself as a benchmark."""
        self._context.benchmark = benchmark

    def recount(self, units: Mapping[str, float]) -> None:
        """Set the work that each call of a test that has ended did, by unit."""
        changed = units != self.units
        self.units = self._counted = dict(units)
        if why := why_not_counted(self._context.budget, units):
            for name in self._names:
                self._not_measured(name, why)
        elif changed:
            for state in self._names.values():
                state.recount(units, self.unit)

    def leave_out(self, name: str, why: str) -> None:
        """Note why a name is not measured, whether or not that was begun."""
        self.repetition = 0
        if name in self._begun:
            self._begun.remove(name)
        self._not_measured(name, why)

    def close(self, never: str = "the test never called energy") -> dict[str, Result]:
        """Return the results; what was begun and not completed, or never begun, is not measured.

        never  why nothing was begun

        Raises `GreenopsError` if units of work were declared after the last measurement, and if
        the budget limits a drop of quality and the test reports none.
        """
        check_quality(self._context.budget, self._quality)
        if self._names and self._context.benchmark:
            check_benchmark(self._context.budget, self.units)
        if self._names and self.units is not self._counted:
            raise GreenopsError(
                f"energy.units({', '.join(self.units)}=...) came after the last measurement, which "
                "did not count it; call it before"
            )
        unfinished = dict.fromkeys(self._begun, "it was left before its rounds were done")
        if not unfinished and not self._names:
            unfinished = {"call": never}
        for name, why in unfinished.items():
            self._not_measured(name, why)
        if self.explaining.pending:
            self.explaining.replay(self.made, self._left_s)
        return self.made

    def confirm(self, measure_afresh: Callable[[], Answer]) -> None:
        """Confirm what is red or undecided by fresh processes; see `Confirmation`."""
        Confirmation(self._context, self._names.values()).run(measure_afresh)

    @property
    def against_ref(self) -> AgainstRef:
        """Return what compares this trial with a git ref."""
        return AgainstRef(self._context, self._names, self._left_s)

    @property
    def work_counted(self) -> dict[str, tuple[Counted, dict[str, str]]]:
        """Return the counted work of each name that has some, with the facts that decided on it."""
        return {
            name: (state.work.counted, state.work.facts)
            for name, state in self._names.items()
            if isinstance(state.work.counted, Counted)
        }

    @property
    def work_accepted(self) -> Mapping[str, AcceptedWork]:
        """Return the work that was accepted before this run, by name."""
        return self._context.accepted_work

    def end(self) -> None:
        """Let other threads measure, even if the test keeps a loop that it has left."""
        self._context.run.turn.end()

    def leave_whole(self) -> bool:
        """End the measurement of a whole test in its first trip; return whether there is one."""
        if self._whole is None:
            return False
        self._whole.leave()
        self._context.run.turn.give(self._turn)
        self._running, self._whole, self._turn = False, None, 0
        self.repetition = 0
        self._begun.clear()
        return True
