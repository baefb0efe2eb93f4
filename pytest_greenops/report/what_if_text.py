"""Answers about energy that nobody measured: other places, lifetimes, whole trainings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.result import Result
from pytest_greenops.model.scenario import Crossover, Energy, Extrapolation, Hypothetical, Life
from pytest_greenops.model.units import (
    JOULES,
    counted,
    format_energy,
    format_number,
    format_percent,
)
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import aligned, column_widths, elide, hanging, wrapped

#: From this energy on, kWh are printed too, as on a bill.
_BILLED_J = 0.01 * JOULES["kWh"]


def region_lines(
    answers: Sequence[tuple[Result, Hypothetical]],
    other: Sequence[str],
    grid_named: bool,
    width: int,
) -> Iterator[str]:
    """Yield each measurement as measured, and as it would be with `other` conditions.

    `grid_named` says that these conditions name a grid; otherwise it is the grid of the run.
    """
    yield from wrapped(f"energy: HYPOTHETICAL: the same work {', '.join(other)}", width)
    for result, answer in answers:
        yield figures.subject(result)
        yield from _row("measured", _measured(result), width)
        supposed = _hypothetical(answer, grid_named, _of_domain(result.domain))
        yield from _row("hypothetical", supposed, width)


def cycle_lines(
    lives: Mapping[str, Life], crossing: Crossover, inferences: float | None, width: int
) -> Iterator[str]:
    """Yield the energies of both models, where they cross, and both after N inferences."""
    rows = [("", "training", "an inference")]
    rows += [
        (name, format_energy(life.training_j), format_energy(life.inference_j))
        for name, life in lives.items()
    ]
    yield from _table(rows)
    for sentence in _cycle_sentences(lives, crossing, inferences):
        yield from wrapped(f"energy: {sentence}", width)


def source_lines(energies: Iterable[Energy], width: int) -> Iterator[str]:
    """Yield the source of each energy that was read from a file."""
    for joules, source in dict.fromkeys(energies):
        if source is not None:
            figure = f"{format_energy(joules)}{_of_domain(source.domain)}"
            mark = "ESTIMATED, " if source.estimated else ""
            text = f"energy: {figure}: {mark}a call of {source.name} in {source.file}"
            yield from wrapped(text, width)


def parity_lines(
    inferences: float, training_j: float, inference_j: float, fine_tuning_j: float, width: int
) -> Iterator[str]:
    """Yield after how many inferences they have used as much energy as the training."""
    fine_tuning = f" and fine-tuning {_energy(fine_tuning_j)}" if fine_tuning_j else ""
    thousand_j = 1000 * inference_j
    for sentence in (
        f"training {_energy(training_j)}{fine_tuning}, an inference {format_energy(inference_j)} "
        f"(1,000 inferences {_in_kwh(thousand_j)})",
        f"cost parity: {_count(inferences)} inferences use as much energy as "
        f"{'both' if fine_tuning_j else 'the training'}",
    ):
        yield from wrapped(f"energy: {sentence}", width)


def training_lines(
    result: Result, of: Extrapolation, tdp_j: float | None, tdp: str, width: int
) -> Iterator[str]:
    """Yield the energy of a whole training, and its basis; `tdp` describes TDP x time."""
    for sentence in _training_sentences(result, of, tdp_j, tdp):
        yield from wrapped(f"energy: {sentence}", width)


def regions_lines(
    regions: Iterable[CarbonFactor], names: Mapping[str, str], width: int
) -> Iterator[str]:
    """Yield a row for each region: code, grams per kWh, name, source and year."""
    rows = [("region", "g/kWh", "name", "source, year")]
    rows += [
        (f"{r.region}", f"{r.grams_per_kwh:.0f}", names[f"{r.region}"], f"{r.source}, {r.year}")
        for r in regions
    ]
    yield from (elide(line, width) for line in _table(rows))


def _cycle_sentences(
    lives: Mapping[str, Life], crossing: Crossover, inferences: float | None
) -> Iterator[str]:
    if crossing.inferences is not None:
        yield (
            f"{crossing.below} uses less energy up to {_count(crossing.inferences)} "
            f"inferences, {crossing.above} after that"
        )
    elif crossing.below is None:
        yield "both use the same energy for any number of inferences"
    else:
        yield f"{crossing.below} uses less energy for any number of inferences"
    if inferences is not None:
        used = {name: life.joules(inferences) for name, life in lives.items()}
        listed = ", ".join(f"{name} {_energy(joules)}" for name, joules in used.items())
        yield f"after {_count(inferences)} inferences: {listed}"


def _training_sentences(
    result: Result, of: Extrapolation, tdp_j: float | None, tdp: str
) -> Iterator[str]:
    name = figures.subject(result) + _of_domain(result.domain)
    mark = " (ESTIMATED)" if figures.estimated(result) else ""
    seen = f"{of.seen} of {counted(of.total, 'epoch')}"
    yield f"{name}{mark}: {seen} measured, {_energy(of.spent_j)}"
    if result.uncounted is None:
        yield "this older file does not say whether epochs before the first round are missing"
    elif later := result.uncounted.later:
        yield (
            f"{counted(later, 'epoch')} after the first {'has' if later == 1 else 'have'} no "
            "figure; projected like the others"
        )
    if of.stable:
        before = (
            f"start-up: {counted(of.window_start, 'epoch')}, {format_energy(of.start_up_j)}; "
            if of.window_start
            else "no start-up measured; "
        )
        yield (
            f"{before}stable from epoch {of.window_start + 1} on: {format_energy(of.epoch_j)} per "
            f"epoch over {of.window} epochs"
        )
    else:
        yield (
            f"NOT STABLE: no {of.window} consecutive epochs use the same energy, so the start-up "
            "may not be over; measure more epochs before you trust the projection"
        )
    yield (
        f"EXTRAPOLATED, not measured: {_energy(of.joules)} for all {of.total} epochs "
        f"(95 % {figures.span(of.low, of.high, format_energy)}, "
        f"±{format_percent(of.half, signed=False)})"
    )
    if tdp_j is not None:
        over = tdp_j / of.joules if of.joules else 0.0
        times = f"{over:.2g}" if over < 99.5 else _count(over)
        yield f"TDP x time gives {_energy(tdp_j)} ({tdp}), {times} times as much"


def _measured(result: Result) -> str:
    mark = ", ESTIMATED" if figures.estimated(result) else ""
    carbon = "" if result.grams is None else f", {figures.carbon(result.grams, result.carbon)}"
    figure = f"{format_energy(result.joules)}{_of_domain(result.domain)}"
    return f"{figure} per call{mark}{carbon or ', grid unknown'}"


def _of_domain(domain: str) -> str:
    """Return the domain of joules, unless it is the total: `' (dram)'`."""
    return "" if domain == "total" else f" ({domain})"


def _hypothetical(answer: Hypothetical, grid_named: bool, of_domain: str) -> str:
    kinds = ", ".join(f"{kind} {format_energy(j)}" for kind, j in answer.by_kind_j.items())
    parts = f" ({kinds})" if len(answer.by_kind_j) > 1 else ""
    text = f"{format_energy(answer.computer_j)}{of_domain} per call{parts}"
    if answer.facility_j != answer.computer_j:
        text += f", {format_energy(answer.facility_j)} with the data center (PUE {answer.pue:g})"
    if answer.grams is None or answer.factor is None:
        return f"{text}; grid unknown, so no CO2e"
    grid = None if grid_named else replace(answer.factor, pue=1.0)
    return f"{text}, {figures.carbon(answer.grams, grid)}"


def _row(label: str, text: str, width: int) -> Iterator[str]:
    return hanging(f"  {label:<14}", text, width)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = column_widths(rows)
    return (aligned(row, widths) for row in rows)


def _energy(energy_j: float) -> str:
    """Return joules, with kWh if there are enough for a bill."""
    kwh = f" ({_in_kwh(energy_j)})" if energy_j >= _BILLED_J else ""
    return f"{format_energy(energy_j)}{kwh}"


def _in_kwh(energy_j: float) -> str:
    kwh = energy_j / JOULES["kWh"]
    return f"{kwh:,.0f} kWh" if kwh >= 1000 else f"{format_number(kwh)} kWh"


def _count(number: float) -> str:
    """Return `'592,570,000'` for `592570000.0`; small counts have decimals."""
    return f"{number:,.0f}" if number >= 100 else format_number(number)
