"""One run: sensors are opened, tests tried, results kept, baselines accepted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops import __version__, machine
from pytest_greenops.baselines.accept import accept
from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.judge.suite import control_slope, suite
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.measure.idle_power import measure_idle_power
from pytest_greenops.model.baseline import Baseline, Series, Session, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.result import (
    SCHEMA,
    Attempt,
    Policy,
    Result,
    Results,
    why_not_a_baseline,
)
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import COMPARED
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.trial import Trial
from pytest_greenops.sensors.base import Sensor
from pytest_greenops.sensors.discover import discover


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
    ) -> None:
        self.options = options
        self._began = _now()
        self.collected: set[TestKey] = set()
        self._results: dict[tuple[TestKey, str], Result] = {}
        self._attempts: dict[tuple[TestKey, str], list[Attempt]] = defaultdict(list)
        self._unsaved: dict[TestKey, Baseline | None] = {}
        self._root = root
        self.instruments, self.findings = discover(options.sensors, sensors, options.cpu_watts)
        if not options.answers:
            self.instruments.rest = measure_idle_power(self.instruments, machine.LoadProbe)
        self.environment = Environment(
            machine={**machine.machine_facts(self.instruments), **(facts or {})},
            recorded=machine.recorded_facts(instruments=self.instruments),
        )
        self.store = Store(options.baselines, self.environment.slug)
        accepted = self._accepted()
        self._context = RunContext(
            self.instruments,
            self.environment,
            self.store,
            self._rules(accepted),
            options,
            accepted,
            self.collected,
            progress,
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """All results of the run, with what chance makes of so many; of a rerun test the last."""
        return adjusted(self._results.values())

    def record(self, results: Iterable[Result]) -> None:
        """Keep what a test measured, here or in a worker process."""
        for result in results:
            key = result.test, result.name
            self._results[key] = replace(result, attempts=tuple(self._attempts[key]))

    def forget(self, test: TestKey) -> None:
        """Drop what an earlier attempt of a test measured, but for what it came to."""
        for key in [key for key in self._results if key[0] == test]:
            dropped = self._results.pop(key)
            self._attempts[key].append(Attempt(dropped.verdict.outcome, dropped.joules))

    def mark(self, test: TestKey, saved: Collection[str], refused: Mapping[str, str]) -> None:
        """Note which results of a test became baselines, and why others did not."""
        for key, result in self._results.items():
            if key[0] == test:
                self._results[key] = replace(
                    result, saved=result.name in saved, not_saved=refused.get(result.name)
                )

    def trial(
        self, test: TestKey, budget: Budget, left_s: Callable[[], float] = lambda: math.inf
    ) -> Trial:
        """Begin to try one test; `left_s` tells how long it may still run."""
        return Trial(self._context, test, budget, left_s)

    def acceptable(self, trial: Trial) -> list[Result]:
        """The results of a trial that become baselines, should its test pass."""
        if self.options.save is None:
            return []
        results = [
            result for result in trial.results.values() if why_not_a_baseline(result) is None
        ]
        if self.options.save == "all":
            return results
        baseline = self._unsaved.get(trial.test, self.store.load(trial.test))
        return [r for r in results if baseline is None or r.name not in baseline.measurements]

    def accept(self, trial: Trial) -> tuple[list[str], dict[str, str]]:
        """Save what a passed test measured, where this run saves: each session of it.

        Of a test that passes several times in one run the last replaces what the others saved.
        Returns the names that were accepted, and why others cannot be. Raises `BaselineError`
        where the file cannot be written.
        """
        accepted = self.acceptable(trial)
        if accepted:
            sessions = [each for result in accepted for each in self._sessions(result)]

            def change(baseline: Baseline | None) -> Baseline:
                before = self._unsaved.setdefault(trial.test, baseline)
                return accept(before, trial.test, self.environment.machine, sessions)

            self.store.update(trial.test, change)
        refused = {r.name: why for r in trial.results.values() if (why := why_not_a_baseline(r))}
        return [result.name for result in accepted], refused

    def document(self) -> Results:
        """All that was measured, for a file."""
        return Results(
            schema=SCHEMA,
            created_at=_now(),
            version=__version__,
            environment=self.environment,
            policy=self.policy,
            results=self.results,
        )

    @property
    def policy(self) -> Policy:
        """What is compared with and how strictly, for the reader of a report."""
        options = self.options
        return Policy(
            baselines=self.store.folder.name,
            max_increase=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            strict=options.strict,
            saving=options.save,
            carbon=options.carbon,
        )

    @property
    def estimated_only(self) -> bool:
        """Whether no counter of the whole machine is read."""
        return all(sensor.source == "estimated" for sensor in self.instruments.sensors)

    @property
    def compared(self) -> int:
        """How many results had their joules compared with something."""
        return sum(result.verdict.energy in COMPARED for result in self.results)

    def close(self) -> None:
        """Close the sensors."""
        self.instruments.close()

    def _rules(self, accepted: Sequence[Series]) -> Rules:
        options, slope = self.options, control_slope(accepted)
        return Rules(
            margin=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            session_sd=options.session_sd,
            suite=suite(accepted),
            quiet_suite=suite(accepted, slope),
            control_slope=slope,
            carbon=options.carbon,
        )

    def _sessions(self, result: Result) -> Iterator[tuple[Result, Session]]:
        """Each session of a result; those that follow the first stand beside it in any case."""
        yield result, self._session(result, result.rounds, result.control_j, result.quality)
        verdict = replace(result.verdict, change=None, qualities=())
        beside = replace(result, verdict=verdict, explained=None)
        others = zip(result.fresh, result.fresh_controls_j, result.fresh_quality, strict=True)
        yield from ((beside, self._session(beside, *each)) for each in others)

    def _accepted(self) -> list[Series]:
        """Every series of this machine's baselines."""
        files = self.store.files().values()
        return [series for baseline in files for series in baseline.measurements.values()]

    def _session(
        self,
        result: Result,
        rounds: tuple[Round, ...],
        control_j: dict[str, float],
        quality: dict[str, float],
    ) -> Session:
        return Session(
            saved_at=_now(),
            revision=self._revision,
            versions=machine.versions(),
            rounds=rounds,
            recorded=self.environment.recorded,
            quality=quality,
            control_j=control_j,
            layers=result.explained.kept if result.explained else None,
            run=self._began,
        )

    @cached_property
    def _revision(self) -> machine.Revision:
        return machine.revision(self._root)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
