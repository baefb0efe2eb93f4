"""A measurement and its verdict -> the Result that users and reports read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.judge.stats import holm, pooled_variance, t_quantile, trimmed_mean, variance
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import (
    MICROJOULES,
    Measurement,
    Round,
    joules_per_unit,
    work_done,
)
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Verdict

#: From so many sessions on the spread of their levels is known well enough to tell an interval.
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
    """The figures of one measurement, over all its sessions.

    fresh  rounds of further sessions, each from a process of its own

    Joules are the level that is judged: the mean over the sessions of the 20 % trimmed mean of
    the logarithms of their rounds. The parts of each counter are its shares of that level, so that
    they add up to it.

    The interval is that of the sessions' levels where there are three or more (Student's t). A
    single session only has the scatter of its rounds, which says nothing of how sessions differ;
    of two that interval is widened until it holds both levels.
    """
    names = measurement.selected(domain)
    result = Result(
        test=test,
        name=measurement.name,
        domain=domain,
        unit=unit,
        rounds=measurement.rounds,
        uncounted=measurement.uncounted,
        fresh=tuple(fresh),
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
    seconds = _mean(trimmed_mean([r.seconds / r.iterations for r in each]) for each in sessions)
    total_uj = {d.name: sum(r.energy_uj[d.name] for r in rounds) for d in result.domains}
    judged_uj = sum(total_uj[name] for name in names)
    if not judged_uj:
        return result
    logs = [_logs(session, names, "call") for session in sessions]
    joules = math.exp(_mean(map(trimmed_mean, filter(None, logs))))
    return replace(
        result,
        joules=joules,
        by_domain={name: joules * uj / judged_uj for name, uj in total_uj.items()},
        watts=joules / seconds if seconds else math.nan,
        seconds=seconds,
        per_unit={name: _level(sessions, names, name) for name in rounds[0].units},
        interval=_interval(logs) or _edges(joules, rounds, names, measurement.estimated),
        grams=None if carbon is None else carbon.grams(joules),
    )


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return math.fsum(known) / len(known)


def _logs(rounds: Sequence[Round], domains: Sequence[str], unit: str) -> list[float]:
    return [math.log(joules) for joules in joules_per_unit(rounds, domains, unit) if joules > 0]


def _level(sessions: Sequence[Sequence[Round]], domains: Sequence[str], unit: str) -> float:
    """Joules of a unit of work; NaN where a round did none of it."""
    if any(work_done(round_, unit) <= 0 for session in sessions for round_ in session):
        return math.nan
    logs = [_logs(session, domains, unit) for session in sessions]
    return math.exp(_mean(map(trimmed_mean, filter(None, logs))))


def _interval(sessions: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the level, of logarithms by session; None of one round."""
    levels = [trimmed_mean(logs) for logs in sessions if logs]
    middle = _mean(levels)
    if len(levels) >= FEWEST_LEVELS:
        half = _half(variance(levels), len(levels), len(levels) - 1)
        return math.exp(middle - half), math.exp(middle + half)
    n = sum(map(len, sessions))
    if n < 2:
        return None
    half = _half(pooled_variance(sessions), n, n - len(levels)) if n > len(levels) else 0.0
    return math.exp(min(middle - half, *levels)), math.exp(max(middle + half, *levels))


def _half(of_one: float, n: int, df: int) -> float:
    """Half of the 95 % interval of a mean of n values, each with this variance."""
    half: float = t_quantile(0.975, df) * math.sqrt(of_one / n)
    return half


def _edges(
    joules: float, rounds: Sequence[Round], domains: Sequence[str], estimated: Sequence[str]
) -> tuple[float, float] | None:
    """The 95 % interval of a single round, by how exactly its edges are known; not of estimates."""
    if len(rounds) != 1 or set(domains) & set(estimated) or not rounds[0].error_uj:
        return None
    errors_uj = [rounds[0].error_uj.get(name, 0.0) for name in domains]
    half = math.hypot(*errors_uj) * MICROJOULES / rounds[0].iterations
    return max(0.0, joules - half), joules + half


def adjusted(results: Iterable[Result]) -> tuple[Result, ...]:
    """The results of a run, each comparison with its chance among so many (Holm)."""
    listed = list(results)
    known = [
        (place, change, change.p_value)
        for place, result in enumerate(listed)
        if (change := result.verdict.change) is not None and change.p_value is not None
    ]
    for (place, change, _), p in zip(known, holm([p for *_, p in known]), strict=True):
        verdict = replace(listed[place].verdict, change=replace(change, p_adjusted=p))
        listed[place] = replace(listed[place], verdict=verdict)
    return tuple(listed)
