"""A list of accepted work as plain lines: one for each measurement, by module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.units import counted, format_memory
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.report import work_text
from pytest_greenops.report.drawing import (
    aligned,
    cells,
    column_widths,
    elide,
    elided,
    plain,
    visible,
    wrapped,
)

_NARROWEST = 40
#: A name has at least this many columns; others go before it is cut further.
_LEAST_NAME = 12

Held = tuple[TestKey, str, AcceptedWork]


def work_lines(held: Sequence[Held], width: int, unicode: bool) -> Iterator[str]:
    """Yield the accepted work of each name of each test: FLOP, bytes, calls, and since when."""
    say: Callable[[str], str] = visible if unicode else plain
    width = max(width, _NARROWEST)
    rows = [tuple(map(say, _cells(each))) for each in held]
    name, *others = column_widths(rows)
    while len(others) > 1 and _left(width, others) < min(name, _LEAST_NAME):
        others.pop()  # the commit first, then the date
    widths = [min(name, max(_left(width, others), _LEAST_NAME)), *others]
    names = elided(tuple(row[0] for row in rows), widths[0], say("…"))
    yield f"work: {counted(len({test for test, _, _ in held}), 'test')}"
    module = None
    for (test, _, _), row in zip(held, rows, strict=True):
        if test.module != module:
            module = test.module
            yield _rule(say(module), min(width, sum(widths) + 2 * len(others)), say)
        cut = [names[row[0]], *row[1 : len(widths)]]
        yield elide(aligned(cut, widths), width, say("…"))
    yield ""
    yield from wrapped(f"energy: {counted(len(held), 'measurement')} with accepted work", width)


def _left(width: int, others: Sequence[int]) -> int:
    """Return the columns that are left for names beside the other columns."""
    return width - sum(others) - 2 * len(others)


def _cells(held: Held) -> tuple[str, str, str, str, str]:
    test, name, accepted = held
    work, commit = accepted.counted.totals, accepted.revision.commit or ""
    return (
        test.name + ("" if name == "call" else f" · {name}"),
        work_text.done(work),
        f"{format_memory(work.moved)} moved",
        accepted.accepted_at[:10],
        commit[:7] + ("+" if commit and accepted.revision.dirty else ""),
    )


def _rule(module: str, width: int, say: Callable[[str], str]) -> str:
    rule = say("─")
    title = f"{rule * 2} {elide(module, width - 6, say('…'))} "
    return title + rule * (width - cells(title))
