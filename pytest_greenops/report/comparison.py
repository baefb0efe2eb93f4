"""What is said where one file of results, B, is held against another, A."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import Change, Outcome
from pytest_greenops.report import figures
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.drawing import wrapped
from pytest_greenops.report.notes import Sentences
from pytest_greenops.report.reasons import Advice

#: How many measurements are named that have no counterpart.
_NAMED = 3


def heading(names: tuple[str, str], both: tuple[Results, Results], width: int) -> Iterator[str]:
    """Which file is A, which is B, and what they hold."""
    for letter, name, results in zip("AB", names, both, strict=True):
        when = results.created_at[:16].replace("T", " ")
        count = counted(len(results.results), "measurement")
        yield from wrapped(f"energy: {letter} is {name}: {count} of {when}", width)


def unmatched(letter: str, results: Sequence[Result], width: int) -> Iterator[str]:
    """What only one of the two measured: counted, and a few of it named."""
    if results:
        named = [result.test.node_id + figures.label(result) for result in results[:_NAMED]]
        more = len(results) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        count = counted(len(results), "measurement")
        yield from wrapped(f"energy: only in {letter}: {count}: {listed}", width)


def _explain(result: Result) -> Advice:
    return Advice(_REASONS[result.verdict.outcome](result))


def _regressed(result: Result) -> str:
    change, kept = result.verdict.change, ""
    if result.verdict.drops:
        kept = quality.kept(result, " in B, {} in A")
        if result.verdict.energy is not Outcome.REGRESSED:
            return f"{result.name} {kept}"
        kept = f" and {kept}"
    used = figures.energy(result.judged_j, result.unit)
    against = f", {_against(result, change)}" if change else ""
    return f"{result.name} used {used} in B{against}{kept}"


def _against(result: Result, change: Change) -> str:
    return (
        f"{figures.energy(change.baseline_j, result.unit)} in A "
        f"({format_percent(change.relative)}, 95 % CI {figures.change_span(change)}, "
        f"limit {figures.margin(change.margin)})"
    )


def _inconclusive(result: Result) -> str:
    verdict = result.verdict
    compared = figures.against_baseline(verdict.change) if verdict.change else ""
    doubts = [text for text in (compared, verdict.cause) if text]
    text = f"can't tell: {', '.join(doubts) or 'the rounds do not agree'}"
    if verdict.needs_rounds is not None:
        return f"{text}; about {verdict.needs_rounds} rounds in B would decide"
    if verdict.needs_processes is not None:
        return f"{text}; B in --energy-sessions={verdict.needs_processes} would decide"
    if verdict.needs_sessions is not None:
        return f"{text}; {counted(verdict.needs_sessions, 'more session')} in A would decide"
    if verdict.cause:
        return f"{text}; mend that and measure B again"
    return text


def _no_baseline(result: Result) -> str:
    return f"A has nothing to compare with: {result.verdict.cause or 'it was not measured'}"


def _not_comparable(result: Result) -> str:
    return f"not comparable ({result.verdict.cause})"


def _not_measured(result: Result) -> str:
    return f"not measured in B: {result.verdict.cause or 'no sensor could be read'}"


def _within(result: Result) -> str:
    change = result.verdict.change
    return figures.against_baseline(change) if change else ""


def _few_sessions(count: int, smallest: float) -> Advice:
    return Advice(
        f"{count} passed provisionally: with fewer than 3 sessions in A only an increase from "
        f"{format_percent(smallest)} on is sure to be found. Measure A with --energy-sessions=3 to "
        "find smaller ones."
    )


def _unheld(results: Sequence[Result]) -> Iterator[Advice]:
    for result in results:
        names = [each.name for each in result.verdict.qualities if each.unheld]
        if names:
            yield Advice(f"{figures.subject(result)}: only one of both tells {', '.join(names)}.")


_REASONS: dict[Outcome, Callable[[Result], str]] = {
    Outcome.PASSED: _within,
    Outcome.IMPROVED: _within,
    Outcome.REGRESSED: _regressed,
    Outcome.OVER_BUDGET: _regressed,
    Outcome.INCONCLUSIVE: _inconclusive,
    Outcome.NO_BASELINE: _no_baseline,
    Outcome.NOT_COMPARABLE: _not_comparable,
    Outcome.NOT_MEASURED: _not_measured,
}
#: No command is told: the tests of two files may be of other commits, machines and days.
OF_TWO_FILES = Sentences(_explain, lambda result: None, _few_sessions, _unheld)
