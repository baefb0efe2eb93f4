"""Saving: what a passed test measured becomes its baseline, if the run saves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.baselines.accept import accept
from pytest_greenops.judge.weights import VERSION
from pytest_greenops.model.baseline import Baseline, Session, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.model.work_verdict import WorkOutcome
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.trial import Trial
from pytest_greenops.system import SYSTEM


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the results of one test, in a run that saves.

    names    those whose joules became baselines
    work     those whose counted work was accepted
    refused  why others did not, by name
    anew     sessions of a baseline that a result replaced, by name
    problem  why nothing could be saved
    """

    names: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    refused: dict[str, str] = {}
    anew: dict[str, int] = {}
    problem: str | None = None


class BaselineSaver:
    """Saves the results of passed tests, as the options of the run say."""

    def __init__(self, context: RunContext, root: Path, began: str) -> None:
        """Note the git commit of a directory, if the run saves it, and when the run began."""
        self._context = context
        self._began = began
        code = context.options.shipped
        shipped = code and machine.Revision(code.commit, code.dirty)
        self._revision = (shipped or machine.revision(root)) if context.options.save else None
        self._before: dict[TestKey, Baseline | None] = {}

    def acceptable(self, trial: Trial) -> list[Result]:
        """Return the results of a trial that become baselines if its test passes."""
        save, store = self._context.options.save, self._context.store
        if save is None:
            return []
        if self._context.options.count_only:
            return [r for r in trial.made.values() if r.name in self._new_work(trial)]
        results = [r for r in trial.made.values() if why_not_a_baseline(r) is None]
        if save == "all":
            return results
        baseline = self._before.get(trial.test, store.load(trial.test))
        return [r for r in results if baseline is None or r.name not in baseline.measurements]

    def save(self, trial: Trial, outcome: str) -> Saved | None:
        """Save what a test measured, if it passed; return None in a run that saves nothing.

        outcome  how the test ended: `passed`, `failed` or `skipped`
        """
        if self._context.options.save is None:
            return None
        if outcome == "skipped":
            return Saved()
        if outcome != "passed":
            return Saved(refused=dict.fromkeys(trial.made or ["call"], "the test did not pass"))
        try:
            work = self._new_work(trial)
            if work:
                self._context.work_store.accept(trial.test, work)
            if self._context.options.count_only:
                over = [r.name for r in trial.made.values() if _over_its_limit(r)]
                return Saved(work=tuple(work), refused=dict.fromkeys(over, "over its limit"))
            accepted = self.acceptable(trial)
            anew = self._update(trial.test, accepted) if accepted else {}
        except BaselineError as error:
            return Saved(problem=str(error))
        results = trial.made.values()
        return Saved(
            names=tuple(result.name for result in accepted),
            work=tuple(work),
            anew=anew,
            refused={r.name: why for r in results if (why := why_not_a_baseline(r))},
        )

    def _new_work(self, trial: Trial) -> dict[str, AcceptedWork]:
        """Return the counted work of a trial that is accepted if its test passes, by name."""
        assert self._revision is not None
        new = self._context.options.save == "new"
        return {
            name: AcceptedWork(counted, facts, VERSION, SYSTEM.utc_now(), self._revision)
            for name, (counted, facts) in trial.work_counted.items()
            if not (new and name in trial.work_accepted)
            and not _over_its_limit(trial.made[name])
            and not (counted.empty and name not in trial.work_accepted)
        }

    def _update(self, test: TestKey, results: Iterable[Result]) -> dict[str, int]:
        """Write all sessions of these results, in place of those of an earlier pass in this run.

        Return how many sessions they replaced, by name, where they started a baseline anew.
        """
        sessions = [each for result in results for each in self._sessions(result)]
        anew: dict[str, int] = {}

        def change(baseline: Baseline | None) -> Baseline:
            before = self._before.setdefault(test, baseline)
            after = accept(before, test, self._context.environment.machine, sessions)
            for name, series in before.measurements.items() if before else ():
                added = sum(result.name == name for result, _ in sessions)
                if added and len(after.measurements[name].sessions) == added:
                    anew[name] = len(series.sessions)
            return after

        self._context.store.update(test, change)
        return anew

    def _sessions(self, result: Result) -> Iterator[tuple[Result, Session]]:
        """Yield each session of a result; a session after the first never replaces the baseline."""
        yield result, self._session(result, result.rounds, result.control_j, result.quality)
        verdict = replace(result.verdict, change=None, qualities=())
        added = replace(result, verdict=verdict, explained=None)
        others = zip(result.fresh, result.fresh_controls_j, result.fresh_quality, strict=True)
        yield from ((added, self._session(added, *each)) for each in others)

    def _session(
        self,
        result: Result,
        rounds: tuple[Round, ...],
        control_j: dict[str, float],
        quality: dict[str, float],
    ) -> Session:
        assert self._revision is not None
        return Session(
            saved_at=SYSTEM.utc_now(),
            revision=self._revision,
            versions=machine.versions(),
            rounds=rounds,
            recorded=self._context.environment.recorded,
            quality=quality,
            control_j=control_j,
            layers=result.explained.kept if result.explained else None,
            run=self._began,
        )


def _over_its_limit(result: Result) -> bool:
    """Return whether an absolute limit of the counted work is exceeded: then it is not saved."""
    work = result.verdict.work
    return work is not None and work.outcome is WorkOutcome.OVER_LIMIT
