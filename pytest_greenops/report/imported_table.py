"""Results of other tools beside ours: each test with what every source says about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_greenops.model.imported import Recording, Source
from pytest_greenops.model.units import (
    counted,
    format_duration,
    format_energy,
    format_watt_hours,
)
from pytest_greenops.report.drawing import (
    aligned,
    cells,
    column_widths,
    elide,
    visible,
    wrapped,
)

_NARROWEST = 40
_NOTHING = "-"
_HEADINGS = ("", "date", "min", "median", "energy")
#: The columns that a narrow screen lacks, the first one first.
_OPTIONAL = ("date", "min")
#: Of one test and source, this many rows are shown: the last ones. Others have only a count.
_ROWS = 10
#: At most this many values that were left out are named.
_NAMED = 3
_LONGEST = 120

Recordings = Mapping[str, Sequence[tuple[int, Recording]]]


def imported_lines(
    sources: Sequence[Source], tests: Recordings, width: int, unicode: bool
) -> Iterator[str]:
    """Yield which source is which, the table by module, and what was left out."""
    width = max(width, _NARROWEST)
    for number, source in enumerate(sources, 1):
        yield from wrapped(visible(f"energy: {number} is {_title(source)}"), width)
    if tests:
        yield from _table(tests, width, "…" if unicode else "..")
        yield ""
    for number, source in enumerate(sources, 1):
        if source.left_out:
            yield from wrapped(visible(f"energy: {number}: {_left_out(source.left_out)}"), width)
    ours = {number for number, source in enumerate(sources, 1) if source.ours}
    both = sum(any(number in ours for number, _ in found) for found in tests.values())
    files = counted(len(sources) - len(ours), "file")
    yield from wrapped(
        f"energy: {counted(len(tests), 'test')} of {files}, {both} of them also ours; nothing was "
        "saved: imported figures never become a baseline",
        width,
    )


def _title(source: Source) -> str:
    dates = sorted({each.at[:10] for each in source.recordings if each.at})
    when = f", {' to '.join(dict.fromkeys((dates[0], dates[-1])))}" if dates else ""
    tests = len({each.name for each in source.recordings})
    return f"{source.path}: {source.format}, {counted(tests, 'test')}{when}"


def _table(tests: Recordings, width: int, dots: str) -> Iterator[str]:
    modules: dict[str, list[str]] = {}
    for test in tests:
        modules.setdefault(test.partition("::")[0] if "::" in test else "", []).append(test)
    rows = {test: list(_rows(found)) for test, found in tests.items()}
    everything = [_HEADINGS, *(row for of_test in rows.values() for row in of_test)]
    kept = _columns(column_widths(everything), width)
    widths = [each for number, each in enumerate(column_widths(everything)) if number in kept]

    def line(row: Sequence[str]) -> str:
        shown = [row[number] for number in sorted(kept)]
        return elide(f"  {aligned(shown, widths)}", width, dots)

    yield ""
    yield line(_HEADINGS)
    for module, members in modules.items():
        title = elide(visible(module or "other names"), width - 6, dots)
        rule = f"── {title} "
        yield rule + "─" * (min(width, 2 + sum(widths) + 2 * len(widths)) - cells(rule))
        for test in members:
            yield elide(visible(test.partition("::")[2] or test), width, dots)
            yield from map(line, rows[test])


def _rows(found: Sequence[tuple[int, Recording]]) -> Iterator[tuple[str, ...]]:
    for number in dict.fromkeys(number for number, _ in found):
        of_source = [each for of, each in found if of == number]
        if len(of_source) > _ROWS:
            yield str(number), f"{len(of_source) - _ROWS} before", "", "", ""
        yield from (_row(number, each) for each in of_source[-_ROWS:])


def _row(number: int, each: Recording) -> tuple[str, ...]:
    least, middle = (
        _NOTHING if time_s is None else format_duration(time_s)
        for time_s in (each.min_s, each.median_s)
    )
    energy = _NOTHING
    if each.joules is not None:
        energy = ("~" if each.estimated else "") + format_energy(each.joules)
    if each.kwh is not None:
        energy += f" ({format_watt_hours(each.kwh * 1000)})"
    if each.measurement:
        energy += f"  {visible(each.measurement)}"
    return str(number), each.at[:10] or _NOTHING, least, middle, energy


def _columns(widths: Sequence[int], width: int) -> set[int]:
    """Return the numbers of the columns that fit."""
    kept = set(range(len(widths)))
    for name in _OPTIONAL:
        if 2 + sum(widths[number] + 2 for number in kept) - 2 > width:
            kept.discard(_HEADINGS.index(name))
    return kept


def _left_out(lines: Sequence[str]) -> str:
    more = len(lines) - _NAMED
    listed = "; ".join(elide(line, _LONGEST) for line in lines[:_NAMED]) + (
        f"; and {more} more" if more > 0 else ""
    )
    return f"left out, since no time or energy is like this: {listed}"
