"""One run: sensors are opened, tests tried, results kept, baselines accepted."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops import __version__, machine
from pytest_greenops.acceptance import accept, why_not
from pytest_greenops.judge import Rules
from pytest_greenops.model.baseline import Baseline, Series, Session, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import joules_per_unit
from pytest_greenops.model.options import Options
from pytest_greenops.model.result import SCHEMA, Policy, Result, Results
from pytest_greenops.model.verdict import COMPARED
from pytest_greenops.screen import MIN_SESSIONS
from pytest_greenops.sensors.base import Sensor
from pytest_greenops.sensors.discover import discover
from pytest_greenops.stats import trimmed_mean, variance
from pytest_greenops.store import Store
from pytest_greenops.trial import Bench, Trial


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
        self.collected: set[TestKey] = set()
        self._results: dict[tuple[TestKey, str], Result] = {}
        self._root = root
        self.instruments, self.findings = discover(options.sensors, sensors, options.cpu_watts)
        self.environment = Environment(
            machine={**machine.machine_facts(self.instruments), **(facts or {})},
            recorded=machine.recorded_facts(instruments=self.instruments),
        )
        self.store = Store(options.baselines, self.environment.slug)
        self.store.files()
        self._bench = Bench(
            self.instruments,
            self.environment,
            self.store,
            self._rules(),
            options,
            self.collected,
            progress,
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """All results of the run; of a test that was run again, the last."""
        return tuple(self._results.values())

    def record(self, results: Iterable[Result]) -> None:
        """Keep what a test measured, here or in a worker process."""
        for result in results:
            self._results[result.test, result.name] = result

    def forget(self, test: TestKey) -> None:
        """Drop what an earlier attempt of a test measured."""
        for key in [key for key in self._results if key[0] == test]:
            del self._results[key]

    def mark(self, test: TestKey, saved: Collection[str], refused: Mapping[str, str]) -> None:
        """Note which results of a test became baselines, and why others did not."""
        for key, result in self._results.items():
            if key[0] == test:
                self._results[key] = replace(
                    result, saved=result.name in saved, not_saved=refused.get(result.name)
                )

    def trial(self, test: TestKey, budget: Budget) -> Trial:
        """Begin to try one test."""
        return Trial(self._bench, test, budget)

    def acceptable(self, trial: Trial) -> list[Result]:
        """The results of a trial that become baselines, should its test pass."""
        if self.options.save is None:
            return []
        results = [result for result in trial.results.values() if why_not(result) is None]
        if self.options.save == "all":
            return results
        baseline = self.store.load(trial.test)
        return [r for r in results if baseline is None or r.name not in baseline.measurements]

    def accept(self, trial: Trial) -> tuple[list[str], dict[str, str]]:
        """Save what a passed test measured, where this run saves.

        Returns the names that were accepted, and why others cannot be. Raises `BaselineError`
        where the file cannot be written.
        """
        accepted = self.acceptable(trial)
        if accepted:
            sessions = [(result, self._session(result)) for result in accepted]

            def change(baseline: Baseline | None) -> Baseline:
                return accept(baseline, trial.test, self.environment.machine, sessions)

            self.store.update(trial.test, change)
        refused = {r.name: why for r in trial.results.values() if (why := why_not(r))}
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
        )

    @property
    def estimated_only(self) -> bool:
        """Whether no counter of the whole machine is read."""
        return all(sensor.source == "estimated" for sensor in self.instruments.sensors)

    @property
    def compared(self) -> int:
        """How many results were compared with something."""
        return sum(result.verdict.outcome in COMPARED for result in self.results)

    def close(self) -> None:
        """Close the sensors."""
        self.instruments.close()

    def _rules(self) -> Rules:
        options = self.options
        return Rules(
            margin=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            session_sd=options.session_sd,
            pool=tuple(_session_variances(self.store.files().values())),
            grams_per_kwh=options.grams_per_kwh,
        )

    def _session(self, result: Result) -> Session:
        return Session(
            saved_at=_now(),
            revision=self._revision,
            versions=machine.versions(),
            rounds=result.rounds,
            recorded=self.environment.recorded,
            quality=result.quality,
        )

    @cached_property
    def _revision(self) -> machine.Revision:
        return machine.revision(self._root)


def _session_variances(baselines: Iterable[Baseline]) -> Iterator[float]:
    """Variance between the sessions of each series that has enough of them, of its logarithms."""
    for baseline in baselines:
        for series in baseline.measurements.values():
            if len(series.sessions) >= MIN_SESSIONS and _counts(series):
                yield variance([_level(series, session) for session in series.sessions])


def _counts(series: Series) -> bool:
    """Whether every round of a series holds some energy."""
    counted = [domain.name for domain in series.domains if domain.counted]
    rounds = (round_ for session in series.sessions for round_ in session.rounds)
    return all(sum(round_.energy_uj.get(name, 0) for name in counted) > 0 for round_ in rounds)


def _level(series: Series, session: Session) -> float:
    counted = [domain.name for domain in series.domains if domain.counted]
    joules = joules_per_unit(session.rounds, counted, "call")
    return trimmed_mean([math.log(value) for value in joules])


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
