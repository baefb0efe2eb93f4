"""One run of one test: what it measures, with which budget, against which baseline."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.frameworks import synchronize
from pytest_greenops.judge import Reference, Rules, judge
from pytest_greenops.meter import Meter, Plan
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Measurement
from pytest_greenops.model.options import Options
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.passes import Pass
from pytest_greenops.screen import MIN_SESSIONS, PROVISIONAL_ROUNDS, Look, schedule
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.store import Store
from pytest_greenops.summary import summarise

Amount = float | Callable[[Any], float]


@dataclass(frozen=True)
class Bench:
    """What all trials of a run share."""

    instruments: Instruments
    environment: Environment
    store: Store
    rules: Rules
    options: Options
    collected: Collection[TestKey] = ()
    progress: Callable[[str, int, int], None] = field(default=lambda label, done, most: None)


class Trial:
    """Measures the work of one test under its names, and judges it as it goes."""

    def __init__(self, bench: Bench, test: TestKey, budget: Budget) -> None:
        self.test = test
        self.budget = budget
        self.units: dict[str, Amount] = {}
        self._counted = self.units
        self.quality: dict[str, float] = {}
        self.repetition = 0
        self._bench = bench
        self._results: dict[str, Result] = {}
        self._begun: list[str] = []
        self._running = False

    @property
    def results(self) -> dict[str, Result]:
        """What has been measured so far, by name, with the test's quality beside it."""
        quality = dict(self.quality)
        return {name: replace(r, quality=quality) for name, r in self._results.items()}

    def passes(
        self,
        name: str | None = None,
        *,
        rounds: int | None = None,
        warmup: int | None = None,
        iterations: int | None = None,
    ) -> Generator[Pass]:
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
        plan = self._plan(name, rounds, warmup, iterations)
        verdicts: dict[str, Verdict] = {}

        def enough(measurements: Mapping[str, Measurement], number: int) -> bool:
            for window, measurement in measurements.items():
                look = Look(number, len(plan.looks))
                verdicts[window] = self._judge(measurement, look)
            return all(v.outcome is not Outcome.INCONCLUSIVE for v in verdicts.values())

        label = self.test.name
        self._bench.instruments.judge_by(self.budget.domain)
        meter = Meter(
            self._bench.instruments,
            plan,
            enough,
            synchronize=synchronize,
            load=machine.LoadProbe(),
            progress=lambda done, most: self._bench.progress(label, done, most),
            instrumented=machine.instrumented(),
        )
        self._running = True
        try:
            for self.repetition, trip in enumerate(meter.passes(), 1):
                yield trip
        except GeneratorExit:  # left, but not by a failure, which is told with its number
            self.repetition = 0
            raise
        finally:
            self._running = False
        self.repetition = 0
        self._begun.remove(name or "loop")
        for window, measurement in meter.measurements().items():
            self._results[window] = self._summarise(measurement, verdicts[window])

    def close(self) -> dict[str, Result]:
        """The results; what was begun and not ended, or never begun, is told as not measured.

        Raises `GreenopsError` for units of work that were declared when all was measured.
        """
        if self._results and self.units is not self._counted:
            raise GreenopsError(
                f"energy.units({', '.join(self.units)}=...) came after the last measurement, which "
                "did not count it; call it before"
            )
        unfinished = dict.fromkeys(self._begun, "it was left before its rounds were done")
        if not unfinished and not self._results:
            unfinished = {"call": "the test never called energy"}
        for name, cause in unfinished.items():
            measurement = Measurement(name, (), (), {})
            verdict = Verdict(Outcome.NOT_MEASURED, cause)
            self._results[name] = self._summarise(measurement, verdict)
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

    def _plan(
        self, name: str | None, rounds: int | None, warmup: int | None, iterations: int | None
    ) -> Plan:
        """How long to go on: as the test says, else its budget, else the options."""
        options, budget = self._bench.options, self.budget
        most = budget.max_rounds or max(options.max_rounds, budget.min_rounds or 0)
        least = min(budget.min_rounds or options.min_rounds, most)
        return Plan(
            looks=(rounds,) if rounds else self._looks(name, least, most),
            least=least,
            once=(rounds or most) == 1,
            max_time_s=options.max_time_s if budget.max_time_s is None else budget.max_time_s,
            margin=self._bench.rules.margin if budget.max_increase is None else budget.max_increase,
            warmup=warmup,
            iterations=iterations,
        )

    def _check_limits(self) -> None:
        if self.budget.max_carbon_g is not None and self._bench.rules.grams_per_kwh is None:
            raise GreenopsError(
                "energy_budget: max_carbon needs to know the grid; add "
                "--energy-carbon-intensity '400 g/kWh' (its own figure), or the same in the ini "
                "file: energy_carbon_intensity"
            )

    def _looks(self, name: str | None, least: int, most: int) -> tuple[int, ...]:
        if self._bench.options.save:
            return (min(max(PROVISIONAL_ROUNDS, least), most),)
        sessions = self._sessions(name)
        absolute = (self.budget.energy_j, self.budget.max_power_w, self.budget.max_carbon_g)
        if sessions == 0 and any(limit is not None for limit in absolute):
            sessions = MIN_SESSIONS
        return schedule(sessions, least, most)

    def _sessions(self, name: str | None) -> int:
        """Baseline sessions of the name, or the fewest of any name that the baseline has."""
        names = [name] if name else list(self._stored(self.test))
        known = [self._reference(each) for each in names]
        return min(
            (len(r.series.sessions) if r.series and not r.differences else 0 for r in known),
            default=0,
        )

    def _stored(self, test: TestKey) -> dict[str, Series]:
        baseline = self._bench.store.load(test)
        return baseline.measurements if baseline else {}

    def _reference(self, name: str) -> Reference:
        """The accepted sessions of a name, or why those that there are cannot be used."""
        store, here = self._bench.store, self._environment()
        for find in (store.load, store.elsewhere):
            baseline = find(self.test)
            if baseline and name in baseline.measurements:
                series = baseline.measurements[name]
                there = Environment(baseline.machine, series.conditions)
                return Reference(series, here.differences(there))
        return Reference()

    def _environment(self) -> Environment:
        return replace(self._bench.environment, conditions=machine.conditions())

    def _judge(self, measurement: Measurement, look: Look) -> Verdict:
        verdict = judge(
            measurement,
            self.budget,
            self._reference(measurement.name),
            self._bench.rules,
            unit=self.unit,
            look=look,
        )
        if verdict.outcome is Outcome.NO_BASELINE:
            return replace(verdict, cause=self._renamed())
        return verdict

    def _renamed(self) -> str | None:
        """A baseline of the same function with other parameters, which no test of this run has."""
        store = self._bench.store
        for orphan in store.orphans(self.test, self._bench.collected):
            old, new = (store.shown(test) for test in (orphan.test, self.test))
            return (
                f"{orphan.test.name} has one and was not collected; if it was renamed: "
                f"git mv {shlex.quote(old)} {shlex.quote(new)}"
            )
        return None

    def _summarise(self, measurement: Measurement, verdict: Verdict) -> Result:
        return summarise(
            self.test,
            measurement,
            verdict,
            domain=self.budget.domain,
            unit=self.unit,
            conditions=machine.conditions(),
            grams_per_kwh=self._bench.options.grams_per_kwh,
        )


def _count(unit: str, amount: Amount, value: Any) -> float:
    work = float(amount(value) if callable(amount) else amount)
    if not 0 < work < math.inf:
        raise GreenopsError(
            f"energy.units: {work:g} {unit} is no work to divide joules by; count at least one"
        )
    return work
