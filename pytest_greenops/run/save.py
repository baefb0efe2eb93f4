"""Saving: what a passed test measured becomes its baseline, if the run saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.baselines import work_file
from pytest_greenops.baselines.accept import accept
from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.judge.weights import VERSION
from pytest_greenops.model.baseline import Baseline, Session, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.work_baseline import WORK_SCHEMA, AcceptedWork, WorkBaseline
from pytest_greenops.model.work_verdict import WorkOutcome
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.trial import Trial
from pytest_greenops.system import SYSTEM

#: How a test ended that passed in this rank of a job, and not in another one.
NOT_ELSEWHERE = "not passed in another rank"


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes a part of the baselines of one test.

    sessions  of each measurement, by its name
    work      the counted work, as the text of its file; empty if there is none
    """

    sessions: dict[str, tuple[Session, ...]] = {}
    work: str = ""


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the results of one test, in a run that saves.

    names     those whose joules became baselines
    work      those whose counted work was accepted
    refused   why others did not, by name
    anew      sessions of a baseline that a result replaced, by name
    problem   why nothing could be saved
    accepted  what a worker of pytest-xdist leaves to its controller to write
    """

    names: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    refused: dict[str, str] = {}
    anew: dict[str, int] = {}
    problem: str | None = None
    accepted: Accepted | None = None


class BaselineWriter:
    """Writes the baselines of one machine, each test's in place of an earlier pass in this run."""

    def __init__(self, store: Store, machine: dict[str, str]) -> None:
        self._store = store
        self._machine = machine
        self._before: dict[TestKey, Baseline | None] = {}

    def before(self, test: TestKey) -> Baseline | None:
        """Return the baseline of a test from before this run."""
        return self._before.get(test, self._store.load(test))

    def settle(self, test: TestKey, saved: Saved, results: Mapping[str, Result]) -> Saved:
        """Write what a worker left to write, and return what became of it."""
        if saved.accepted is None:
            return saved
        try:
            if saved.accepted.work:
                store = WorkStore(self._store.folder)
                work = work_file.decode(store.path(test), saved.accepted.work.encode())
                store.accept(test, work.measurements)
            anew = self.write(test, saved.accepted.sessions, results)
        except BaselineError as error:
            return Saved(problem=str(error))
        return replace(saved, anew=anew, accepted=None)

    def write(
        self,
        test: TestKey,
        sessions: Mapping[str, tuple[Session, ...]],
        results: Mapping[str, Result],
    ) -> dict[str, int]:
        """Write all sessions of these results, in place of those of an earlier pass in this run.

        Return how many sessions they replaced, by name, where they started a baseline anew.
        Raises `BaselineError`.
        """
        if not sessions:
            return {}
        pairs = [pair for name, of in sessions.items() for pair in _pairs(results[name], of)]
        anew: dict[str, int] = {}

        def change(baseline: Baseline | None) -> Baseline:
            before = self._before.setdefault(test, baseline)
            after = accept(before, test, self._machine, pairs)
            for name, series in before.measurements.items() if before else ():
                if name in sessions and len(after.measurements[name].sessions) == len(
                    sessions[name]
                ):
                    anew[name] = len(series.sessions)
            return after

        self._store.update(test, change)
        return anew


class BaselineSaver:
    """Saves the results of passed tests, as the options of the run say.

    A worker of pytest-xdist leaves the writing to its controller, which may be on another host.
    """

    def __init__(self, context: RunContext, root: Path, began: str, leaves: bool = False) -> None:
        """Note the git commit of a directory, if the run saves it, and when the run began."""
        self._context = context
        self._began = began
        self._leaves = leaves
        code = context.options.shipped
        shipped = code and machine.Revision(code.commit, code.dirty)
        self._revision = (shipped or machine.revision(root)) if context.options.save else None
        self._writer = BaselineWriter(context.store, context.environment.machine)

    def acceptable(self, trial: Trial) -> list[Result]:
        """Return the results of a trial that become baselines if its test passes."""
        save = self._context.options.save
        if save is None:
            return []
        if self._context.options.count_only:
            return [r for r in trial.made.values() if r.name in self._new_work(trial)]
        results = [r for r in trial.made.values() if why_not_a_baseline(r) is None]
        if save == "all":
            return results
        baseline = self._writer.before(trial.test)
        return [r for r in results if baseline is None or r.name not in baseline.measurements]

    def save(self, trial: Trial, outcome: str) -> Saved | None:
        """Save what a test measured, if it passed; return None in a run that saves nothing.

        outcome  how the test ended: `passed`, `failed`, `skipped` or `NOT_ELSEWHERE`
        """
        if self._context.options.save is None:
            return None
        if outcome == "skipped":
            return Saved()
        if outcome != "passed":
            where = " in another rank" if outcome == NOT_ELSEWHERE else ""
            unpassed = f"the test did not pass{where}"
            return Saved(refused=dict.fromkeys(trial.made or ["call"], unpassed))
        try:
            work = self._new_work(trial)
            if work and not self._leaves:
                self._context.work_store.accept(trial.test, work)
            left = self._left(trial.test, work)
            if self._context.options.count_only:
                over = [r.name for r in trial.made.values() if _over_its_limit(r)]
                refused = dict.fromkeys(over, "over its limit")
                return Saved(work=tuple(work), refused=refused, accepted=left)
            sessions = {r.name: tuple(self._sessions(r)) for r in self.acceptable(trial)}
            anew = {}
            if left is not None:
                left = replace(left, sessions=sessions)
            else:
                anew = self._writer.write(trial.test, sessions, trial.made)
        except BaselineError as error:
            return Saved(problem=str(error))
        results = trial.made.values()
        return Saved(
            names=tuple(sessions),
            work=tuple(work),
            anew=anew,
            refused={r.name: why for r in results if (why := why_not_a_baseline(r))},
            accepted=left,
        )

    def _left(self, test: TestKey, work: dict[str, AcceptedWork]) -> Accepted | None:
        """Return what is left to the controller to write: so far the counted work."""
        if not self._leaves:
            return None
        if not work:
            return Accepted()
        return Accepted(work=work_file.encode(WorkBaseline(WORK_SCHEMA, test, work)).decode())

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

    def _sessions(self, result: Result) -> Iterator[Session]:
        """Yield each session of a result, first that of this process."""
        yield self._session(result.rounds, result.control_j, result.quality, result.explained)
        others = zip(result.fresh, result.fresh_controls_j, result.fresh_quality, strict=True)
        yield from (self._session(*each) for each in others)

    def _session(
        self,
        rounds: tuple[Round, ...],
        control_j: dict[str, float],
        quality: dict[str, float],
        explained: Explanation | None = None,
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
            layers=explained.kept if explained else None,
            run=self._began,
        )


def _pairs(result: Result, sessions: tuple[Session, ...]) -> Iterator[tuple[Result, Session]]:
    """Yield each session with its result; one after the first never replaces the baseline."""
    first, *others = sessions
    yield result, first
    verdict = replace(result.verdict, change=None, qualities=())
    added = replace(result, verdict=verdict, explained=None)
    yield from ((added, session) for session in others)


def _over_its_limit(result: Result) -> bool:
    """Return whether an absolute limit of the counted work is exceeded: then it is not saved."""
    work = result.verdict.work
    return work is not None and work.outcome is WorkOutcome.OVER_LIMIT
