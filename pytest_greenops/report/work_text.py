"""Counted work as text: a change, its coverage, totals and limits; it is never shown in joules."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_greenops.model.counted import ELSEWHERE, Coverage, WorkTotals
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    format_different,
    format_flop,
    format_memory,
    format_percent,
)
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict
from pytest_greenops.report import figures

#: A share of the CPU time below this is not worth a word.
_WORTH_SAYING = 0.05
#: Counts that cover less than this say little about the whole call.
_MOST = 0.9
_SHORT = {
    WorkOutcome.SAME: "same work",
    WorkOutcome.NO_BASELINE: "work not saved",
    WorkOutcome.NOT_COMPARABLE: "work not comparable",
    WorkOutcome.NOT_COUNTED: "work not counted",
}
#: A section lists at most this many operators, and as many modules.
_LISTED = 5
#: What a joule may depend on, and no count.
_UNCOUNTED = "Python, compilation, layout, values or the machine"


def cell(verdict: WorkVerdict) -> str:
    """Return one clause for a table: `work +24 %`, `same work`."""
    if short := _SHORT.get(verdict.outcome):
        return short
    over = "work over its limit" if verdict.outcome is WorkOutcome.OVER_LIMIT else ""
    if verdict.relative is None:
        return over or "work where there was none"
    shown = _percent(verdict.relative)
    return f"{over}, {shown}" if over and shown else over or f"work {shown or 'changed'}"


def table_lines(result: Result) -> Iterator[tuple[str, str]]:
    """Yield the lines below a row, each with a shorter one: change, totals, how much they cover."""
    verdict, work, alone = result.verdict.work, result.work, result.verdict.alone
    if verdict is None or verdict.outcome is WorkOutcome.NOT_COUNTED or work is None:
        if verdict is not None and not alone:
            cause = verdict.cause or ""
            yield f"work  not counted: {cause}", f"work  not counted: {cause.partition(': ')[0]}"
        return
    covered = _covered(work.coverage, verdict.share_before)
    if alone:  # the row has FLOP and bytes
        calls = _calls_and_peak(work.totals)
        covered = covered.removeprefix("counted in torch, ")
        yield f"{calls}; {covered}", f"{calls}; {_covers(work.coverage)}"
    else:
        changed = _change(verdict, result.work_saved)
        short = f"work  {changed}: {done(work.totals)}; {_covers(work.coverage)}"
        yield f"work  {changed}: {totals(work.totals)}; {covered}", short
    yield from ((f"work  {line}", f"work  {line}") for line in unseen(work.coverage))


def _change(verdict: WorkVerdict, saved: bool) -> str:
    """Return the change for a line on work: `+24 % (saved)`, `saved`, `same work`."""
    if saved and verdict.outcome is WorkOutcome.NO_BASELINE:
        return "saved"
    changed = cell(verdict).removeprefix("work ") + against_ref(verdict)
    return f"{changed} (saved)" if saved and verdict.outcome is not WorkOutcome.SAME else changed


def in_place_of_joules(result: Result) -> tuple[str, str]:
    """Return the cell of a test whose joules are not measured: what it does, and what it moves."""
    alone = result.verdict.alone
    if result.work is None or alone is None or alone.outcome is WorkOutcome.NOT_COUNTED:
        return "-", ""
    return done(result.work.totals), f"{format_memory(result.work.totals.moved)} moved"


def facts(result: Result) -> Iterator[str]:
    """Yield what a section of a red test says of its counted work, apart from `annotation`."""
    verdict, work = result.verdict.work, result.work
    if verdict is None or work is None:
        return
    if verdict.outcome is not WorkOutcome.SAME:
        said = verdict.largest or ""
        yield from (line for line in verdict.changes[:_LISTED] if line not in said)
        if len(verdict.modules) > 1:
            yield from map(_in_module, verdict.modules[:_LISTED])
    yield coverage(work.coverage, verdict.share_before)
    if verdict.outcome is WorkOutcome.NOT_COMPARABLE:
        yield f"not comparable: {verdict.cause}"


def done(work: WorkTotals) -> str:
    """Return the FLOPs of a call, or without any how many operators it calls: `412 calls`."""
    return format_flop(work.all_flop) if work.all_flop else _calls(work)


def _calls(work: WorkTotals) -> str:
    return f"{work.calls:,} call{'' if work.calls == 1 else 's'}"


def _in_module(line: str) -> str:
    return line if line.startswith("outside of modules: ") else f"in {line}"


def totals(work: WorkTotals) -> str:
    """Return `2.2 GFLOP, 79 MB moved, 412 calls, peak 12 MB`."""
    parts = [format_flop(work.all_flop)] if work.all_flop else []
    parts += [f"{format_memory(work.moved)} moved"] if work.moved else []
    return ", ".join([*parts, _calls_and_peak(work)])


def _calls_and_peak(work: WorkTotals) -> str:
    peak = f", peak {format_memory(work.peak_bytes)}" if work.peak_bytes else ""
    return f"{_calls(work)}{peak}"


def coverage(found: Coverage, share_before: float | None = None) -> str:
    """Return how much of the call was counted, and what was not.

    `counted in torch, covers 97 % of CPU time`, and the share before where it was another.
    """
    return "; ".join([_covered(found, share_before), *unseen(found)])


def _covered(found: Coverage, share_before: float | None) -> str:
    if found.share is None:
        return f"{_covers(found)}: {found.unknown or 'not measured'}"
    said = _covers(found) if found.elsewhere else f"counted in torch, {_covers(found)}"
    if share_before is None or abs(found.share - share_before) <= _WORTH_SAYING:
        return said
    return f"{said} ({_share(share_before)} before)"


def _covers(found: Coverage) -> str:
    if found.share is None:
        return "coverage unknown"
    return ELSEWHERE if found.elsewhere else f"covers {_share(found.share)} of CPU time"


def left_out(found: Coverage) -> str | None:
    """Return what is not counted in one line, or why the coverage is unknown; None for nothing."""
    unknown = [] if found.share is not None else [_covered(found, None)]
    return "; ".join([*unknown, *unseen(found)]) or None


def unseen(found: Coverage) -> Iterator[str]:
    """Yield what counts leave out: `not counted: threads (80 %), other processes (12 %)`."""
    outside = 0.0 if found.share is None else 1 - found.share - found.threads - found.children
    shares = (
        ("threads", found.threads),
        ("other processes", 0.0 if found.elsewhere else found.children),
        ("what runs outside torch", outside),
    )
    parts = [f"{name} ({_share(share)})" for name, share in shares if share > _WORTH_SAYING]
    if parts:
        yield f"not counted: {', '.join(parts)}"
    if found.compiled:
        yield "compiled parts counted as if they ran eagerly"
    if found.peak_varies:
        yield "peak memory varies from call to call, and is not compared"
    if found.blind:
        yield f"FLOP unknown of {' and '.join(found.blind)}"
    yield from found.notes


def increase(verdict: WorkVerdict) -> str:
    """Return what increased: `does +24 % work (limit +0.5 %): aten.mm float32 28 -> 29 calls`."""
    cause = f": {verdict.largest}" if verdict.largest else ""
    if verdict.relative is None:
        return f"does work where its baseline did none{cause}"
    limit, against = figures.margin(verdict.margin), against_ref(verdict)
    return f"does {_above(verdict.relative, verdict.margin)} work{against} (limit {limit}){cause}"


def against_ref(verdict: WorkVerdict) -> str:
    """Return ` against 3f2a91c (main)`, or nothing for the accepted work."""
    return "" if verdict.against is None else f" against {verdict.against}"


def allowed(verdict: WorkVerdict) -> str:
    """Return the marker argument with which this increase passes: `max_work="25%"`."""
    return f'max_work="{figures.written_margin(verdict.relative or 0.0)}"'


def over_limit(limit: WorkLimit) -> str:
    """Return `does 2.4 GFLOP (limit 2.2 GFLOP)`, `takes 1.7 GB at once (limit 1.5 GB)`."""
    if limit.quantity == "flop":
        value, most = format_different(format_flop, limit.value, limit.limit)
        return f"does {value} (limit {most})"
    value, most = format_different(format_memory, limit.value, limit.limit)
    return f"takes {value} at once (limit {most})"


def raised(limit: WorkLimit) -> str:
    """Return the marker argument with which this value passes: `max_flop="2.4 GFLOP"`."""
    step = 10.0 ** max(0, math.floor(math.log10(max(limit.value, 1))) - 1)
    least = math.ceil(limit.value / step) * step
    if limit.quantity == "flop":
        return f'max_flop="{format_flop(least)}"'
    return f'max_memory="{format_memory(least)}"'


def compared(verdict: WorkVerdict) -> str:
    """Return how work over an absolute limit compares with the baseline's, if it does."""
    if verdict.relative is None:
        return ""
    change = _percent(verdict.relative) or "+0 %"
    cause = f": {verdict.largest}" if verdict.largest else ""
    return f", {change} against its baseline{cause}"


def annotation(verdict: WorkVerdict, found: Coverage) -> str | None:
    """Return what counted work says about joules that increased, or None."""
    if verdict.outcome is WorkOutcome.SAME:
        if found.share is not None and found.share < _MOST:
            return (
                f"counted work is the same, but covers only {_share(found.share)} of CPU time: "
                f"{_UNCOUNTED}"
            )
        return f"counted work is the same: {_UNCOUNTED}"
    if verdict.largest is None or verdict.outcome is WorkOutcome.NOT_COMPARABLE:
        return None
    change = None if verdict.relative is None else _percent(verdict.relative)
    return f"counted work changed{f' by {change}' if change else ''}: {verdict.largest}"


def _percent(relative: float) -> str:
    """Return a change, or '' for one that rounds to zero."""
    text = format_percent(relative)
    return "" if text in ("+0.0 %", "-0.0 %") else text


def _above(relative: float, margin: float) -> str:
    """Return an increase with as many digits as it takes to be above the margin in print."""
    text = format_percent(relative)
    for digits in range(2, 7):
        if float(text.split()[0]) / 100 > margin:
            break
        text = format_percent(relative, digits=digits)
    return text


def _share(share: float) -> str:
    """Return a share of CPU time in whole percents: `97 %`."""
    return format_percent(round(share, 2), signed=False, digits=3)
