"""Sentences about an A/B comparison: which figures a verdict rests on, and how they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.advised import Command
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.report import figures

#: Refs from which the working tree differs by its uncommitted changes alone.
_UNCOMMITTED = ("stash", "HEAD")
#: A ref that is computed from this branch begins with this.
_MERGE_BASE = "merge-base:"
#: The live line until the first pair.
BEGINS = "A/B: both sides start"


class Shift(NamedTuple):
    """The change that a verdict rests on, with its 95 % interval.

    ab  the A/B comparison that found it; None for the comparison with the stored baseline
    """

    relative: float
    low: float
    high: float
    margin: float
    ab: Interleaved | None = None

    @property
    def span(self) -> str:
        """Return the interval: `'+6.9…+9.8 %'`."""
        return figures.span(self.low, self.high, format_percent)


def deciding(verdict: Verdict) -> Interleaved | None:
    """Return the A/B comparison on which a verdict rests, because it has its outcome, or None."""
    ab = verdict.interleaved
    return ab if ab is not None and ab.compared and ab.outcome is verdict.energy else None


def shift_of(verdict: Verdict) -> Shift | None:
    """Return the change that a verdict rests on: of the pairs, or over the stored baseline."""
    if ab := deciding(verdict):
        return _shift(ab)
    change = verdict.change
    return Shift(change.relative, change.low, change.high, change.margin) if change else None


def measured(ab: Interleaved) -> str:
    """Return `'+8.3 % (95 % CI +6.9…+9.8)'`."""
    shift = _shift(ab)
    return f"{format_percent(shift.relative)} (95 % CI {shift.span.removesuffix(' %')})"


def in_full(ab: Interleaved) -> str:
    """Return `'+8.3 % (95 % CI +6.9…+9.8), 7 pairs, against 3f2a91c (main)'`, or why not."""
    if not ab.compared:
        return f"{ab.outcome.value} ({ab.cause})" if ab.cause else ab.outcome.value
    return f"{measured(ab)}, {_pairs(ab.pairs)}, against {ab.label}"


def live(ab: Interleaved) -> str:
    """Return the live line of a comparison: `'A/B 5 pairs, +7.9 % (+3.1…+13)'`.

    Only the pairs while their interval is not known.
    """
    text, shift = f"A/B {_pairs(ab.pairs)}", _shift(ab)
    if ab.low is None or ab.high is None:
        return text
    return f"{text}, {format_percent(shift.relative)} ({shift.span.removesuffix(' %')})"


def table_lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield the lines below a row, each with a shorter one: the pairs, and what did not decide."""
    ab, change = verdict.interleaved, verdict.change
    if ab is None:
        return
    if deciding(verdict):
        yield f"A/B  {_pairs(ab.pairs)} against {ab.label}", f"A/B  {_pairs(ab.pairs)}"
        if change is not None:
            short = f"stored  {format_percent(change.relative)}  {figures.change_span(change)}"
            yield f"stored  {figures.measured_change(change)}, {change.outcome.value}", short
    elif ab.compared:
        short = f"A/B  {format_percent(_shift(ab).relative)}, {ab.outcome.value}"
        yield f"A/B  {measured(ab)}, {_pairs(ab.pairs)}, {ab.outcome.value}", short
    elif change is not None:
        yield f"A/B  {not_deciding(ab)}", f"A/B  {ab.outcome.value}"


def not_deciding(ab: Interleaved) -> str:
    """Return what a comparison found that did not decide the verdict."""
    return f"{in_full(ab)}, {ab.outcome.value}" if ab.compared else in_full(ab)


def regression(result: Result, ab: Interleaved) -> tuple[str, str]:
    """Return the energy now, and the text after it: the ref's energy, the change and the limit.

    Both energies are those of the pairs; the table has that of the run's own process.
    """
    change = f"{measured(ab)}, {_pairs(ab.pairs)}, limit {figures.margin(ab.margin)}"
    if ab.baseline_j is None:
        return figures.energy(result.judged_j, result.unit), f", against {ab.label}: {change}"
    now = figures.energy(ab.baseline_j * (1 + _shift(ab).relative), result.unit)
    before = figures.energy(ab.baseline_j, result.unit)
    return now, f", {before} in {ab.label}: {change}"


def within(ab: Interleaved) -> str:
    """Return `'+0.4 % (…), 9 pairs, against 3f2a91c (main); limit +5 %'`."""
    return f"{in_full(ab)}; limit {figures.margin(ab.margin)}"


def uncertain(ab: Interleaved) -> str:
    """Return the change as the subject of a sentence: `'+3.1 % (…) after 26 pairs against …'`."""
    return f"{measured(ab)} after {_pairs(ab.pairs)} against {ab.label}"


def detected(ab: Interleaved) -> str:
    """Return which increases the pairs of an open comparison detect, and what would decide."""
    text = f"; about {_pairs(ab.needs_pairs)} would decide" if ab.needs_pairs else ""
    if ab.smallest is None:
        return text
    text += f"; increases of at least {format_percent(ab.smallest)} are detected"
    if ab.smallest <= ab.margin:
        return text
    return f'{text}: allow them by max_increase="{figures.written_margin(ab.smallest)}"'


def evidence(verdict: Verdict, ab: Interleaved) -> Iterator[str]:
    """Yield what the verdict on pairs rests on, and what the stored baseline showed."""
    starts = f" from {counted(ab.starts, 'start')} of each side" if ab.starts else ""
    yield f"{_pairs(ab.pairs)}{starts}"
    if (change := verdict.change) is not None:
        yield f"stored baseline: {figures.measured_change(change)}, {change.outcome.value}"


def bisected(result: Result) -> Command | None:
    """Return the command that finds the commit which used more, if it is one."""
    ab = deciding(result.verdict)
    if ab is None or ab.good is None or result.verdict.energy is not Outcome.REGRESSED:
        return None
    named = ab.good == ab.commit and not ab.ref.startswith(_MERGE_BASE)
    return Command("bisect", result.test.node_id, (ab.ref if named else ab.good,))


def merged(ab: Interleaved) -> str | None:
    """Return what accepts the change without a stored baseline; None if the ref cannot move."""
    if ab.ref in _UNCOMMITTED:
        return f"commit it: later runs with --energy-ab={ab.ref} then pass"
    return f"merge it: once {ab.branch} has it, later runs pass" if ab.branch else None


def allowed(ab: Interleaved) -> str:
    """Return the marker argument that allows the whole interval: `'max_increase="10%"'`."""
    return f'max_increase="{figures.written_margin(_shift(ab).high)}"'


def counts(results: Sequence[Result]) -> str:
    """Return `'3 by A/B against 3f2a91c (main)'`, for each ref; empty without a comparison."""
    all_of = [each for result in results if (each := result.verdict.interleaved)]
    refs = Counter(ab.label for ab in all_of if ab.compared)
    return ", ".join(f"{number} by A/B against {ref}" for ref, number in refs.items())


def _shift(ab: Interleaved) -> Shift:
    relative = ab.relative or 0.0
    low = relative if ab.low is None else ab.low
    high = relative if ab.high is None else ab.high
    return Shift(relative, low, high, ab.margin, ab)


def _pairs(number: int) -> str:
    return counted(number, "pair")
