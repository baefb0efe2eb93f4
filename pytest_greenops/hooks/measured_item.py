"""One energy test while it runs: its trial, its handle, and how it ended so far."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import SkipTest

import pytest

from pytest_greenops.hooks import selection
from pytest_greenops.hooks.caller import caller_of
from pytest_greenops.hooks.failure import add_note, describe_failure
from pytest_greenops.hooks.fixture import Energy, JoulesRead
from pytest_greenops.hooks.live_output import LiveOutput
from pytest_greenops.hooks.repetition import RecordedRepetitions
from pytest_greenops.hooks.report_data import ReportData, replace_properties
from pytest_greenops.model.errors import EnergyFailure
from pytest_greenops.model.result import Result
from pytest_greenops.report import reasons
from pytest_greenops.run.run import Run
from pytest_greenops.run.trial import Trial

_MEASURED: pytest.StashKey[MeasuredItem] = pytest.StashKey()
_SKIPS = (pytest.skip.Exception, SkipTest)


class MeasuredItem:
    """A test item and what is known of its measurement, kept in the item's stash.

    handle       what the fixture `energy` returns
    repetitions  how often its work was repeated, with the records of one repetition
    outcome      how the latest phase ended; once that is not `passed`, it stays
    results      what the call measured; empty before its report, and if the test was skipped
    benchmark    the fixture `benchmark` of the test, if the run measures by it
    """

    def __init__(self, item: pytest.Item, trial: Trial, live: LiveOutput) -> None:
        self.trial = trial
        self.repetitions = RecordedRepetitions(item, live)
        self.handle = Energy(trial, enabled=True, repetitions=self.repetitions)
        self.outcome = "passed"
        self.results: tuple[Result, ...] = ()
        self.benchmark: Any = None
        self._item = item
        item.stash[_MEASURED] = self

    @classmethod
    def of(cls, item: pytest.Item) -> MeasuredItem | None:
        """Return what is known of an item, or None if it is not an energy test."""
        return item.stash.get(_MEASURED, None)

    @classmethod
    def forget(cls, item: pytest.Item) -> None:
        """Drop what an earlier attempt at a test measured, before the test runs again."""
        if item.stash.get(_MEASURED, None) is not None:
            del item.stash[_MEASURED]
        replace_properties(item, ())

    def keep_figures(self, call: pytest.CallInfo[None], machine: str | None) -> None:
        """Put every figure of a call into `user_properties`, before pytest copies them.

        machine  the name of this one, where several run the same test
        """
        ended = [call.excinfo, *(getattr(self._item, "_excinfo", None) or ())]  # unittest's
        values = [each.value for each in ended if each is not None]
        skipped = any(isinstance(v, _SKIPS) and not isinstance(v, JoulesRead) for v in values)
        self.results = () if skipped else tuple(self.trial.made.values())
        replace_properties(self._item, self.results, machine)

    def describe(
        self, report: pytest.TestReport, call: pytest.CallInfo[None], run: Run, unicode: bool
    ) -> None:
        """Put results, failures and saved baselines on the report of a phase."""
        test = self.trial.test
        if report.when == "teardown":
            outcome = self.outcome if report.passed else "failed"
            if saved := run.saver.save(self.trial, outcome):
                ReportData(test, saved=saved).attach(report)
            del self._item.stash[_MEASURED]  # pytest keeps every item until the end of the run
            return
        error = call.excinfo.value if call.excinfo else None
        if self.outcome == "passed":
            self.outcome = "passed" if isinstance(error, JoulesRead) else report.outcome
        if report.when == "setup":
            ReportData(test).attach(report)
            return
        failure = type(error).__name__ if isinstance(error, EnergyFailure) else None
        notes, repeated = run.take_notes(), self.repetitions.hidden
        ReportData(test, self.results, failure, notes=notes, repeated=repeated).attach(report)
        if repeated and not (call.excinfo and self.trial.repetition > 1):
            add_note(report, reasons.shown_once(repeated), caller_of(self._item.config))
        if call.excinfo:
            config = self._item.config
            number, raised = self.repetitions.number, call.excinfo
            describe_failure(report, raised, self.trial, self.results, number, config, unicode)


@contextmanager
def measured_whole(item: pytest.Item) -> Iterator[None]:
    """Measure the item's function as one call, if it does not measure by the fixture itself.

    It is repeated with the same fixture values; their set-up stays outside. A function that gets
    the handle in another way, such as from a fixture, ends this measurement by using it.
    """
    function, measured = getattr(item, "obj", None), MeasuredItem.of(item)
    names = getattr(getattr(item, "_fixtureinfo", None), "argnames", ())
    by_itself = "energy" in names and selection.uses_handle(item)
    by_itself = by_itself or selection.times_itself(item)
    if function is None or measured is None or by_itself or measured.handle.used:
        yield
        return
    measured.repetitions.whole = True
    item.obj = wrapped = _wrapped(function, measured.handle)  # type: ignore[attr-defined]
    case = getattr(item, "instance", None)
    if getattr(case, "_testMethodName", None) == item.name:  # unittest looks it up by itself
        setattr(case, item.name, wrapped)
    try:
        yield
    finally:
        item.obj = function  # type: ignore[attr-defined]


def _wrapped(function: Callable[..., Any], energy: Energy) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return await energy.whole().acall(function, *args, **kwargs)

        return acall

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return energy.whole()(function, *args, **kwargs)

    return plain
