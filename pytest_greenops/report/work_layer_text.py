"""Counted work by layer as text: beside the joules of layers, or as a table of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pytest_greenops.model.counted import Amount
from pytest_greenops.model.units import format_flop, format_memory, format_percent
from pytest_greenops.model.work_verdict import LayerWork
from pytest_greenops.report.drawing import aligned, column_widths, elided, hanging

#: At most this many layers are listed, and as many names of those on one side only.
_MOST_LISTED, _MOST_NAMED = 8, 4
_INDENT = " " * 4
#: The work outside of the layers that are listed.
ELSEWHERE = "elsewhere"


def cell(of: LayerWork, short: bool = False) -> str:
    """Return how the work of a layer changed, `work +24 %`, or without a comparison what it is."""
    if of.before is None:
        return _done(of.now, short)
    if of.is_new:
        return "new work"
    return changed(of) if of.same else f"work {changed(of)}"


def changed(of: LayerWork) -> str:
    """Return `+24 %`, `same work`, `new`, `gone`, or `changed` where the weighted sum is equal."""
    if of.same:
        return "same work"
    if of.is_new or of.is_gone:
        return "new" if of.is_new else "gone"
    shown = "" if of.relative is None else format_percent(of.relative)
    return "changed" if shown in ("", "+0.0 %", "-0.0 %") else shown


def on_one_side(layers: Sequence[LayerWork], listed: Collection[str], width: int) -> Iterator[str]:
    """Yield the lines that name layers which only one side has, but for those that are listed."""
    for text, found in (
        ("only in this run", [one.name for one in layers if one.is_new]),
        ("only in the accepted work", [one.name for one in layers if one.is_gone]),
    ):
        names = [name for name in found if name and name not in listed]
        if names:
            more = len(names) - _MOST_NAMED
            tail = [f"{more} more"] if more > 0 else []
            yield from hanging(
                _INDENT, f"{text}: {', '.join([*names[:_MOST_NAMED], *tail])}", width
            )


def work_table(layers: Sequence[LayerWork], width: int) -> Iterator[str]:
    """Yield the layers with most change, or without a comparison most work, and their work."""
    if not layers:
        return
    listed, rest = layers[:_MOST_LISTED], layers[_MOST_LISTED:]
    rows = [(one.name or ELSEWHERE, *_amounts(one.now), _compared(one)) for one in listed]
    if rest:
        same = all(one.same for one in rest)
        whole = sum((one.now for one in rest), Amount())
        rows.append((f"{len(rest)} more", *_amounts(whole), "same work" if same else ""))
    widths = column_widths(rows)
    widths[0] = min(widths[0], width - len(_INDENT) - sum(widths[1:]) - 2 * (len(widths) - 1))
    names = elided(tuple(row[0] for row in rows), widths[0])
    for row in rows:
        yield (_INDENT + aligned((names[row[0]], *row[1:]), widths, right=(1, 2, 3))).rstrip()
    yield from on_one_side(rest, (), width)


def _compared(of: LayerWork) -> str:
    return "" if of.before is None else changed(of)


def _amounts(of: Amount) -> tuple[str, str, str]:
    """Return the FLOP, the bytes moved and the calls of a layer."""
    calls = of.calls or of.views
    thing = "call" if of.calls else "view"
    return (
        format_flop(of.flop) if of.flop else "",
        f"{format_memory(of.moved)} moved" if of.moved else "",
        f"{calls:,} {thing}{'' if calls == 1 else 's'}" if calls else "",
    )


def _done(of: Amount, short: bool) -> str:
    flop, moved, calls = _amounts(of)
    known = [flop, moved.removesuffix(" moved") if flop else moved]
    texts = list(filter(None, known)) or [calls]
    return texts[0] if short else ", ".join(texts)
