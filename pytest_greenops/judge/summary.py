"""The result that users and reports read, from a measurement and its verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from msgspec.structs import replace

from pytest_greenops.judge.stats import (
    holm,
    logs,
    mean_level,
    pooled_variance,
    t_quantile,
    trimmed_mean,
    variance,
)
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import (
    MICROJOULES,
    Measurement,
    Round,
    joules_per_unit,
    work_done,
)
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Verdict

#: All rounds of a measurement have at most this many parts of power over time, for each counter.
POWER_PARTS = 200
#: The spread between sessions gives an interval from this many sessions on.
FEWEST_LEVELS = 3


def summarise(
    test: TestKey,
    measurement: Measurement,
    verdict: Verdict,
    *,
    domain: str,
    unit: str,
    conditions: Mapping[str, str],
    control_j: Mapping[str, float] | None = None,
    carbon: CarbonFactor | None = None,
    fresh: Sequence[tuple[Round, ...]] = (),
) -> Result:
    """Return the figures of one measurement, over all its sessions.

    Joules are the level that is judged: the mean, over sessions, of the 20 % trimmed mean of the
    logarithms of their rounds. Each counter gets its share of that level, so the shares add up.

    The interval rests on the sessions' levels if there are three or more (Student's t). With fewer
    it rests on the scatter of their rounds, which does not show how sessions differ; with two it is
    widened to include both levels. `fresh` has the rounds of further sessions.
    """
    names = measurement.selected(domain)
    known, *further = _with_little_power((measurement.rounds, *fresh))
    result = Result(
        test=test,
        name=measurement.name,
        domain=domain,
        unit=unit,
        rounds=known,
        uncounted=measurement.uncounted,
        fresh=tuple(further),
        domains=tuple(d for d in measurement.domains if d.name not in measurement.lost),
        provenance=measurement.provenance(domain),
        verdict=verdict,
        checks=measurement.checks,
        untrusted=measurement.untrusted(domain) is not None,
        conditions=dict(conditions),
        control_j=dict(control_j or {}),
        carbon=carbon,
    )
    if not measurement.rounds:
        return result
    sessions = result.sessions
    rounds = [round_ for session in sessions for round_ in session]
    seconds = mean_level([[r.seconds / r.iterations for r in each] for each in sessions])
    total_uj = {d.name: sum(r.energy_uj[d.name] for r in rounds) for d in result.domains}
    judged_uj = sum(total_uj[name] for name in names)
    if not judged_uj:
        return result
    values = _values(sessions, names, "call")
    joules = math.exp(mean_level(values))
    return replace(
        result,
        joules=joules,
        by_domain={name: joules * uj / judged_uj for name, uj in total_uj.items()},
        watts=joules / seconds if seconds else math.nan,
        seconds=seconds,
        per_unit={unit: _joules_of_unit(sessions, names, unit) for unit in rounds[0].units},
        interval=_interval(values) or _edges(joules, rounds, names, measurement.estimated),
        grams=None if carbon is None else carbon.grams(joules),
    )


def _with_little_power(sessions: Sequence[tuple[Round, ...]]) -> list[tuple[Round, ...]]:
    """Return rounds with no more power over time than a result holds.

    A single part has the mean power of its round, which is known without it.
    """
    most = POWER_PARTS // max(sum(map(len, sessions)), 1)
    return [
        tuple(
            replace(round_, power=_little(round_, most)) if round_.power else round_
            for round_ in rounds
        )
        for rounds in sessions
    ]


def _little(round_: Round, most: int) -> dict[str, PowerCurve]:
    return {name: curve.thinned(most) for name, curve in round_.power.items()} if most > 1 else {}


def _values(
    sessions: Sequence[Sequence[Round]], domains: Sequence[str], unit: str
) -> list[list[float]]:
    """Return the logarithms of joules per unit by session, without sessions that used none."""
    values = (logs(joules_per_unit(session, domains, unit)) for session in sessions)
    return [session for session in values if session]


def _joules_of_unit(
    sessions: Sequence[Sequence[Round]], domains: Sequence[str], unit: str
) -> float:
    """Return the joules of a unit of work; NaN if a round did none of it."""
    if any(work_done(round_, unit) <= 0 for session in sessions for round_ in session):
        return math.nan
    return math.exp(mean_level(_values(sessions, domains, unit)))


def _interval(sessions: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the level; None for a single round."""
    levels = list(map(trimmed_mean, sessions))
    middle = fmean(levels)
    if len(levels) >= FEWEST_LEVELS:
        half = _half(variance(levels), len(levels), len(levels) - 1)
        return math.exp(middle - half), math.exp(middle + half)
    n = sum(map(len, sessions))
    if n < 2:
        return None
    half = _half(pooled_variance(sessions), n, n - len(levels)) if n > len(levels) else 0.0
    return math.exp(min(middle - half, *levels)), math.exp(max(middle + half, *levels))


def _half(of_one: float, n: int, df: int) -> float:
    """Return half of the 95 % interval of a mean of n values, each with this variance."""
    return float(t_quantile(0.975, df) * math.sqrt(of_one / n))


def _edges(
    joules: float, rounds: Sequence[Round], domains: Sequence[str], estimated: Sequence[str]
) -> tuple[float, float] | None:
    """Return the 95 % interval of a single sensed round, by how exactly its edges are known."""
    if len(rounds) != 1 or set(domains) & set(estimated) or not rounds[0].error_uj:
        return None
    errors_uj = [rounds[0].error_uj.get(name, 0.0) for name in domains]
    half = math.hypot(*errors_uj) * MICROJOULES / rounds[0].iterations
    return max(0.0, joules - half), joules + half


def adjusted(results: Iterable[Result]) -> tuple[Result, ...]:
    """Return the results of a run, with p values adjusted for their number (Holm)."""
    listed = list(results)
    changes = [(place, result.verdict.change) for place, result in enumerate(listed)]
    known = [(place, c, c.p_value) for place, c in changes if c and c.p_value is not None]
    for (place, change, _), p in zip(known, holm([p for *_, p in known]), strict=True):
        verdict = replace(listed[place].verdict, change=replace(change, p_adjusted=p))
        listed[place] = replace(listed[place], verdict=verdict)
    return tuple(listed)
