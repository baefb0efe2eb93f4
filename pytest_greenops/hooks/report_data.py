"""What pytest's reports carry of an energy test: results for the summary, properties for JUnit."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_greenops.hooks.caller import caller_of
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.measurement import CheckName
from pytest_greenops.model.place import Place
from pytest_greenops.model.result import Result
from pytest_greenops.model.work_verdict import WorkOutcome
from pytest_greenops.report import closing, document, reasons
from pytest_greenops.run.machine_results import MachineResults
from pytest_greenops.run.save import BaselineWriter, Saved

#: Why nothing was measured or saved.
_NO_TEST = "no energy test ran; pytest-greenops init proposes a first one"
#: At most this many baselines are listed that a run started anew, or that it did not save.
_MOST_LISTED = 10
#: What a report carries in a run that saves nothing, and of a test of which nothing was saved.
_NOT_SAVED = Saved()
#: Names of the properties that this plugin has put on an item.
_PROPERTIES = pytest.StashKey[frozenset[str]]()


class ReportData(msgspec.Struct, omit_defaults=True):
    """The data that a report carries, from the workers of pytest-xdist to the controller too.

    failure   the name of the energy exception that failed the test
    notes     those of the store
    repeated  how often the work ran whose records are those of one repetition; 0 if all are shown
    """

    test: TestKey
    results: tuple[Result, ...] = ()
    failure: str | None = None
    saved: Saved = msgspec.field(default_factory=Saved)
    notes: dict[str, str] = {}
    repeated: int = 0

    def attach(self, report: pytest.TestReport) -> None:
        """Attach the data to a report as plain values, which pytest-xdist can send."""
        global _attached
        report.greenops = values = msgspec.to_builtins(self)  # type: ignore[attr-defined]
        _attached = values, self

    @classmethod
    def of(cls, report: pytest.TestReport) -> ReportData | None:
        """Return what a report carries, or None; also for a subtest, in the middle of its test."""
        values = getattr(report, "greenops", None)
        if values is None or hasattr(report, "context"):
            return None
        return _attached[1] if values is _attached[0] else msgspec.convert(values, cls)

    def detach(self, report: pytest.TestReport) -> None:
        """Leave on a report only what names its outcome: pytest keeps every report."""
        report.greenops = {"failure": self.failure} if self.failure else None  # type: ignore[attr-defined]


#: The values that were attached last in this process, and the data that they were made of: where
#: nothing was sent, they need not be read again.
_attached: tuple[object, Any] = (object(), None)


class GatheredReports:
    """What the reports carry that are about one machine: its results, and its `problems`.

    kept     the results
    failed   the tests that failed by their energy
    remarks  lines of the run that do not fail it
    failed_as_a_whole  why `--energy-strict` fails the run, although its tests pass
    """

    def __init__(self, kept: MachineResults, writer: BaselineWriter | None = None) -> None:
        """Begin without reports; `writer` saves what workers of pytest-xdist left."""
        self.kept = kept
        self._writer = writer
        self.failed_as_a_whole = ""
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.failed: set[TestKey] = set()
        self._locations: dict[TestKey, tuple[str, int | None]] = {}
        self._refused: dict[TestKey, list[str]] = {}
        self._notes: dict[str, str] = {}
        self._repeated: dict[TestKey, int] = {}
        self._anew: dict[TestKey, dict[str, int]] = {}

    def add(self, report: pytest.TestReport, data: ReportData) -> None:
        """Keep what a report carries; only the last attempt at a test counts."""
        run = self.kept
        data.detach(report)
        file, line, _ = report.location
        self._locations[data.test] = file, line
        if report.when != "teardown":
            run.forget(data.test)
            self.failed.discard(data.test)
        if data.repeated:
            self._repeated[data.test] = data.repeated
        if data.failure and report.outcome == "failed":
            self.failed.add(data.test)
        saved = data.saved
        if self._writer is not None:
            saved = self._writer.settle(data.test, saved, run.of(data.test))
        if data.notes:
            self._notes = {**data.notes, **self._notes}
        run.record(data.results)
        self._refused.pop(data.test, None)
        self._anew.pop(data.test, None)
        if saved == _NOT_SAVED:
            return
        run.mark(data.test, saved)
        if saved.refused:
            self._refused[data.test] = [
                f"{data.test.node_id}{'' if name == 'call' else f' ({name})'}: {why}"
                for name, why in saved.refused.items()
            ]
        if saved.anew:
            self._anew[data.test] = saved.anew
        if saved.problem:
            self.problems.append(saved.problem)

    def places(self, root: Path, repository: Path) -> dict[TestKey, Place]:
        """Return where the tests are in the repository; `root` is pytest's.

        A test whose function is outside of the repository is at the first line of its module.
        """
        root = Path(os.path.realpath(root))
        inside = root.relative_to(repository) if root.is_relative_to(repository) else Path()
        found = {}
        for test, (file, line) in self._locations.items():
            path = posixpath.normpath((inside / file).as_posix())
            found[test] = Place(path, (line or 0) + 1)
            if path.startswith(("../", "/")):
                found[test] = Place((inside / test.module).as_posix())
        return found

    def lines(self, broken: bool = False) -> Iterator[str]:
        """Yield what is shown once, saved anew, not saved or not used, and the problems.

        `broken` is whether tests could not be collected or set up.
        """
        run = self.kept
        if self._repeated:
            yield reasons.tests_shown_once(len(self._repeated), max(self._repeated.values()))
        anew = [
            closing.started_anew(result, self._anew[result.test][result.name])
            for result in (run.results if self._anew else ())
            if result.saved and result.name in self._anew.get(result.test, {})
        ]
        yield from _listed(anew, "more baselines started anew")
        refused = [f"not saved: {line}" for lines in self._refused.values() for line in lines]
        yield from _listed(refused, "more not saved")
        yield from _listed([*self._notes.values()], "more notes on files of baselines")
        yield from self.remarks
        yield from self.problems
        if run.options.save and not _saved_something(run):
            yield f"nothing was saved: {self._nothing_saved}"
        elif not (run.results or broken):
            yield _NO_TEST

    @property
    def why_failed(self) -> str:
        """Why `--energy-strict` fails the run as a whole, or an empty text."""
        run = self.kept
        if not run.options.strict:
            return ""
        if not run.options.save:
            return "" if run.compared else "nothing was compared"
        complete = run.options.save == "new" and run.results and not self._refusals
        return "" if _saved_something(run) or complete else "nothing was saved"

    @property
    def _refusals(self) -> int:
        return sum(map(len, self._refused.values())) + len(self.problems)

    @property
    def _nothing_saved(self) -> str:
        run = self.kept
        if self._refusals:
            busy = all((r.not_saved or "").startswith(CheckName.CONTENTION) for r in run.results)
            again = "; stop what else runs here, and run this command again" if busy else ""
            return f"the lines above say why{again}"
        if run.options.count_only and all(map(_uncounted, run.results)):
            return "no work was counted"
        return "every test has a baseline already" if run.results else _NO_TEST


def _listed(lines: Sequence[str], more: str) -> Iterator[str]:
    """Yield the first of these lines, and how many more there are."""
    yield from lines[:_MOST_LISTED]
    if len(lines) > _MOST_LISTED:
        yield f"{len(lines) - _MOST_LISTED} {more}"


def _saved_something(run: MachineResults) -> bool:
    return any(result.saved or result.work_saved for result in run.results)


def _uncounted(result: Result) -> bool:
    work = result.verdict.work
    return work is None or work.outcome is WorkOutcome.NOT_COUNTED


def replace_properties(
    item: pytest.Item, results: Sequence[Result], machine: str | None = None
) -> None:
    """Put every figure into `user_properties`, in place of those of an earlier attempt."""
    ours = item.stash.get(_PROPERTIES, frozenset())
    if not ours and not results:
        return
    others = [pair for pair in item.user_properties if pair[0] not in ours]
    caller = caller_of(item.config)
    figures = [pair for result in results for pair in document.properties(result, caller)]
    if machine is not None and results:
        figures.append(("energy.machine", machine))
    item.stash[_PROPERTIES] = frozenset(name for name, _ in figures)
    item.user_properties[:] = [*others, *figures]
