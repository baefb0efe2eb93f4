"""The search for the commit that made a test use more energy: which A/B runs it takes, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pytest_greenops.bisection.git_bisect import GitBisect, Task
from pytest_greenops.model.bisected import Commit, Found, Mark, Measured, Remaining, Step
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.report.bisect_lines import finding, unregressed

_MARKS: dict[Outcome, Mark] = {
    Outcome.REGRESSED: "bad",
    Outcome.PASSED: "good",
    Outcome.IMPROVED: "good",
}
_HERE = "add --energy-ab-tests=here after -- to measure the tests of the working tree everywhere"


class NothingRegressed(Exception):
    """BAD was not shown to use more energy than GOOD; the message says what was found instead."""


class Run(NamedTuple):
    """What one A/B run found.

    found    the comparison of each measurement, in the order of the tests
    failure  why a measurement is not among them, in pytest's own words
    """

    found: dict[Measured, Interleaved]
    failure: str | None = None


class Measure(Protocol):
    """Compare the code of two commits in one A/B run, of one test if `only` is given."""

    def __call__(self, commit: Commit, against: Commit, only: Measured | None) -> Run:
        """Return what was found."""
        ...


class Show(Protocol):
    """What shows the search to the user while it runs."""

    def measuring(self, label: str, commit: Commit) -> None:
        """Show that a commit is being measured."""
        ...

    def step(self, label: str, step: Step) -> None:
        """Show what was found."""
        ...

    def line(self, text: str) -> None:
        """Show a line of text."""
        ...


class Search:
    """One search, from its start or from where it was interrupted.

    runs  the A/B runs that it took
    """

    def __init__(self, bisect: GitBisect, measure: Measure, show: Show) -> None:
        self.runs = 0
        self._bisect = bisect
        self._measure = measure
        self._show = show

    def start(self, good: Commit, bad: Commit, folder: str, args: Sequence[str]) -> None:
        """Compare BAD with GOOD, and start a bisect for the first test that regressed.

        folder, args  where pytest runs and with which arguments: noted in the bisect

        Raises `NothingRegressed` if none did, and `GreenopsError` if no test could be compared.
        """
        self._show.measuring("check", bad)
        run = self._run(bad, good)
        if not _regressed(run) and Outcome.INCONCLUSIVE in _outcomes(run):
            run = self._run(bad, good)
        regressed = _regressed(run)
        if not regressed:
            raise _nothing_regressed(run, good, bad)
        follows = regressed[0]
        step = Step(bad, "bad", finding(run.found[follows]))
        self._show.step("check", step)
        others = f"; {len(regressed) - 1} more regressed too" if regressed[1:] else ""
        self._show.line(f"follows {follows}{others}")
        if self._bisect.in_progress:
            raise GreenopsError("another bisect was started meanwhile: git bisect reset ends it")
        self._bisect.start(Task(good.sha, bad.sha, folder, list(args), follows))
        self._bisect.note(*step.noted)

    def finish(self) -> Found | Remaining:
        """Measure commits until one is found, or until only skipped ones are left."""
        bisect, task = self._bisect, self._task
        good, number = bisect.commit(task.good), max(1, len(bisect.noted()))
        while len(left := bisect.left()) > 1:
            label = f"{number}/{number - 1 + math.ceil(math.log2(len(left)))}"
            self._step(label, bisect.commit(bisect.head), good, task)
            number += 1
        commits = [bisect.commit(sha) for sha in bisect.suspects()[0]]
        return Remaining(commits) if commits[1:] else self._found(commits[0], task)

    @property
    def _task(self) -> Task:
        task = self._bisect.task
        if task is None:
            raise GreenopsError("the bisect was reset meanwhile")
        return task

    def _step(self, label: str, commit: Commit, good: Commit, task: Task) -> None:
        """Measure a commit, and mark it unless the user has done so meanwhile."""
        known = self._bisect.noted().get(commit.sha)  # interrupted before it was marked
        if known is None:
            self._show.measuring(label, commit)
            known = self._judged(commit, good, task.follows)
        step = Step(commit, *known)
        if self._task != task:
            raise GreenopsError("another bisect was started meanwhile")
        if self._bisect.head != commit.sha:
            self._show.line(f"{commit.short} was marked by git bisect meanwhile")
            return
        self._bisect.note(*step.noted)
        self._bisect.mark(commit.sha, step.mark)
        self._show.step(label, step)

    def _judged(self, commit: Commit, against: Commit, test: Measured) -> tuple[Mark, str]:
        """Compare one measurement, twice if the first A/B run is inconclusive."""
        found = ""
        for _ in range(2):
            run = self._run(commit, against, test)
            compared = run.found.get(test)
            if compared is None:
                return "skip", run.failure or f"no measurement of {test}"
            found = finding(compared)
            if compared.outcome is not Outcome.INCONCLUSIVE:
                return _MARKS.get(compared.outcome, "skip"), found
        return "skip", f"inconclusive twice: {found}"

    def _found(self, commit: Commit, task: Task) -> Found:
        """Return the first bad commit with the change over its parent, which is measured."""
        parent = self._bisect.commit(commit.parents[0])
        noted = self._bisect.noted().get(commit.sha)
        if parent.sha == task.good and noted is not None:  # this was measured already
            return Found(commit, parent, noted[1], alone=True)
        self._show.measuring("change", commit)
        mark, text = self._judged(commit, parent, task.follows)
        return Found(commit, parent, text, alone=mark == "bad")

    def _run(self, commit: Commit, against: Commit, only: Measured | None = None) -> Run:
        self.runs += 1
        return self._measure(commit, against, only)


def _regressed(run: Run) -> list[Measured]:
    """Return what regressed; counted work comes first, since its steps need no pairs."""
    found = [test for test, each in run.found.items() if each.outcome is Outcome.REGRESSED]
    return sorted(found, key=lambda test: not test.work)


def _outcomes(run: Run) -> set[Outcome]:
    return {each.outcome for each in run.found.values()}


def _nothing_regressed(run: Run, good: Commit, bad: Commit) -> Exception:
    """Return why no test regressed: an answer if tests were compared, else an error."""
    compared = {test: each for test, each in run.found.items() if each.compared}
    if compared:
        return NothingRegressed(unregressed(compared, good, bad))
    for test, each in run.found.items():
        fix = f"; {_HERE}" if each.outcome is Outcome.NO_BASELINE else ""
        return GreenopsError(f"{test}: {finding(each)}{fix}")
    return GreenopsError(f"BAD ({bad.short}): {run.failure or 'no test measured energy'}")
