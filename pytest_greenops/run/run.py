"""One run: opens the sensors, begins trials, keeps results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace as changed
from functools import partial
from pathlib import Path

from pytest_greenops import machine
from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.judge.suite import shared
from pytest_greenops.measure.control import NoControl
from pytest_greenops.measure.idle_power import measure_idle_power
from pytest_greenops.measure.meter import AnyMeter, Meter
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.result import Origin
from pytest_greenops.model.run_options import Options
from pytest_greenops.ranks.alone import Alone
from pytest_greenops.run.context import AcceptedSeries, Probes, RunContext
from pytest_greenops.run.machine_results import MachineResults
from pytest_greenops.run.save import BaselineSaver
from pytest_greenops.run.trial import Trial
from pytest_greenops.sensors.base import Finding, Sensor
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import SYSTEM


class Run(MachineResults):
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
        open_store: Callable[[Environment, bool], Store] | None = None,
    ) -> None:
        """Open what a run needs.

        meter       makes the meter of each measurement
        ref         the git ref that tests are compared with, for readers
        origin      where its results are from, for files and databases
        team        the job of several ranks that this process belongs to, if there is one
        open_store  for a worker of pytest-xdist: returns the baselines of a machine, of which all
                    joules may be estimated, and leaves what is saved to the controller
        """
        began = SYSTEM.utc_now(milliseconds=True)
        super().__init__(options, Environment({}), origin, ref)
        self._team = team or Alone()
        self.collected: set[TestKey] = set()
        machine.LoadProbe()  # opens its file before any test
        self.instruments, self.findings = Instruments([]), list[Finding]()
        if not options.count_only:
            self.instruments, self.findings = discover(options.sensors, sensors, options.cpu_watts)
        try:
            self._prepare(root, began, facts or {}, progress, meter, open_store)
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
        open_store: Callable[[Environment, bool], Store] | None,
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
        if open_store is not None:
            self.store = open_store(self.environment, self.estimated_only)
        else:
            self.store = Store(root / options.baselines, self.environment.slug)
        accepted = AcceptedSeries(self.store.sample())
        rules = self._rules(accepted)
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
            accepted,
            self.collected,
            progress,
            probes,
            meter=meter,
            team=team,
        )
        self.saver = BaselineSaver(self._context, root, began, leaves=open_store is not None)

    def read_baselines(self, tests: Iterable[TestKey]) -> None:
        """Read the baselines of the tests that run, before one can replace how files are read.

        Raises `BaselineError`.
        """
        running = list(tests)
        self.store.prepare(running)
        if self.options.counting != "off":
            self._context.work_store.prepare(running)

    def take_notes(self) -> dict[str, str]:
        """Return what is to be said about files of baselines since the last call, by file."""
        found: dict[str, str] = {}
        for store in (self._context.store, self._context.work_store):
            found |= store.notes
            store.notes.clear()
        return found

    def trial(
        self, test: TestKey, budget: Budget, left_s: Callable[[], float] = lambda: math.inf
    ) -> Trial:
        """Begin a trial of one test; `left_s` returns how long it may still run."""
        return Trial(self._context, test, budget, left_s)

    @property
    def estimated_only(self) -> bool:
        """Return whether no counter of the whole machine is read."""
        return all(sensor.source == "estimated" for sensor in self.instruments.sensors)

    def close(self) -> None:
        """Close the sensors."""
        self.instruments.close()

    def _rules(self, accepted: Iterable[Series]) -> Rules:
        options, found = self.options, shared(accepted)
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
