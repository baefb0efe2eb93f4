"""Counted work by operator and by module: what a call does, and what changed, with both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_greenops.model.counted import Amount, WorkRecord, WorkTotals
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    format_different,
    format_flop,
    format_memory,
    format_number,
    format_percent,
    significant,
)
from pytest_greenops.model.work_verdict import WorkChange, WorkDifference, WorkVerdict
from pytest_greenops.report.html.plain_table import PlainTable, cell

#: The most operators and modules of a test.
ROWS = 25
#: The name of what no module contains.
_OUTSIDE = "(outside modules)"

Data = dict[str, Any]


def work_of(result: Result) -> Data:
    """Return the counted work of a test, and what changed in it; what it lacks has no key."""
    found: Data = {}
    if result.work is not None:
        found["operators"] = _amounts(_operators(result.work))
        modules = {name or _OUTSIDE: of for name, of in result.work.modules.items()}
        found["modules"] = _amounts(modules)
    work = result.verdict.work
    if work is not None and work.difference is not None:
        changed = (work.difference.operators, work.difference.modules)
        found["differences"] = [
            {**table.data, "shares": significant([row.share for row in rows])}
            for table, rows in zip(
                _tables(result.work, work, work.difference), changed, strict=True
            )
            if rows
        ]
    elif work is not None:  # an older file has the changes in words alone
        found["work_changes"] = [cell(line) for line in work.changes[:ROWS]]
        found["module_changes"] = [cell(line) for line in work.modules[:ROWS]]
    return {key: value for key, value in found.items() if value}


def tables_of_changes(result: Result) -> Iterator[PlainTable]:
    """Yield what changed by operator and by module, as tables."""
    work = result.verdict.work
    if work is not None and work.difference is not None:
        tables = _tables(result.work, work, work.difference)
        yield from (table for table in tables if table.rows)


def _operators(work: WorkRecord) -> Mapping[str, Amount]:
    return {
        " ".join(filter(None, (o.name, o.dtypes, o.device if o.device != "cpu" else ""))): o.amount
        for o in work.operators
    }


def _amounts(of: Mapping[str, Amount]) -> Data:
    """Return the largest amounts as text, and how many there are in all."""
    largest = sorted(of, key=lambda name: (-of[name].flop, -of[name].moved, name))
    rows = [
        [
            cell(name),
            f"{of[name].calls:,}" + (f" + {of[name].views:,} views" if of[name].views else ""),
            format_flop(of[name].flop) if of[name].flop else "",
            format_memory(of[name].read),
            format_memory(of[name].written),
        ]
        for name in largest[:ROWS]
    ]
    return {"rows": rows, "of": len(largest)} if rows else {}


def _tables(
    record: WorkRecord | None, work: WorkVerdict, of: WorkDifference
) -> tuple[PlainTable, PlainTable]:
    """Return what changed by operator and by module, the largest change first."""
    against = "what was accepted" if work.against is None else cell(work.against)
    whole = "" if record is None else f"; {_whole(of.before, record.totals)}"
    words = f"counted, not measured, against {against}; share of the accepted weighted sum"
    return (
        _table("operator", of.operators, of.operators_left_out, f"{words}{whole}"),
        _table(
            "module",
            of.modules,
            of.modules_left_out,
            f"{words}; each module without the modules inside it",
        ),
    )


def _table(thing: str, rows: Sequence[WorkChange], left_out: int, words: str) -> PlainTable:
    head = (thing, "of the whole ", "calls ", "FLOP ", "bytes moved ")
    if left_out:
        words += f"; the {len(rows)} largest changes, and {left_out:,} smaller ones"
    return PlainTable(f"What changed, by {thing}", words, head, list(map(_row, rows)))


def _row(change: WorkChange) -> tuple[str, ...]:
    old, new = change.before, change.now
    moved = _both(format_memory, old.moved, new.moved)
    if old.counts[:4] == new.counts[:4] and old.moved == new.moved:  # the only change is unusual
        moved += f" ({_both(format_number, old.elements, new.elements)} elements)"
    share = "–" if change.share is None else format_percent(change.share)
    flop = _both(format_flop, old.flop, new.flop)
    return cell(change.name) or _OUTSIDE, share, _calls(old, new), flop, moved


def _calls(old: Amount, new: Amount) -> str:
    """Return `28 → 29`, `4 → 0 views`, or both."""
    parts = [_both(_plain, old.calls, new.calls)] if old.calls or new.calls else []
    parts += [f"{_both(_plain, old.views, new.views)} views"] if old.views or new.views else []
    return ", ".join(parts)


def _both(form: Callable[..., str], old: int, new: int) -> str:
    """Return both sides, or one text if they are equal; nothing if both are zero."""
    if old == new:
        return form(new) if new else ""
    return " → ".join(format_different(form, old, new))


def _plain(value: float, _: int = 0) -> str:
    return f"{value:,}"


def _whole(before: WorkTotals, now: WorkTotals) -> str:
    """Return what all of a call did, and does: `2.2 → 2.4 GFLOP, peak memory 12 MB → 70 MB`."""
    parts = (
        _both(format_flop, before.all_flop, now.all_flop),
        f"{_both(_plain, before.calls, now.calls)} calls",
        f"{_both(format_memory, before.moved, now.moved)} moved",
        f"peak memory {_both(format_memory, before.peak_bytes, now.peak_bytes) or '0 B'}",
    )
    return f"the whole call: {', '.join(filter(None, parts))}"
