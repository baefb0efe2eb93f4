"""Figures as a reader sees them: an energy of a unit of work, a change, an interval, a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import by_kind, joules_per_unit
from pytest_greenops.model.result import Attempt, Result
from pytest_greenops.model.units import (
    format_energy,
    format_mass,
    format_percent,
    format_power,
)
from pytest_greenops.model.verdict import Change, Limit

KINDS = ("cpu", "dram", "gpu", "psys")


def energy(energy_j: float, unit: str) -> str:
    """`'3.10 J/sample'`; joules of a call are `'3.10 J'`."""
    return format_energy(energy_j) if unit == "call" else f"{format_energy(energy_j)}/{unit}"


def margin(share: float) -> str:
    """A limit as its author wrote it: `0.05` -> `'+5 %'`."""
    return f"{share * 100:+g} %"


def used(share: float) -> str:
    """How much of a limit was used: `1.24` -> `'124 %'`, `1e6` -> `'>999 %'`."""
    return format_percent(share, signed=False) if share < 9.995 else ">999 %"


def span(low: float, high: float, form: Callable[[float], str]) -> str:
    """An interval, its unit said once where both ends share it: `'3.02…3.19 J'`."""
    (first, first_unit), last = form(low).split(" ", 1), form(high)
    return f"{first}…{last}" if last.split(" ", 1)[1] == first_unit else f"{form(low)}…{last}"


def change_span(change: Change) -> str:
    """`'+48…+61 %'`."""
    return span(change.low, change.high, format_percent)


def against_baseline(change: Change) -> str:
    """`'+3.1 % (95 % CI -1.0…+7.3 %) against a limit of +5 %'`."""
    shift = "" if change.taken_out is None else f", without {machine_shift(change)}"
    return (
        f"{format_percent(change.relative)} (95 % CI {change_span(change)}) "
        f"against a limit of {margin(change.margin)}{shift}"
    )


def machine_shift(change: Change) -> str:
    """`"the machine's own +2.0 % (its control workload)"`."""
    return f"the machine's own {format_percent(change.taken_out or 0.0)} (its control workload)"


def chance(change: Change) -> str:
    """`'p 0.0012 of so large an increase in unchanged code'`."""
    return f"p {_p(change.p_value)} of so large an increase in unchanged code"


def chances(change: Change) -> str:
    """`'p 0.0012, adjusted 0.017'`."""
    return f"p {_p(change.p_value)}, adjusted {_p(change.p_adjusted)}"


def label(result: Result) -> str:
    """What follows the name of a test that measures more than one thing: `' · prefill'`."""
    return "" if result.name == "call" else f" · {result.name}"


def subject(result: Result) -> str:
    """A measurement by the name of its test: `'test_generate[8] · prefill'`."""
    return f"{result.test.name}{label(result)}"


def _p(value: float | None) -> str:
    known = value or 0.0
    return f"{known:.2g}" if known >= 1e-4 else "<0.0001"


def factor(carbon: CarbonFactor) -> str:
    """`'342 g/kWh (DE: Ember, yearly electricity data, 2024), PUE 1.2'`."""
    of = f" ({carbon.region}: {carbon.source}, {carbon.year})" if carbon.region else ""
    pue = "" if carbon.pue == 1.0 else f", PUE {carbon.pue:g}"
    return f"{carbon.grams_per_kwh:.4g} g/kWh{of}{pue}"


def carbon(mass_g: float, made_with: CarbonFactor | None) -> str:
    """`'2.00 g CO2e a call, at 342 g/kWh (…)'`."""
    at = f", at {factor(made_with)}" if made_with else ""
    return f"{_carbon(mass_g)} a call{at}"


def _carbon(mass_g: float) -> str:
    return f"{format_mass(mass_g)} CO2e"


#: How a limited quantity is written, and what a call does with it.
QUANTITIES: dict[str, tuple[Callable[[float], str], str]] = {
    "energy": (format_energy, "used"),
    "power": (format_power, "drew"),
    "carbon": (_carbon, "emitted"),
}


def kinds_changed(result: Result) -> dict[str, float]:
    """How much each counted kind of energy changed over the baseline: `{'gpu': 0.8}`."""
    change = result.verdict.change
    if change is None or not result.joules:
        return {}
    counted = [domain for domain in result.domains if domain.counted]
    before = by_kind(change.by_domain, counted)
    per_unit = result.judged_j / result.joules
    return {
        kind: energy_j * per_unit / before[kind] - 1
        for kind, energy_j in counted_kinds(result).items()
        if before.get(kind)
    }


def of_limit(limit: Limit, value: float) -> str:
    """A value in the quantity of a limit: `'2.50 J/sample'`, `'350 W'`, `'2.00 g CO2e'`."""
    if limit.quantity == "energy":
        return energy(value, limit.unit)
    return QUANTITIES[limit.quantity][0](value)


def limit_span(limit: Limit) -> str:
    """The 95 % interval of a limited value: `'3.02…3.19 J'`."""
    return span(limit.low, limit.high, QUANTITIES[limit.quantity][0])


def tightest(result: Result) -> Limit | None:
    """The absolute limit that matters most: the exceeded one, else the one used most."""
    exceeded = result.verdict.exceeded
    return exceeded or max(result.verdict.limits, key=lambda limit: limit.used, default=None)


def estimated(result: Result) -> bool:
    """Whether any joule of this result was estimated, not sensed."""
    return result.verdict.estimated or result.provenance.estimated


def measured(result: Result) -> bool:
    """Whether there are joules to show."""
    return bool(result.rounds) and not math.isnan(result.joules)


def round_values(result: Result) -> tuple[float, ...]:
    """Joules of the judged unit of work in each round of any session that did some."""
    rounds = [round_ for session in result.sessions for round_ in session]
    worked = [r for r in rounds if result.unit == "call" or r.units.get(result.unit, 0) > 0]
    return joules_per_unit(worked, tuple(result.provenance.sensors), result.unit)


def tally(result: Result) -> str:
    """`'10 rounds'`, `'25 rounds in 2 sessions'`: those that `round_values` holds."""
    count = len(round_values(result))
    several = f" in {len(result.sessions)} sessions" if result.fresh else ""
    return f"{count} round{'' if count == 1 else 's'}{several}"


def attempt(earlier: Attempt) -> str:
    """What an earlier attempt at a test came to: `'regressed (3.00 J)'`."""
    known = "" if math.isnan(earlier.joules) else f" ({format_energy(earlier.joules)})"
    return f"{earlier.outcome.value}{known}"


def known_units(result: Result) -> dict[str, float]:
    """Joules of each unit of work that every round did, the judged one first."""
    known = {unit: j for unit, j in result.per_unit.items() if not math.isnan(j)}
    return dict(sorted(known.items(), key=lambda item: (item[0] != result.unit, item[0])))


def counted_kinds(result: Result) -> dict[str, float]:
    """Joules of one call by kind of domain, without double counting, in a fixed order."""
    kinds = by_kind(result.by_domain, [domain for domain in result.domains if domain.counted])
    return {kind: kinds[kind] for kind in KINDS if kind in kinds}


def apart(result: Result) -> Iterator[tuple[str, str, float]]:
    """Counters that no total holds, such as psys and idle cards: name, why, joules of a call."""
    for domain in result.domains:
        if not domain.counted and domain.name in result.by_domain:
            why = "idle, not counted" if domain.idle else "not counted"
            yield domain.name, why, result.by_domain[domain.name]


def edge_error(result: Result) -> float | None:
    """How far the joules of a single round may be off for its edges, as a share; None of others."""
    if len(result.rounds) != 1 or result.fresh or result.interval is None:
        return None
    return result.interval[1] / result.joules - 1


def watts(result: Result, energy_j: float) -> float:
    """The mean power of a part of a call's joules."""
    return energy_j / result.seconds if result.seconds else 0.0
