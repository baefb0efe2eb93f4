"""What pytest's reports carry of an energy test: results for the summary, properties for JUnit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import pytest

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.result import Result
from pytest_greenops.report import document, reasons
from pytest_greenops.run.run import Run
from pytest_greenops.run.save import Saved

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
        report.greenops = msgspec.to_builtins(self)  # type: ignore[attr-defined]

    @classmethod
    def of(cls, report: pytest.TestReport) -> ReportData | None:
        """Return what a report carries, or None."""
        data = getattr(report, "greenops", None)
        return None if data is None else msgspec.convert(data, cls)


class GatheredReports:
    """What the reports of all processes carry: results for the run, and its `problems`."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._refused: dict[TestKey, list[str]] = {}
        self._notes: dict[str, str] = {}
        self._repeated: dict[TestKey, int] = {}

    def add(self, report: pytest.TestReport, run: Run) -> None:
        """Keep what a report carries; only the last attempt at a test counts."""
        data = ReportData.of(report)
        if data is None or hasattr(report, "context"):  # a subtest's, in the middle of its test
            return
        if report.when != "teardown":
            run.forget(data.test)
        if data.repeated:
            self._repeated[data.test] = data.repeated
        saved = data.saved
        self._notes = {**data.notes, **self._notes}
        run.record(data.results)
        run.mark(data.test, saved)
        self._refused[data.test] = [
            f"{data.test.node_id}{'' if name == 'call' else f' ({name})'}: {why}"
            for name, why in saved.refused.items()
        ]
        if saved.problem:
            self.problems.append(saved.problem)

    def lines(self) -> Iterator[str]:
        """Yield what is shown once, not saved or not used, and the problems of the run."""
        if self._repeated:
            yield reasons.tests_shown_once(len(self._repeated), max(self._repeated.values()))
        yield from (f"not saved: {line}" for lines in self._refused.values() for line in lines)
        yield from self._notes.values()
        yield from self.problems


def replace_properties(item: pytest.Item, results: Iterable[Result]) -> None:
    """Put every figure into `user_properties`, in place of those of an earlier attempt."""
    ours = item.stash.get(_PROPERTIES, frozenset())
    others = [pair for pair in item.user_properties if pair[0] not in ours]
    figures = [pair for result in results for pair in document.properties(result)]
    item.stash[_PROPERTIES] = frozenset(name for name, _ in figures)
    item.user_properties[:] = [*others, *figures]
