"""The table of results as text: rows of four cells with two lines each, and their widths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    format_duration,
    format_energy,
    format_mass,
    format_number,
    format_percent,
    format_power,
)
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import figures, interleaved_text, work_text
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.drawing import cells
from pytest_greenops.report.reasons import verdict_word, warned

NOTHING = "-"
_OF_ENERGY = (("test", "energy, power", "change", "verdict"), ("rounds", "per unit", "95 % CI", ""))
_OF_WORK = (("test", "work", "change", "verdict"), ("", "bytes moved", "", ""))
#: Columns between two cells, of the narrowest table, of the shortest bar, and of that of a narrow
#: terminal.
GAP, NARROWEST, SHORTEST_BAR, NARROW_BAR = 2, 40, 8, 3
#: The fewest columns in which rounds are drawn before the text beside them is shortened.
SHORTEST_ROUNDS = 4
#: A narrower table has its names on lines of their own.
_SIDE_BY_SIDE = 80
#: The least and the greatest width of the columns energy, change and verdict.
_BOUNDS = ((13, 18), (9, 13), (14, 22))
#: A wide terminal extends the bar below the verdict by at most this much.
_MOST_GROWTH = 14


class Gauge(NamedTuple):
    """The used share of a limit, and the limit as text.

    share     1.0 is all of the limit
    absolute  it is not an increase over the baseline, so its percentage is useful
    """

    share: float
    limit: str
    absolute: bool

    def words(self) -> Iterator[str]:
        """Yield texts to print next to the bar, the longest first."""
        if self.absolute:
            yield f"{figures.used(self.share)} of {self.limit}"
        yield f"of {self.limit}"
        yield f"of {self.limit.split('/')[0].removesuffix(' CO2e')}"


class Row(NamedTuple):
    """A result in the table: the upper and the lower line of each of its four cells.

    label   follows the name of the test and is never cut: ` · prefill`, or empty
    rounds  joules per judged unit of each round, drawn below the name
    gauge   drawn below the verdict
    error   the relative error of a single round
    """

    name: str
    label: str
    rounds: Sequence[float]
    energy: tuple[str, str]
    change: tuple[str, str]
    verdict: str
    outcome: Outcome
    gauge: Gauge | None
    error: float | None = None
    number: str = ""
    warned: bool = False

    @property
    def tallies(self) -> tuple[str, ...]:
        """Return texts, the longest first: `'25 rounds in 2 sessions'`, or `'1 round ±5 %'`.

        A reader always sees that other processes measured too.
        """
        if len(self.rounds) != 1:
            shorter = self.number.replace(" rounds", "")
            return self.number, shorter
        if self.error is None:
            return ("1 round",)
        return (f"1 round ±{format_percent(self.error, signed=False, digits=2)}",)


class Part(NamedTuple):
    """A line below a row: a domain, a unit of work, the carbon.

    Without an energy it is a sentence, across the columns; `short` is for narrow terminals.
    """

    name: str
    energy: str = ""
    short: str = ""


def row(result: Result) -> Row:
    """Return the row of a result."""
    return Row(
        name=result.test.name,
        label=figures.label(result),
        rounds=figures.round_values(result) if figures.measured(result) else (),
        energy=_energy(result),
        change=_change(result),
        verdict=verdict_word(result),
        outcome=result.verdict.outcome,
        gauge=_gauge(result),
        error=figures.edge_error(result) if figures.measured(result) else None,
        number=figures.tally(result) if figures.measured(result) else "",
        warned=warned(result),
    )


def parts(result: Result) -> Iterator[Part]:
    """Yield further lines of a result: A/B, attempts, qualities, domains, units, carbon."""
    for line, short in interleaved_text.table_lines(result.verdict):
        yield Part(line, short=short)
    for line, short in work_text.table_lines(result):
        yield Part(line, short=short)
    for attempt in result.attempts:
        known = not math.isnan(attempt.joules)
        energy = format_energy(attempt.joules) if known else NOTHING
        yield Part(f"earlier attempt: {attempt.outcome.value}", energy)
    for each in result.verdict.qualities:
        if each.value is not None:
            share = f" ({quality.moved(each)})" if each.baseline is not None else ""
            yield Part(each.name, f"{format_number(each.value, 4)}{share}")
    if not figures.measured(result):
        return
    kinds = figures.counted_kinds(result)
    total = sum(kinds.values())
    # Of an estimate, CPU and memory are constant shares of CPU time.
    constant = result.provenance.estimated and kinds.keys() <= {"cpu", "dram"}
    if len(kinds) > 1 and total and not constant:
        for kind, energy_j in kinds.items():
            judged = " (judged)" if result.domain == kind else ""
            yield Part(f"{kind} {figures.used(energy_j / total)}{judged}", _power(result, energy_j))
    for name, why, energy_j in figures.apart(result):
        yield Part(f"{name}, {why}", _power(result, energy_j))
    for unit, energy_j in list(figures.known_units(result).items())[1:]:
        yield Part(f"per {unit}", f"{_mark(result)}{figures.energy(energy_j, unit)}")
    if result.grams is not None:
        yield Part("carbon", f"{format_mass(result.grams)} CO2e")


Headings = tuple[tuple[str, ...], tuple[str, ...]]


def headings(results: Sequence[Result]) -> Headings:
    """Return both lines of the headings: of joules, or of work if no joules were to be measured."""
    return _OF_WORK if all(result.verdict.alone for result in results) else _OF_ENERGY


def by_module(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results of each module, in the order in which they ran."""
    modules: dict[str, list[Result]] = {}
    for result in results:
        modules.setdefault(result.test.module, []).append(result)
    return modules


def _energy(result: Result) -> tuple[str, str]:
    if not figures.measured(result):
        return work_text.in_place_of_joules(result)
    mark = _mark(result)
    units = figures.known_units(result)
    below = f"in {format_duration(result.seconds)}"
    if units:
        unit = next(iter(units))
        below = f"{mark}{figures.energy(units[unit], unit)}"
    return f"{mark}{format_energy(result.joules)}  {format_power(result.watts)}", below


def _power(result: Result, energy_j: float) -> str:
    watts = energy_j / result.seconds if result.seconds else 0.0
    return f"{_mark(result)}{format_energy(energy_j)}  {format_power(watts)}"


def _mark(result: Result) -> str:
    return "~" if figures.estimated(result) else ""


def _change(result: Result) -> tuple[str, str]:
    shift, alone = interleaved_text.shift_of(result.verdict), result.verdict.alone
    if alone is not None and alone.relative is not None:
        return format_percent(alone.relative), "work"
    return (format_percent(shift.relative), shift.span) if shift else (NOTHING, "")


def _gauge(result: Result) -> Gauge | None:
    if (work := result.verdict.more_work) and not any(each.exceeded for each in work.limits):
        share = (work.relative or 0.0) / work.margin if work.margin else 2.0
        return Gauge(share, f"{figures.margin(work.margin)} work", False)
    if result.verdict.more_work:
        return None
    if result.verdict.of_joules is not None:
        drop = result.verdict.drops[0]
        share = -drop.relative / drop.limit if drop.relative and drop.limit else 2.0
        return Gauge(share, quality.limit(drop), False)
    limit = figures.tightest(result)
    if limit is not None:
        return Gauge(limit.used, figures.of_limit(limit, limit.limit), True)
    shift = interleaved_text.shift_of(result.verdict)
    if shift is None:
        return None
    share = shift.relative / shift.margin if shift.margin else float(shift.relative > 0) * 2
    return Gauge(share, figures.margin(shift.margin), False)


class Widths(NamedTuple):
    """The width of each column; without a name, names are on lines of their own."""

    name: int
    energy: int
    change: int
    verdict: int

    @property
    def total(self) -> int:
        """Return the width of the table."""
        return sum(self) + GAP * (len(self) - 1)


def fit(
    rows: Sequence[Row],
    parts: Sequence[Part],
    titles: Headings,
    width: int,
    say: Callable[[str], str],
) -> Widths:
    """Return widths for the text, within bounds; names and bars share the rest of `width`."""
    upper, lower = titles
    texts = (
        [upper[1], lower[1], *(t for r in rows for t in r.energy), *(p.energy for p in parts)],
        [upper[2], lower[2], *(t for r in rows for t in r.change)],
        [upper[3], *(r.verdict for r in rows), *(_least_gauge(r) for r in rows)],
    )
    energy, change, verdict = (
        min(max(least, *(cells(say(text)) for text in column)), most)
        for column, (least, most) in zip(texts, _BOUNDS, strict=True)
    )
    if width < _SIDE_BY_SIDE:
        return _narrow(width - GAP, energy, change, verdict)
    free = width - Widths(0, energy, change, verdict).total
    names = [r.name + r.label for r in rows] + [f"    {part.name}" for part in parts if part.energy]
    names += [f"  {'.' * len(r.rounds)} {r.tallies[0]}" for r in rows]
    wanted = max(cells(say(text)) for text in names)
    growth = min(_MOST_GROWTH, max(free - wanted, (width - _SIDE_BY_SIDE) // 2))
    return Widths(min(wanted, free - growth), energy, change, verdict + growth)


def _narrow(width: int, energy: int, change: int, verdict: int) -> Widths:
    """Return widths of three columns; those with the most to spare become narrower."""
    over = energy + change + verdict + 2 * GAP - width
    shorter = min(max(over, 0), verdict - SHORTEST_BAR)
    return Widths(0, energy - max(over - shorter, 0), change, verdict - shorter)


def _least_gauge(row: Row) -> str:
    if row.gauge is None:
        return ""
    return "." * SHORTEST_BAR + " " + list(row.gauge.words())[-1]
