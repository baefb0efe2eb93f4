"""A list of baselines as plain lines: two for each measurement, aligned over all machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.model.baseline import SeriesOverview
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.report import figures
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

#: An increase by small accepted steps that is worth a look: the default margin.
CREEP = 0.05
_NARROWEST, _LEAST_NAME = 40, 20
_NOTHING = "-"
#: At most this many measurements that crept are named.
_NAMED = 5


class _Cells(NamedTuple):
    """The upper and the lower line of a measurement, the name first."""

    upper: tuple[str, str, str, str]
    lower: tuple[str, str, str, str]


def inventory_lines(
    machines: Mapping[str, Sequence[SeriesOverview]],
    width: int,
    unicode: bool,
    save: str = "pytest --energy-save",
) -> Iterator[str]:
    """Yield a table for each machine, by module, then what is provisional and what crept.

    `save` is the command that adds sessions to these baselines.
    """
    say: Callable[[str], str] = visible if unicode else plain
    width = max(width, _NARROWEST)
    rows = {
        slug: [(held.test.module, _cells(held, say)) for held in holdings]
        for slug, holdings in machines.items()
    }
    everyone = [row for members in rows.values() for _, row in members]
    widths = _widths(everyone, width)
    names = tuple(row.upper[0] for row in everyone)
    for number, (slug, members) in enumerate(rows.items()):
        if number:
            yield ""
        tests = len({held.test for held in machines[slug]})
        yield f"{slug}: {counted(tests, 'test')}"
        module = None
        for of, row in members:
            if of != module:
                module = of
                yield _rule(say(of), min(width, sum(widths) + 2 * len(widths) - 2), say)
            yield from _lines(row, names, widths, width, say("…"))
    everything = [held for holdings in machines.values() for held in holdings]
    yield ""
    for sentence in _sentences(everything):
        yield from wrapped(say(sentence), width)
    if any(held.provisional for held in everything):
        yield f"  {say(save)}"


def _cells(held: SeriesOverview, say: Callable[[str], str]) -> _Cells:
    units = list(held.joules.items())
    called = [figures.energy(j, unit) for unit, j in units if unit == "call"]
    own = [figures.energy(j, unit) for unit, j in units if unit != "call"]
    spread = _NOTHING if held.spread is None else format_percent(held.spread, signed=False)
    creep = _NOTHING if held.since_anchor is None else format_percent(held.since_anchor)
    flag = ", provisional" if held.provisional else ""
    commit = (held.commit or "")[:7] + ("+" if held.commit and held.dirty else "")
    energy, per_unit = say(called[0] if called else "no energy"), say(own[0] if own else "")
    sessions = f"  {counted(held.sessions, 'session')}{flag}"
    return _Cells(
        (say(_subject(held)), energy, f"spread {spread}", held.saved_at[:10]),
        (sessions, per_unit, f"creep {creep}", commit),
    )


def _widths(rows: Sequence[_Cells], width: int) -> list[int]:
    """Return the width of each column; names are cut if the line gets too long.

    If they would be cut too much, they have no column, and are on lines of their own.
    """
    name, *others = column_widths([line for row in rows for line in row])
    left = width - sum(others) - 2 * len(others)
    return [min(name, left), *others] if left >= min(name, _LEAST_NAME) else others


def _lines(
    row: _Cells, names: tuple[str, ...], widths: Sequence[int], width: int, ellipsis: str
) -> Iterator[str]:
    """Yield the two lines of a measurement, or four where names have lines of their own."""
    beside = len(widths) == len(row.upper)
    name = elided(names, widths[0] if beside else width, ellipsis)[row.upper[0]]
    (_, *upper), (sessions, *lower) = row
    if beside:
        yield aligned([name, *upper], widths)
        yield aligned([elide(sessions, widths[0], ellipsis), *lower], widths)
    else:
        yield from (name, sessions)
        yield from (elide(f"  {aligned(line, widths)}", width, ellipsis) for line in (upper, lower))


def _rule(module: str, width: int, say: Callable[[str], str]) -> str:
    rule = say("─")
    title = f"{rule * 2} {elide(module, width - 6, say('…'))} "
    return title + rule * (width - cells(title))


def _sentences(holdings: Sequence[SeriesOverview]) -> Iterator[str]:
    yield f"energy: {counted(len(holdings), 'measurement')} with a baseline"
    crept = [held for held in holdings if (held.since_anchor or 0.0) > CREEP]
    if crept:
        crept.sort(key=lambda held: -(held.since_anchor or 0.0))
        named = ", ".join(_crept(held) for held in crept[:_NAMED])
        more = f" and {len(crept) - _NAMED} more" if len(crept) > _NAMED else ""
        most = format_percent(CREEP, signed=False, digits=2)
        yield (
            f"{len(crept)} crept up more than {most} in small accepted steps: "
            f"{named}{more}; acknowledge with --acknowledge"
        )
    if any(held.dirty and held.commit for held in holdings):
        yield "+ after a commit: saved with uncommitted changes"
    provisional = sum(held.provisional for held in holdings)
    if provisional:
        yield (
            f"{provisional} provisional: with sessions of fewer than 3 hours, only large increases "
            "are detected; add sessions in other hours:"
        )


def _crept(held: SeriesOverview) -> str:
    return f"{_subject(held)} {format_percent(held.since_anchor or 0.0)}"


def _subject(held: SeriesOverview) -> str:
    """Return the names of test and measurement: `'test_generate[8] · prefill'`."""
    return held.test.name + ("" if held.name == "call" else f" · {held.name}")
