"""One run: opens the sensors, begins trials, keeps results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace as changed
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops import __version__, machine
from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.judge.suite import shared
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.measure.control import NoControl
from pytest_greenops.measure.idle_power import measure_idle_power
from pytest_greenops.measure.meter import AnyMeter, Meter
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.result import SCHEMA, Attempt, Origin, Policy, Result, Results
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import COMPARED
from pytest_greenops.ranks.team import Alone
from pytest_greenops.run.context import AcceptedSeries, Probes, RunContext
from pytest_greenops.run.save import BaselineSaver, Saved
from pytest_greenops.run.trial import Trial
from pytest_greenops.sensors.base import Finding, Sensor
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import SYSTEM


class Run:
    """What a run knows from its start to its end.

    Raises `OptionError` for sensors that cannot be used, and `BaselineError` for a baseline that
    cannot be read: both before anything is measured.
    """

    def __init__(
        self,
        options: Options,
        root: Path,
        sensors: Sequence[Sensor] = (),
        facts: Mapping[str, str] | None = None,
        progress: Callable[[str, int, int], None] = lambda label, done, most: None,
        meter: Callable[..., AnyMeter] = Meter,
        ref: str | None = None,
        origin: Origin | None = None,
        team: Alone | None = None,
    ) -> None:
        """Open what a run needs.

        meter   makes the meter of each measurement
        ref     the git ref that tests are compared with, for readers
        origin  where its results are from, for files and databases
        team    the job of several ranks that this process belongs to, if there is one
        """
        began = SYSTEM.utc_now(milliseconds=True)
        self.options = options
        self._ref = ref
        self._origin = origin
        self._team = team or Alone()
        self.collected: set[TestKey] = set()
        self._results: dict[TestKey, dict[str, Result]] = {}
        self._attempts: dict[TestKey, dict[str, tuple[Attempt, ...]]] = {}
        self._adjusted: tuple[Result, ...] | None = None
        machine.LoadProbe()  # opens its file before any test
        self.instruments, self.findings = Instruments([]), list[Finding]()
        if not options.count_only:
            self.instruments, self.findings = discover(options.sensors, sensors, options.cpu_watts)
        try:
            self._prepare(root, began, facts or {}, progress, meter)
        except BaseException:
            self.instruments.close()
            raise

    def _prepare(
        self,
        root: Path,
        began: str,
        facts: Mapping[str, str],
        progress: Callable[[str, int, int], None],
        meter: Callable[..., AnyMeter],
    ) -> None:
        options, team = self.options, self._team
        memory = machine.keep_memory(options.stable_memory)
        if not (options.fresh_child or options.count_only):
            idle = partial(measure_idle_power, self.instruments, machine.LoadProbe)
            self.instruments.rest = team.quietly(idle)
        self.instruments = team.joined(self.instruments)
        self.environment = team.environment(
            Environment(
                machine={**machine.machine_facts(self.instruments), **facts},
                recorded=machine.recorded_facts(instruments=self.instruments),
            )
        )
        self.store = Store(root / options.baselines, self.environment.slug)
        rules = self._rules()
        opened = (self.instruments, self.environment, self.store)
        probes = Probes(conditions=lambda: {**memory, **machine.conditions()})
        if team.several:
            meter, probes = team.meter, changed(probes, control=NoControl)
        if not team.reads:
            probes = changed(probes, load=NoLoad)
        self._context = RunContext(
            *opened,
            rules,
            options,
            AcceptedSeries(self.store.snapshot()),
            self.collected,
            progress,
            probes,
            meter=meter,
            team=team,
        )
        if options.counting != "off":
            self._context.work_store.files()  # before a test can replace how files are read
        self.saver = BaselineSaver(self._context, root, began)

    def take_notes(self) -> dict[str, str]:
        """Return what is to be said about files of baselines since the last call, by file."""
        found: dict[str, str] = {}
        for store in (self._context.store, self._context.work_store):
            found |= store.notes
            store.notes.clear()
        return found

    @property
    def results(self) -> tuple[Result, ...]:
        """Return all results, adjusted for their number; of a rerun test the last attempt's."""
        if self._adjusted is None:
            results = (result for of in self._results.values() for result in of.values())
            self._adjusted = adjusted(results)
        return self._adjusted

    def results_of(self, test: TestKey) -> tuple[Result, ...]:
        """Return the results of one test so far, adjusted for no other one."""
        return tuple(self._results.get(test, {}).values())

    def record(self, results: Iterable[Result]) -> None:
        """Keep what a test measured, here or in a worker process."""
        self._adjusted = None
        for result in results:
            attempts = self._attempts.get(result.test, {}).get(result.name, ())
            kept = self._results.setdefault(result.test, {})
            kept[result.name] = replace(result, attempts=attempts) if attempts else result

    def forget(self, test: TestKey) -> None:
        """Drop what an earlier attempt at a test measured, and keep its outcome and joules."""
        self._adjusted = None
        for name, dropped in self._results.pop(test, {}).items():
            attempts = self._attempts.setdefault(test, {})
            attempt = Attempt(dropped.verdict.outcome, dropped.joules)
            attempts[name] = (*attempts.get(name, ()), attempt)

    def mark(self, test: TestKey, saved: Saved) -> None:
        """Note which results of a test became baselines, and why others did not."""
        self._adjusted = None
        of = self._results.get(test, {})
        for name, result in of.items():
            why = saved.refused.get(name)
            why = why or (saved.problem and "its baseline cannot be written")
            work = name in saved.work
            kept = work if self.options.count_only else name in saved.names
            of[name] = replace(result, saved=kept, work_saved=work, not_saved=why)

    def trial(
        self, test: TestKey, budget: Budget, left_s: Callable[[], float] = lambda: math.inf
    ) -> Trial:
        """Begin a trial of one test; `left_s` returns how long it may still run."""
        return Trial(self._context, test, budget, left_s)

    def document(self) -> Results:
        """Return all that was measured, for a file."""
        return Results(
            schema=SCHEMA,
            created_at=SYSTEM.utc_now(),
            version=__version__,
            environment=self.environment,
            policy=self.policy,
            results=self.results,
            origin=self._origin,
        )

    @property
    def policy(self) -> Policy:
        """Return what this run compares with and how strictly, for the reader of a report."""
        options = self.options
        return Policy(
            baselines=str(options.baselines),
            max_increase=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            strict=options.strict,
            saving=options.save,
            carbon=options.carbon,
            ab=self._ref,
            count_only=options.count_only,
        )

    @property
    def estimated_only(self) -> bool:
        """Return whether no counter of the whole machine is read."""
        return all(sensor.source == "estimated" for sensor in self.instruments.sensors)

    @property
    def compared(self) -> int:
        """Return how many results had their joules compared with a baseline or a budget."""
        return sum(result.verdict.energy in COMPARED for result in self.results)

    def close(self) -> None:
        """Close the sensors."""
        self.instruments.close()

    def _rules(self) -> Rules:
        options = self.options
        found = shared(s for each in self.store.read() for s in each.measurements.values())
        return Rules(
            margin=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            session_sd=options.session_sd,
            suite=found.suite,
            quiet_suite=found.quiet_suite,
            control_slope=found.control_slope,
            carbon=options.carbon,
        )
