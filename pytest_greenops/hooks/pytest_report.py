"""From results to what pytest knows of a test: its exception, its report, its letter."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from unittest import SkipTest

import msgspec
import pytest

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import (
    BaselineError,
    EnergyBudgetExceeded,
    EnergyFailure,
    EnergyRegression,
    EnergyUnproven,
    GreenopsError,
)
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import document, layer_table, reasons, section
from pytest_greenops.report.drawing import plain
from pytest_greenops.run.run import Run
from pytest_greenops.run.trial import Trial

#: The letter that stands for an energy failure in pytest's row of dots: J as in joule.
LETTER = "J"
WORDS = {
    EnergyRegression.__name__: "REGRESSED",
    EnergyBudgetExceeded.__name__: "OVER BUDGET",
    EnergyUnproven.__name__: "UNPROVEN",
}
#: Names of the properties that we have put on an item.
PUT = pytest.StashKey[frozenset[str]]()


class Carried(msgspec.Struct, omit_defaults=True):
    """What a report of pytest carries of ours, from the workers of pytest-xdist too.

    failure  the name of the energy failure that failed the test
    saved    names of the results that became baselines
    refused  why others did not, by name
    problem  why nothing could be saved
    """

    test: TestKey
    results: tuple[Result, ...] = ()
    failure: str | None = None
    saved: tuple[str, ...] = ()
    refused: dict[str, str] = {}
    problem: str | None = None

    def put(self, report: pytest.TestReport) -> None:
        """Lay it on a report, as plain JSON-like values."""
        report.greenops = msgspec.to_builtins(self)  # type: ignore[attr-defined]

    @classmethod
    def of(cls, report: pytest.TestReport) -> Carried | None:
        """What a report carries, if anything."""
        carried = getattr(report, "greenops", None)
        return None if carried is None else msgspec.convert(carried, cls)


def enforce(results: Iterable[Result], options: Options, accepted: Collection[Result]) -> None:
    """Raise for the gravest result that fails its test, if one does.

    What this run accepts as a baseline is told, not failed; an absolute budget still fails.
    """
    __tracebackhide__ = True
    ours = list(results)
    for outcome, error in (
        (Outcome.OVER_BUDGET, EnergyBudgetExceeded),
        (Outcome.REGRESSED, EnergyRegression),
    ):
        for result in ours:
            verdict = result.verdict
            if verdict.outcome is outcome and verdict.action == "fail":
                raise error(reasons.failure(result))
        if options.save == "all":
            break
    for result in ours if options.strict else ():
        if result.verdict.unproven and result not in accepted:
            raise EnergyUnproven(reasons.unproven(result))


def keep_properties(item: pytest.Item, results: Iterable[Result]) -> None:
    """Put every figure into `user_properties`, in place of those of an earlier attempt."""
    ours = item.stash.get(PUT, frozenset())
    others = [pair for pair in item.user_properties if pair[0] not in ours]
    figures = [pair for result in results for pair in document.properties(result)]
    item.stash[PUT] = frozenset(name for name, _ in figures)
    item.user_properties[:] = [*others, *figures]


def results_of(item: pytest.Item, excinfo: Any, trial: Trial) -> tuple[Result, ...]:
    """What a call measured: nothing, where the test skipped itself."""
    ended = [excinfo, *(getattr(item, "_excinfo", None) or ())]  # unittest's are raised later
    skips = (pytest.skip.Exception, SkipTest)
    if any(each is not None and isinstance(each.value, skips) for each in ended):
        return ()
    return tuple(trial.results.values())


def describe_call(
    report: pytest.TestReport,
    excinfo: Any,
    trial: Trial,
    results: tuple[Result, ...],
    unicode: bool,
) -> None:
    """Put the results of a call on its report, and say a failure of ours in one line."""
    error = excinfo.value if excinfo else None
    ours = isinstance(error, EnergyFailure)
    Carried(trial.test, results, type(error).__name__ if ours else None).put(report)
    if isinstance(error, (EnergyFailure, GreenopsError)):
        report.longrepr = _one_line(excinfo, report, unicode)
    if ours:
        for result in results:
            if result.verdict.red or result.verdict.unproven:
                title = "energy" if result.name == "call" else f"energy of {result.name}"
                lines = section.failure_section(result, unicode)
                report.sections.append((title, "\n".join(_shown(line, unicode) for line in lines)))
    elif error is not None and trial.explaining.capturing:
        report.sections.append(("energy", layer_table.failed_while_explained()))
    elif error is not None and trial.repetition > 1:
        report.sections.append(("energy", reasons.failed_in_repetition(trial.repetition)))


def save(report: pytest.TestReport, run: Run, trial: Trial, ended: str) -> None:
    """Accept what a passed test measured, and put on its last report what became of it.

    `ended` is the outcome of its call; of a test that was skipped nothing is said.
    """
    if run.options.save is None:
        return
    carried = Carried(trial.test)
    if ended == "skipped" and report.passed:
        pass
    elif ended == "passed" and report.passed:
        try:
            saved, carried.refused = run.accept(trial)
            carried.saved = tuple(saved)
        except BaselineError as error:
            carried.problem = str(error)
    else:
        carried.refused = dict.fromkeys(trial.results or ["call"], "the test did not pass")
    carried.put(report)


def gather(
    report: pytest.TestReport,
    run: Run,
    problems: list[str],
    refused: dict[TestKey, list[str]],
) -> None:
    """Take what a report carries, in the process that tells the user.

    Of a test that is run again only what became of the last attempt is kept.
    """
    carried = Carried.of(report)
    if carried is None or hasattr(report, "context"):  # a subtest's, in the middle of its test
        return
    if report.when != "teardown":
        run.forget(carried.test)
    run.record(carried.results)
    run.mark(carried.test, carried.saved, carried.refused)
    refused[carried.test] = [
        f"{carried.test.node_id}{'' if name == 'call' else f' ({name})'}: {why}"
        for name, why in carried.refused.items()
    ]
    problems += [carried.problem] if carried.problem else []


def status(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """The category, letter and word of an energy failure; None for all others.

    One that was expected (xfail), or that is run again (rerunfailures), is none.
    """
    failure = (getattr(report, "greenops", None) or {}).get("failure")
    if failure is None or report.outcome != "failed":
        return None
    return "failed", LETTER, (WORDS[failure], {"red": True})


def _one_line(
    excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport, unicode: bool
) -> Any:
    """A failure without a traceback, which pytest sums up by its message, at the test's place."""
    message = _shown(f"{type(excinfo.value).__name__}: {excinfo.value}", unicode)
    brief: Any = excinfo.getrepr(style="value")
    brief.reprtraceback.reprentries[-1].lines[:] = [message]
    del brief.reprtraceback.reprentries[:-1]
    if brief.reprcrash is not None:
        path, line, _ = report.location
        brief.reprcrash.path, brief.reprcrash.lineno = path, (line or 0) + 1
        brief.reprcrash.message = message
    return brief


def _shown(text: str, unicode: bool) -> str:
    return text if unicode else plain(text)
