"""Figures as text: an energy, a change, an interval, a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import by_kind, joules_per_unit
from pytest_greenops.model.result import Attempt, Result
from pytest_greenops.model.units import (
    counted,
    format_energy,
    format_mass,
    format_number,
    format_percent,
    format_power,
)
from pytest_greenops.model.verdict import Change, Limit

KINDS = ("cpu", "dram", "gpu", "psys")


def energy(energy_j: float, unit: str) -> str:
    """Return `'3.10 J/sample'`, or `'3.10 J'` for a call."""
    return format_energy(energy_j) if unit == "call" else f"{format_energy(energy_j)}/{unit}"


def margin(share: float) -> str:
    """Return a margin as its author wrote it: `0.05` -> `'+5 %'`."""
    return format_percent(share, digits=6)


def written_margin(share: float) -> str:
    """Return a margin for `max_increase`, rounded up to whole percents: `0.062` -> `'7%'`."""
    whole = max(1, math.ceil(share * 100 - 1e-9))
    return format_percent(whole / 100, signed=False, digits=6).replace(" ", "")


def used(share: float) -> str:
    """Return a share of a limit: `1.24` -> `'124 %'`, `1e6` -> `'>999 %'`."""
    return format_percent(share, signed=False) if share < 9.995 else ">999 %"


def span(low: float, high: float, form: Callable[[float], str]) -> str:
    """Return an interval, with one unit if both ends have the same: `'3.02…3.19 J'`."""
    (first, first_unit), last = form(low).split(" ", 1), form(high)
    return f"{first}…{last}" if last.split(" ", 1)[1] == first_unit else f"{form(low)}…{last}"


def change_span(change: Change) -> str:
    """Return `'+48…+61 %'`."""
    return span(change.low, change.high, format_percent)


def against_baseline(change: Change) -> str:
    """Return `'+3.1 % (95 % CI -1.0…+7.3 %) against a limit of +5 %'`."""
    return f"{measured_change(change)} against a limit of {margin(change.margin)}"


def measured_change(change: Change) -> str:
    """Return `'+3.1 % (95 % CI -1.0…+7.3 %)'`, and what it is corrected for."""
    text = f"{format_percent(change.relative)} (95 % CI {change_span(change)})"
    return text if change.taken_out is None else f"{text}, corrected for {machine_shift(change)}"


def machine_shift(change: Change) -> str:
    """Return `"the machine's own +2.0 % (control workload)"`."""
    return f"the machine's own {format_percent(change.taken_out or 0.0)} (control workload)"


def chance(change: Change) -> str:
    """Return `'p = 0.0012 by chance'`: of such an increase in unchanged code."""
    return f"p {_p(change.p_value)} by chance"


def chances(change: Change) -> str:
    """Return `'p = 0.0012, adjusted = 0.017'`."""
    return f"p {_p(change.p_value)}, adjusted {_p(change.p_adjusted)}"


def label(result: Result) -> str:
    """Return the name of a measurement, to follow that of its test: `' · prefill'`."""
    return "" if result.name == "call" else f" · {result.name}"


def subject(result: Result) -> str:
    """Return the names of test and measurement: `'test_generate[8] · prefill'`."""
    return f"{result.test.name}{label(result)}"


def _p(value: float | None) -> str:
    known = value or 0.0
    return f"= {known:.2g}" if known >= 1e-4 else "< 0.0001"


def factor(carbon: CarbonFactor) -> str:
    """Return `'342 g/kWh (DE: Ember, yearly electricity data, 2024), PUE 1.2'`."""
    of = f" ({carbon.region}: {carbon.source}, {carbon.year})" if carbon.region else ""
    pue = "" if carbon.pue == 1.0 else f", PUE {carbon.pue:g}"
    return f"{format_number(carbon.grams_per_kwh, 4)} g/kWh{of}{pue}"


def carbon(mass_g: float, made_with: CarbonFactor | None) -> str:
    """Return `'2.00 g CO2e per call, at 342 g/kWh (…)'`."""
    at = f", at {factor(made_with)}" if made_with else ""
    return f"{_carbon(mass_g)} per call{at}"


def _carbon(mass_g: float) -> str:
    return f"{format_mass(mass_g)} CO2e"


#: For each limited quantity, its format and the verb for a call.
QUANTITIES: dict[str, tuple[Callable[[float], str], str]] = {
    "energy": (format_energy, "used"),
    "power": (format_power, "drew"),
    "carbon": (_carbon, "emitted"),
}


class Share(NamedTuple):
    """The joules per judged unit of a kind of domain, or of one of several devices of a kind.

    share   of all counted joules (0.62 is 62 %)
    before  the joules in the baseline; None if it does not have them
    """

    name: str
    share: float
    now: float
    before: float | None

    @property
    def growth(self) -> float:
        """The joules more than in the baseline, or of a domain that it does not have."""
        return self.now - (self.before or 0.0)


def shares(result: Result) -> list[Share]:
    """Return what each counted domain used, and used before; the greatest growth comes first."""
    counted_domains = [domain for domain in result.domains if domain.counted]
    energy = {
        d.name: result.by_domain[d.name] for d in counted_domains if d.name in result.by_domain
    }
    total = math.fsum(energy.values())
    if not total or not result.joules:
        return []
    change = result.verdict.change
    before = change.by_domain if change else {}
    found = []
    for kind in dict.fromkeys(domain.kind for domain in counted_domains):
        names = [d.name for d in counted_domains if d.kind == kind and d.name in energy]
        for label, members in [(n, [n]) for n in names] if names[1:] else [(kind, names)]:
            joules = math.fsum(energy[name] for name in members)
            known = [before[name] for name in members if name in before]
            now = joules * result.judged_j / result.joules
            found.append(Share(label, joules / total, now, math.fsum(known) if known else None))
    return sorted(found, key=lambda each: -each.growth)


def of_limit(limit: Limit, value: float) -> str:
    """Return a value in the unit of a limit: `'2.50 J/sample'`, `'350 W'`, `'2.00 g CO2e'`."""
    if limit.quantity == "energy":
        return energy(value, limit.unit)
    return QUANTITIES[limit.quantity][0](value)


def limit_span(limit: Limit) -> str:
    """Return the 95 % interval of a limited value: `'3.02…3.19 J'`."""
    return span(limit.low, limit.high, QUANTITIES[limit.quantity][0])


def tightest(result: Result) -> Limit | None:
    """Return the exceeded absolute limit, else the one with the highest use, else None."""
    exceeded = result.verdict.exceeded
    return exceeded or max(result.verdict.limits, key=lambda limit: limit.used, default=None)


def estimated(result: Result) -> bool:
    """Return whether any joules of a result are estimated."""
    return result.verdict.estimated or result.provenance.estimated


def measured(result: Result) -> bool:
    """Return whether a result has joules."""
    return bool(result.rounds) and not math.isnan(result.joules)


def round_values(result: Result) -> tuple[float, ...]:
    """Return the joules per judged unit of each round, over all sessions."""
    rounds = [round_ for session in result.sessions for round_ in session]
    worked = [r for r in rounds if result.unit == "call" or r.units.get(result.unit, 0) > 0]
    return joules_per_unit(worked, tuple(result.provenance.sensors), result.unit)


def tally(result: Result) -> str:
    """Return `'10 rounds'`, or `'25 rounds in 2 sessions'`."""
    several = f" in {len(result.sessions)} sessions" if result.fresh else ""
    return f"{counted(len(round_values(result)), 'round')}{several}"


def attempt(earlier: Attempt) -> str:
    """Return the verdict of an earlier attempt: `'regressed (3.00 J)'`."""
    known = "" if math.isnan(earlier.joules) else f" ({format_energy(earlier.joules)})"
    return f"{earlier.outcome.value}{known}"


def known_units(result: Result) -> dict[str, float]:
    """Return the joules per unit of work, the judged unit first."""
    known = {unit: j for unit, j in result.per_unit.items() if not math.isnan(j)}
    return dict(sorted(known.items(), key=lambda item: (item[0] != result.unit, item[0])))


def counted_kinds(result: Result) -> dict[str, float]:
    """Return the joules of one call by kind of domain, without double counting."""
    kinds = by_kind(result.by_domain, [domain for domain in result.domains if domain.counted])
    return {kind: kinds[kind] for kind in KINDS if kind in kinds}


def apart(result: Result) -> Iterator[tuple[str, str, float]]:
    """Yield counters outside of the total, e.g. idle GPUs: name, why, joules per call."""
    for domain in result.domains:
        if not domain.counted and domain.name in result.by_domain:
            why = "idle, not counted" if domain.idle else "not counted"
            yield domain.name, why, result.by_domain[domain.name]


def edge_error(result: Result) -> float | None:
    """Return the relative error of a single round from its window edges; else None."""
    if len(result.rounds) != 1 or result.fresh or result.interval is None:
        return None
    return result.interval[1] / result.joules - 1
