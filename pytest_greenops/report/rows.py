"""The table of results as rows of text: two stacked lines in each cell, nothing laid out yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    format_duration,
    format_energy,
    format_mass,
    format_percent,
    format_power,
)
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import figures
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.reasons import verdict_word, warned

NOTHING = "-"


class Gauge(NamedTuple):
    """How much of a limit was used, 1.0 being all of it, and the limit in words.

    absolute  a limit of its own, not an increase over the baseline: its percentage says something
    """

    share: float
    limit: str
    absolute: bool

    def words(self) -> Iterator[str]:
        """What stands beside the bar, the longest first."""
        if self.absolute:
            yield f"{figures.used(self.share)} of {self.limit}"
        yield f"of {self.limit}"
        yield f"of {self.limit.split('/')[0].removesuffix(' CO2e')}"


class Row(NamedTuple):
    """A result as the table shows it: the upper and the lower line of each of its four cells.

    label   what follows the test's name and is never cut: ` · prefill`, or nothing
    rounds  joules of the judged unit in each round, drawn under the name
    error   how far those of a single round may be off, as a share
    number  how many rounds there are, in words
    gauge   drawn under the verdict, or `hint` where there is none
    """

    name: str
    label: str
    rounds: Sequence[float]
    energy: tuple[str, str]
    change: tuple[str, str]
    verdict: str
    outcome: Outcome
    gauge: Gauge | None
    hint: str = ""
    error: float | None = None
    number: str = ""
    warned: bool = False

    @property
    def tally(self) -> str:
        """`'10 rounds'`; of a single one also how far its edges let it be off."""
        if len(self.rounds) != 1:
            return self.number
        known = "" if self.error is None else f" ±{self.error * 100:.2g} %"
        return f"1 round{known}"


class Part(NamedTuple):
    """A line beneath a row: a domain, a unit of work, the carbon."""

    name: str
    energy: str


def row(result: Result) -> Row:
    """The row of a result."""
    return Row(
        name=result.test.name,
        label=figures.label(result),
        rounds=figures.round_values(result) if figures.measured(result) else (),
        energy=_energy(result),
        change=_change(result),
        verdict=verdict_word(result),
        outcome=result.verdict.outcome,
        gauge=_gauge(result),
        hint="--energy-save" if _wants_baseline(result) else "",
        error=figures.edge_error(result) if figures.measured(result) else None,
        number=figures.tally(result) if figures.measured(result) else "",
        warned=warned(result),
    )


def parts(result: Result) -> Iterator[Part]:
    """What a row is made of, where that is more than one thing: domains, units, carbon."""
    for attempt in result.attempts:
        known = not math.isnan(attempt.joules)
        energy = format_energy(attempt.joules) if known else NOTHING
        yield Part(f"earlier attempt: {attempt.outcome.value}", energy)
    for each in result.verdict.qualities:
        if each.value is not None:
            share = f" ({quality.moved(each)})" if each.baseline is not None else ""
            yield Part(each.name, f"{each.value:.4g}{share}")
    if not figures.measured(result):
        return
    kinds = figures.counted_kinds(result)
    total = sum(kinds.values())
    if len(kinds) > 1 and total:
        for kind, energy_j in kinds.items():
            judged = " (judged)" if result.domain == kind else ""
            yield Part(f"{kind} {figures.used(energy_j / total)}{judged}", _power(result, energy_j))
    for name, why, energy_j in figures.apart(result):
        yield Part(f"{name}, {why}", _power(result, energy_j))
    for unit, energy_j in list(figures.known_units(result).items())[1:]:
        yield Part(f"per {unit}", figures.energy(energy_j, unit))
    if result.grams is not None:
        yield Part("carbon", f"{format_mass(result.grams)} CO2e")


def by_module(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of each module, both in the order in which they ran."""
    modules: dict[str, list[Result]] = {}
    for result in results:
        modules.setdefault(result.test.module, []).append(result)
    return modules


def _energy(result: Result) -> tuple[str, str]:
    if not figures.measured(result):
        return NOTHING, ""
    mark = "~" if figures.estimated(result) else ""
    units = figures.known_units(result)
    below = f"in {format_duration(result.seconds)}"
    if units:
        unit = next(iter(units))
        below = f"{mark}{figures.energy(units[unit], unit)}"
    return f"{mark}{format_energy(result.joules)}  {format_power(result.watts)}", below


def _power(result: Result, energy_j: float) -> str:
    return f"{format_energy(energy_j)}  {format_power(figures.watts(result, energy_j))}"


def _change(result: Result) -> tuple[str, str]:
    change = result.verdict.change
    if change is None:
        return NOTHING, ""
    return format_percent(change.relative), figures.change_span(change)


def _gauge(result: Result) -> Gauge | None:
    if result.verdict.of_joules is not None:
        drop = result.verdict.drops[0]
        share = -drop.relative / drop.limit if drop.relative and drop.limit else 2.0
        return Gauge(share, quality.limit(drop), False)
    limit = figures.tightest(result)
    if limit is not None:
        return Gauge(limit.used, figures.of_limit(limit, limit.limit), True)
    change = result.verdict.change
    if change is None:
        return None
    share = change.relative / change.margin if change.margin else float(change.relative > 0) * 2
    return Gauge(share, figures.margin(change.margin), False)


def _wants_baseline(result: Result) -> bool:
    no_baseline = result.verdict.outcome is Outcome.NO_BASELINE
    return no_baseline and not (result.saved or result.not_saved)
