"""The pairs of a comparison with a git ref, one by one."""

from __future__ import annotations

from typing import Any

from pytest_greenops.model.interleaved import Interleaved, Pair
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.report import figures, reasons
from pytest_greenops.report.html.plain_table import PlainTable, cell


def pairs_of(result: Result) -> dict[str, Any] | None:
    """Return what the chart of the pairs shows; None if there are none."""
    table, ab = table_of_pairs(result), result.verdict.interleaved
    if table is None or ab is None:
        return None
    known = {"change": ab.relative, "low": ab.low, "high": ab.high, "margin": ab.margin}
    return {
        "words": table.words,
        "ref": cell(ab.label),
        "pairs": [_numbers(pair) for pair in ab.every_pair],
        **{name: value for name, value in known.items() if value is not None},
    }


def _numbers(pair: Pair) -> list[float]:
    """Return the change, the joules of both sides, and how the pair was made."""
    joules = (float(f"{value:.4g}") for value in (pair.candidate_j, pair.ref_j))
    side, counts = int(pair.first == "ref"), int(pair.counts)
    return [float(f"{pair.relative:.4g}"), *joules, side, pair.start, pair.process, counts]


def table_of_pairs(result: Result) -> PlainTable | None:
    """Return the pairs as a table; None if there are none."""
    ab = result.verdict.interleaved
    if ab is None or not ab.every_pair:
        return None
    head = ("pair", "change ", "working tree ", f"{cell(ab.label)} ", "first", "start ")
    rows = [_row(number, pair, result.unit) for number, pair in enumerate(ab.every_pair, 1)]
    return PlainTable("A/B pairs", _words(result, ab), (*head, "processes ", "counts"), rows)


def _words(result: Result, ab: Interleaved) -> str:
    parts = [f"change in each pair against {cell(ab.label)}"]
    if ab.relative is not None:
        parts.append(
            f"of {counted(ab.pairs, 'pair')} together {format_percent(ab.relative)} (solid)"
        )
    if ab.low is not None and ab.high is not None:
        parts.append(f"95 % CI {figures.span(ab.low, ab.high, format_percent)} (band)")
    parts.append(f"limit {figures.margin(ab.margin)} (dashed)")
    kinds = {_kind(pair) for pair in ab.every_pair}
    parts += [text for kind, text in enumerate(_KINDS) if kind in kinds]
    estimated = f"estimated {reasons.ESTIMATE_BAND}, " if figures.estimated(result) else ""
    return estimated + "; ".join(parts)


#: What the marks of a chart mean, by kind.
_KINDS = (
    "circles: the working tree went first",
    "diamonds: the ref went first",
    "crosses do not count: other processes of the same code contradict them",
)


def _kind(pair: Pair) -> int:
    return 2 if not pair.counts else int(pair.first == "ref")


def _row(number: int, pair: Pair, unit: str) -> tuple[str, ...]:
    first = "working\u00a0tree" if pair.first == "candidate" else "ref"
    return (
        *(f"{number}", format_percent(pair.relative)),
        *(figures.energy(joules, unit) for joules in (pair.candidate_j, pair.ref_j)),
        *(first, f"{pair.start}", f"{pair.process}", "yes" if pair.counts else "no"),
    )
