"""judge(measurement, budget, baseline, rules) -> Verdict: pure, and the only judge there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Action, Budget
from pytest_greenops.model.measurement import Measurement, Round, joules_per_unit
from pytest_greenops.model.verdict import Change, Limit, Outcome, Verdict
from pytest_greenops.screen import Look, Noise, Screening, noise, screen
from pytest_greenops.stats import t_quantile, trimmed_mean

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Rules:
    """How strictly a run judges.

    margin         the increase that is a regression, for tests that name none (0.05 is 5 %)
    action         what a red verdict does, for tests that name none
    estimates      the same where the joules are estimated
    session_sd     assumed spread between sessions while fewer than three are known
    pool           variance between sessions of each test of the suite, from its baselines
    grams_per_kwh  CO2e of the grid times PUE, where it is known
    """

    margin: float = 0.05
    action: Action = "fail"
    estimates: Action = "warn"
    session_sd: float = 0.03
    pool: tuple[float, ...] = ()
    grams_per_kwh: float | None = None


@dataclass(frozen=True)
class Reference:
    """What a measurement is held against: accepted sessions, or why there are none to use.

    differences  why the stored series is not comparable: `('cpu: A -> B',)`
    """

    series: Series | None = None
    differences: tuple[str, ...] = ()


def judge(
    measurement: Measurement,
    budget: Budget,
    reference: Reference,
    rules: Rules,
    *,
    unit: str = "call",
    look: Look | None = None,
    fresh: Sequence[Sequence[Round]] = (),
) -> Verdict:
    """Say what can be said of a measurement, against its absolute limits and its baseline.

    unit   the unit of work whose joules are judged
    look   which of the planned looks this is; the only one if not given
    fresh  rounds of further sessions of the same measurement, each from a fresh process
    """
    domains = measurement.selected(budget.domain)
    estimated = measurement.provenance(budget.domain).estimated
    action = budget.action or rules.action
    if estimated and rules.estimates == "warn":
        action = "warn"
    objection = _objection(measurement, budget.domain)
    if objection:
        return Verdict(*objection, action=action, estimated=estimated)

    reference = _same_work(reference, unit)
    sessions = [_logs(rounds, domains, unit) for rounds in (measurement.rounds, *fresh)]
    accepted = _accepted(reference, domains, unit)
    scatters = noise(accepted, sessions, rules.pool, rules.session_sd)
    limits = tuple(_limits(measurement, budget, rules, sessions, scatters[-1]))
    margin = rules.margin if budget.max_increase is None else budget.max_increase
    screening = screen(accepted, sessions, scatters, margin, look or Look()) if accepted else None
    outcome, cause = _weigh(limits, screening, reference, budget, measurement)
    undecided = screening if outcome is Outcome.INCONCLUSIVE and cause is None else None
    return Verdict(
        outcome,
        cause,
        _change(screening, accepted, reference, margin, unit, domains) if screening else None,
        limits,
        needs_rounds=undecided.needs_rounds if undecided else None,
        needs_sessions=undecided.needs_sessions if undecided else None,
        action=action,
        estimated=estimated,
    )


def _objection(measurement: Measurement, domain: str) -> tuple[Outcome, str] | None:
    """Why nothing can be judged at all."""
    names = measurement.selected(domain)
    if not names:
        here = ", ".join(d.name for d in measurement.domains) or "nothing"
        return Outcome.NOT_MEASURED, f"no sensor reads {domain} here, only {here}"
    if not measurement.rounds:
        void = next((c.finding for c in measurement.checks if c.name == "void"), "no round ended")
        return Outcome.NOT_MEASURED, void
    if any(sum(round_.energy_uj[name] for name in names) <= 0 for round_ in measurement.rounds):
        return Outcome.NOT_MEASURED, f"{domain} did not move in a round: its window is too short"
    for check in measurement.checks:
        if check.name == "instrumented":
            return Outcome.NOT_COMPARABLE, f"instrumented: {check.finding}"
    return None


def _weigh(
    limits: Sequence[Limit],
    screening: Screening | None,
    reference: Reference,
    budget: Budget,
    measurement: Measurement,
) -> tuple[Outcome, str | None]:
    """One outcome out of all that was compared, the gravest first."""
    compared = bool(limits) or screening is not None
    untrusted = measurement.untrusted(budget.domain)
    if compared and untrusted:
        return Outcome.INCONCLUSIVE, f"{untrusted.name}: {untrusted.finding}"
    if any(limit.low > limit.limit for limit in limits):
        return Outcome.OVER_BUDGET, None
    if screening and screening.outcome is Outcome.REGRESSED:
        return Outcome.REGRESSED, None
    if any(limit.high > limit.limit for limit in limits):
        return Outcome.INCONCLUSIVE, None
    if screening:
        return screening.outcome, None
    if limits and budget.max_increase is None:
        return Outcome.PASSED, None
    if reference.differences:
        return Outcome.NOT_COMPARABLE, ", ".join(reference.differences)
    return Outcome.NO_BASELINE, None


def _same_work(reference: Reference, unit: str) -> Reference:
    """A baseline that never counted this unit of work is not comparable."""
    series = reference.series
    if series is None or reference.differences or unit == "call":
        return reference
    if all(unit in round_.units for s in series.sessions for round_ in s.rounds):
        return reference
    return Reference(series, (f"unit: the baseline counts no {unit}",))


def _accepted(reference: Reference, domains: Sequence[str], unit: str) -> list[list[float]]:
    if reference.series is None or reference.differences:
        return []
    return [_logs(session.rounds, domains, unit) for session in reference.series.sessions]


def _logs(rounds: Sequence[Round], domains: Sequence[str], unit: str) -> list[float]:
    return [math.log(joules) for joules in joules_per_unit(rounds, domains, unit)]


def _limits(
    measurement: Measurement,
    budget: Budget,
    rules: Rules,
    sessions: Sequence[Sequence[float]],
    scatter: Noise,
) -> Iterator[Limit]:
    """Each absolute limit of the budget, with the measured value and its 95 % interval."""
    domains = measurement.selected(budget.domain)
    rounds = sum(len(session) for session in sessions)
    error = math.sqrt(scatter.session_var / len(sessions) + scatter.round_var / rounds)
    factor = math.exp(t_quantile(0.975, scatter.df) * error)

    def limit(quantity: str, values: Sequence[float], allowed: float) -> Limit:
        value = math.exp(trimmed_mean([math.log(value) for value in values]))
        return Limit(quantity, value, value / factor, value * factor, allowed)

    if budget.energy_j is not None:
        unit = budget.per or "call"
        yield limit("energy", joules_per_unit(measurement.rounds, domains, unit), budget.energy_j)
    calls = joules_per_unit(measurement.rounds, domains, "call")
    if budget.max_power_w is not None:
        watts = [
            j * r.iterations / r.seconds for j, r in zip(calls, measurement.rounds, strict=True)
        ]
        yield limit("power", watts, budget.max_power_w)
    if budget.max_carbon_g is not None and rules.grams_per_kwh is not None:
        grams = [joules / JOULES_PER_KWH * rules.grams_per_kwh for joules in calls]
        yield limit("carbon", grams, budget.max_carbon_g)


def _change(
    screening: Screening,
    accepted: Sequence[Sequence[float]],
    reference: Reference,
    margin: float,
    unit: str,
    domains: Sequence[str],
) -> Change:
    low, high = screening.interval()
    level = math.fsum(trimmed_mean(session) for session in accepted) / len(accepted)
    anchor_j = _anchor(reference, unit, domains)
    now = level + screening.estimate
    return Change(
        relative=math.expm1(screening.estimate),
        low=math.expm1(low),
        high=math.expm1(high),
        smallest=screening.smallest,
        margin=margin,
        baseline_j=math.exp(level),
        sessions=len(accepted),
        provisional=screening.provisional,
        since_anchor=math.expm1(now - math.log(anchor_j)) if anchor_j else None,
    )


def _anchor(reference: Reference, unit: str, domains: Sequence[str]) -> float | None:
    """Joules of a unit of work at the first accepted level."""
    levels = reference.series.anchor.joules_per_unit.get(unit, {}) if reference.series else {}
    return math.fsum(levels[name] for name in domains) if set(domains) <= levels.keys() else None
