"""The results of one suite on several kinds of machine, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pytest_greenops.model.result import Result
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import (
    aligned,
    cells,
    column_widths,
    elided,
    hanging,
    plain,
    visible,
)

_NARROWEST, _LEAST_NAME = 40, 16
_NOTHING = "-"


def kinds_lines(kinds: Mapping[str, Sequence[Result]], width: int, unicode: bool) -> Iterator[str]:
    """Yield the name of each kind after its letter, then a table: a row for each measurement.

    A table that is too wide becomes several, with some of the kinds each.
    """
    say: Callable[[str], str] = visible if unicode else plain
    width = max(width, _NARROWEST)
    for letter, kind in zip(letters(len(kinds)), kinds, strict=True):
        yield from hanging(f"{letter}  ", say(kind), width)
    table = [tuple(map(say, row)) for row in rows(kinds)]
    if not table:
        return
    named, *others = zip(("", *letters(len(kinds))), *table, strict=True)
    longest = max(map(cells, named))
    for group in _groups(others, width - min(longest, _LEAST_NAME)):
        room = max(_LEAST_NAME, width - sum(2 + _width(column) for column in group))
        shorts = elided(named, min(longest, room), say("…"))
        shown = list(zip([shorts[name] for name in named], *group, strict=True))
        widths = column_widths(shown)
        yield ""
        yield from (aligned(row, widths) for row in shown)


def letters(number: int) -> list[str]:
    """Return a short name for each of some kinds: `A` to `Z`, then `AA`, `AB` and so on."""
    return [_letter(each) for each in range(number)]


def rows(kinds: Mapping[str, Sequence[Result]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each measurement: its name, and on each kind its energy and verdict."""
    by_kind = [{(each.test, each.name): each for each in results} for results in kinds.values()]
    for key in dict.fromkeys(key for of in by_kind for key in of):
        found = [of.get(key) for of in by_kind]
        yield figures.subject(next(filter(None, found))), *map(_cell, found)


def _cell(result: Result | None) -> str:
    if result is None:
        return _NOTHING
    outcome = result.verdict.outcome.value
    return f"{used(result)} {outcome}" if figures.measured(result) else outcome


def used(result: Result) -> str:
    """Return the energy of a measured unit of work; `~` marks an estimate."""
    mark = "~" if figures.estimated(result) else ""
    return f"{mark}{figures.energy(result.judged_j, result.unit)}"


def _groups(columns: Sequence[Sequence[str]], width: int) -> Iterator[list[Sequence[str]]]:
    """Yield the columns that fit beside each other; one alone may be wider."""
    group: list[Sequence[str]] = []
    for column in columns:
        if group and sum(2 + _width(each) for each in [*group, column]) > width:
            yield group
            group = []
        group.append(column)
    if group:
        yield group


def _width(column: Sequence[str]) -> int:
    return max(map(cells, column))


def _letter(number: int) -> str:
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)
