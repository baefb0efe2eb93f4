"""Sentences about a comparison of one result file, B, with another, A."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import Change, Outcome
from pytest_greenops.report import figures, work_text
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.advice import Advice
from pytest_greenops.report.drawing import wrapped
from pytest_greenops.report.notes import Sentences
from pytest_greenops.report.undecided import doubt

#: At most this many measurements without a counterpart are named.
_NAMED = 3


def heading(names: tuple[str, str], both: tuple[Results, Results], width: int) -> Iterator[str]:
    """Yield which file is A and which is B."""
    for letter, name, results in zip("AB", names, both, strict=True):
        when = results.created_at[:16].replace("T", " ")
        count = counted(len(results.results), "measurement")
        yield from wrapped(f"energy: {letter} is {name}: {count}, {when}", width)


def unmatched(letter: str, results: Sequence[Result], width: int) -> Iterator[str]:
    """Yield how many measurements only one file has, and a few names."""
    if results:
        named = [result.test.node_id + figures.label(result) for result in results[:_NAMED]]
        more = len(results) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        count = counted(len(results), "measurement")
        yield from wrapped(f"energy: only in {letter}: {count}: {listed}", width)


def _explain(result: Result) -> Advice:
    return Advice(_REASONS[result.verdict.outcome](result))


def _regressed(result: Result) -> str:
    change, dropped = result.verdict.change, ""
    if work := result.verdict.more_work:
        return f"{result.name} {work_text.increase(work)}"
    if result.verdict.drops:
        dropped = quality.drops(result, " in B, {} in A")
        if result.verdict.energy is not Outcome.REGRESSED:
            return f"{result.name} {dropped}"
        dropped = f" and {dropped}"
    used = figures.energy(result.judged_j, result.unit)
    against = f", {_against(result, change)}" if change else ""
    return f"{result.name} used {used} in B{against}{dropped}{_work(result)}"


def _work(result: Result) -> str:
    """Return what the counted work says about joules that increased."""
    verdict, work = result.verdict.work, result.work
    said = work_text.annotation(verdict, work.coverage) if verdict and work else None
    return f"; {said}" if said else ""


def _against(result: Result, change: Change) -> str:
    before, limit = figures.energy(change.baseline_j, result.unit), figures.margin(change.margin)
    change_text = f"{format_percent(change.relative)}, 95 % CI {figures.change_span(change)}"
    return f"{before} in A ({change_text}, limit {limit})"


def _inconclusive(result: Result) -> str:
    verdict, text = result.verdict, doubt(result)
    if verdict.needs_rounds is not None:
        return f"{text}; about {verdict.needs_rounds} rounds in B would decide"
    if verdict.needs_processes is not None:
        return f"{text}; B with --energy-sessions={verdict.needs_processes} would decide"
    if verdict.needs_sessions is not None:
        return f"{text}; {counted(verdict.needs_sessions, 'more session')} in A would decide"
    if verdict.cause:
        return f"{text}; fix this and measure B again"
    return text


def _no_baseline(result: Result) -> str:
    if result.verdict.alone:
        return "nothing to compare with in A: its work was not counted"
    return f"nothing to compare with in A: {result.verdict.cause or 'it was not measured'}"


def _not_comparable(result: Result) -> str:
    return f"not comparable ({result.verdict.cause})"


def _not_measured(result: Result) -> str:
    if result.verdict.alone:
        return f"not counted in B: {result.verdict.cause}"
    return f"not measured in B: {result.verdict.cause or 'no sensor could be read'}"


def _within(result: Result) -> str:
    change = result.verdict.change
    return figures.against_baseline(change) if change else ""


def _few_sessions(count: int, smallest: float) -> Advice:
    return Advice(
        f"{count} passed provisionally: A is of one hour, so only increases of at least "
        f"{format_percent(smallest)} are detected. Save sessions of three hours as a baseline to "
        "detect smaller ones."
    )


def _quality_not_judged(results: Sequence[Result]) -> Iterator[Advice]:
    for result in results:
        names = [each.name for each in result.verdict.qualities if each.unheld]
        if names:
            yield Advice(f"{figures.subject(result)}: only one file has {', '.join(names)}.")


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
#: There are no commands: the files may come from other commits and machines.
OF_TWO_FILES = Sentences(_explain, lambda result: None, _few_sessions, _quality_not_judged)
