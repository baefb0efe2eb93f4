"""How an energy test fails: its exception, its one line and section, its letter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

from pytest_greenops.hooks.caller import caller_of
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.errors import (
    EnergyBudgetExceeded,
    EnergyFailure,
    EnergyRegression,
    EnergyUnproven,
    EnergyWorkIncreased,
    GreenopsError,
)
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import layer_table, reasons, section
from pytest_greenops.report.drawing import plain, visible, wrapped
from pytest_greenops.run.trial import Trial

#: The letter of an energy failure in pytest's row of dots: J as in joule.
LETTER = "J"
#: In the summary, by the class of the failure.
WORDS = {
    EnergyRegression.__name__: "REGRESSED",
    EnergyBudgetExceeded.__name__: "OVER BUDGET",
    EnergyUnproven.__name__: "UNPROVEN",
    EnergyWorkIncreased.__name__: "MORE WORK",
}


def enforce(
    results: Iterable[Result], options: Options, accepted: Collection[Result], caller: Caller
) -> None:
    """Raise for the gravest result that fails its test, if one does.

    A run that saves every baseline reports a regression without failing; an absolute budget
    still fails. What becomes a baseline (`accepted`) is never unproven.
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
                raised = EnergyWorkIncreased if verdict.more_work else error
                raise raised(reasons.failure(result).line(caller))
        if options.save == "all":
            break
    for result in ours if options.strict else ():
        if result.verdict.unproven and result not in accepted:
            raise EnergyUnproven(reasons.unproven(result).line(caller))


def describe_failure(
    report: pytest.TestReport,
    excinfo: pytest.ExceptionInfo[BaseException],
    trial: Trial,
    results: Sequence[Result],
    number: int,
    config: pytest.Config,
    unicode: bool,
) -> None:
    """Shorten a failure of this plugin to one line, and add sections that explain a failure.

    `number` is the number of the repetition in progress. The sections have the commands: where
    they are shown, the line has none.
    """
    error, caller = excinfo.value, caller_of(config)
    if isinstance(error, (EnergyFailure, GreenopsError)):
        report.longrepr = _one_line(excinfo, report, unicode)
    if isinstance(error, EnergyFailure):
        said = str(error)
        say = visible if unicode else plain
        for title, lines in section.failure_sections(results, said, caller, say):
            report.sections.append((title, "\n".join(lines)))
        listed = [r for r in results if reasons.failure(r).line(caller) == said]
        if listed and shows_sections(config):
            brief: Any = report.longrepr
            line = say(f"{type(error).__name__}: {reasons.finding(listed[0])}")
            brief.reprtraceback.reprentries[-1].lines[:] = wrapped(line, caller.width)
    elif trial.explaining.capturing:
        add_note(report, layer_table.failed_while_explained(), caller)
    elif trial.repetition > 1:
        add_note(report, reasons.failed_in_repetition(number), caller)


def add_note(report: pytest.TestReport, text: str, caller: Caller) -> None:
    """Add a sentence below a test, wrapped."""
    report.sections.append(("energy", "\n".join(wrapped(text, caller.width))))


def shows_sections(config: pytest.Config) -> bool:
    """Return whether pytest prints the sections of a failure; never with `-p no:terminal`."""
    style, hidden = config.getoption("tbstyle", "no"), config.getoption("no_summary", False)
    return bool(style != "no" and not hidden and config.getoption("showcapture", "no") == "all")


def status(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Return the category, letter and word of an energy failure, or None for all other reports.

    A failure that was expected (xfail), or whose test runs again (rerunfailures), is another.
    """
    failure = (getattr(report, "greenops", None) or {}).get("failure")
    if failure is None or report.outcome != "failed":
        return None
    return "failed", LETTER, (WORDS[failure], {"red": True})


def _one_line(
    excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport, unicode: bool
) -> Any:
    """Return a failure without a traceback: its message, at the place of the test."""
    say = visible if unicode else plain
    message = say(f"{type(excinfo.value).__name__}: {excinfo.value}")
    brief: Any = excinfo.getrepr(style="value")
    brief.reprtraceback.reprentries[-1].lines[:] = [message]
    del brief.reprtraceback.reprentries[:-1]
    if brief.reprcrash is not None:
        path, line, _ = report.location
        brief.reprcrash.path, brief.reprcrash.lineno = path, (line or 0) + 1
        brief.reprcrash.message = message
    return brief
