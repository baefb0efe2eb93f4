"""A measurement and its verdict -> the Result that users and reports read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.measurement import (
    MICROJOULES,
    Measurement,
    Round,
    joules_per_unit,
    work_done,
)
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import JOULES
from pytest_greenops.model.verdict import Verdict
from pytest_greenops.stats import t_quantile, trimmed_mean, variance


def summarise(
    test: TestKey,
    measurement: Measurement,
    verdict: Verdict,
    *,
    domain: str,
    unit: str,
    conditions: Mapping[str, str],
    grams_per_kwh: float | None = None,
) -> Result:
    """The figures of one measurement.

    Joules are the level that is judged, the 20 % trimmed mean of the logarithms of the rounds;
    the parts of each counter are its shares of that level, so that they add up to it.
    """
    names = measurement.selected(domain)
    result = Result(
        test=test,
        name=measurement.name,
        domain=domain,
        unit=unit,
        rounds=measurement.rounds,
        domains=tuple(d for d in measurement.domains if d.name not in measurement.lost),
        provenance=measurement.provenance(domain),
        verdict=verdict,
        checks=measurement.checks,
        untrusted=measurement.untrusted(domain) is not None,
        conditions=dict(conditions),
    )
    rounds = measurement.rounds
    if not rounds:
        return result
    seconds = trimmed_mean([round_.seconds / round_.iterations for round_ in rounds])
    total_uj = {d.name: sum(r.energy_uj[d.name] for r in rounds) for d in result.domains}
    judged_uj = sum(total_uj[name] for name in names)
    if not judged_uj:
        return result
    logs = [math.log(joules) for joules in joules_per_unit(rounds, names, "call") if joules > 0]
    joules = math.exp(trimmed_mean(logs))
    return replace(
        result,
        joules=joules,
        by_domain={name: joules * uj / judged_uj for name, uj in total_uj.items()},
        watts=joules / seconds if seconds else math.nan,
        seconds=seconds,
        per_unit={name: _level(rounds, names, name) for name in rounds[0].units},
        interval=_interval(logs) or _edges(joules, rounds, names, measurement.estimated),
        grams=None if grams_per_kwh is None else joules / JOULES["kWh"] * grams_per_kwh,
    )


def _level(rounds: Sequence[Round], domains: Sequence[str], unit: str) -> float:
    """Joules of a unit of work; NaN where a round did none of it."""
    if any(work_done(round_, unit) <= 0 for round_ in rounds):
        return math.nan
    values = joules_per_unit(rounds, domains, unit)
    return math.exp(trimmed_mean([math.log(value) for value in values if value > 0]))


def _interval(logs: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the level within this session (Student's t on logarithms)."""
    n = len(logs)
    if n < 2:
        return None
    middle = trimmed_mean(logs)
    half = t_quantile(0.975, n - 1) * math.sqrt(variance(logs) / n)
    return math.exp(middle - half), math.exp(middle + half)


def _edges(
    joules: float, rounds: Sequence[Round], domains: Sequence[str], estimated: Sequence[str]
) -> tuple[float, float] | None:
    """The 95 % interval of a single round, by how exactly its edges are known; not of estimates."""
    if len(rounds) != 1 or set(domains) & set(estimated) or not rounds[0].error_uj:
        return None
    errors_uj = [rounds[0].error_uj.get(name, 0.0) for name in domains]
    half = math.hypot(*errors_uj) * MICROJOULES / rounds[0].iterations
    return max(0.0, joules - half), joules + half
