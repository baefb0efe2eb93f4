"""judge(measurement, budget, baseline, rules) -> Verdict: pure, and the only judge there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.marker import Action
from pytest_greenops.model.measurement import Measurement, Round, joules_per_unit
from pytest_greenops.model.units import JOULES
from pytest_greenops.model.verdict import Change, Limit, Outcome, Verdict
from pytest_greenops.screen import Look, Noise, Screening, noise, screen
from pytest_greenops.stats import t_quantile, trimmed_mean


@dataclass(frozen=True)
class Rules:
    """How strictly a run judges.

    margin         the increase that is a regression, for tests that name none (0.05 is 5 %)
    action         what a red verdict does, for tests that name none
    estimates      `warn` lets them only warn where the joules are estimated
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
    only_warns = estimated and rules.estimates == "warn"
    action = budget.action or ("warn" if only_warns else rules.action)
    objection = _objection(measurement, budget.domain)
    if objection:
        return Verdict(*objection, action=action, estimated=estimated)

    reference = _same_work(reference, measurement, budget.domain, unit)
    sessions = [_logs(rounds, domains, unit) for rounds in (measurement.rounds, *fresh)]
    series = None if reference.differences else reference.series
    accepted = [_logs(s.rounds, domains, unit) for s in series.sessions] if series else []
    spread = noise(accepted, sessions, rules.pool, rules.session_sd)
    limits = tuple(_limits(measurement, budget, rules, sessions, spread.to_fail))
    margin = rules.margin if budget.max_increase is None else budget.max_increase
    screening = screen(accepted, sessions, spread, margin, look or Look()) if accepted else None
    outcome, cause = _weigh(limits, screening, reference, budget, measurement)
    undecided = screening if outcome is Outcome.INCONCLUSIVE and cause is None else None
    return Verdict(
        outcome,
        cause,
        _change(screening, series, margin, unit, domains) if screening and series else None,
        limits,
        needs_rounds=undecided.needs_rounds if undecided else None,
        needs_sessions=undecided.needs_sessions if undecided else None,
        action=action,
        estimated=estimated,
    )


def _objection(measurement: Measurement, domain: str) -> tuple[Outcome, str] | None:
    """Why nothing can be judged at all."""
    names = measurement.selected(domain)
    if why := measurement.lost_of(domain):
        return Outcome.NOT_MEASURED, why
    if not names and any(d.idle and d.kind == domain for d in measurement.domains):
        return Outcome.NOT_MEASURED, f"the work used no {domain}: all were idle"
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
    over = any(limit.low > limit.limit for limit in limits)
    regressed = screening is not None and screening.outcome is Outcome.REGRESSED
    doubt = measurement.untrusted(budget.domain, estimates=True)
    if (over or regressed) and doubt:
        return Outcome.INCONCLUSIVE, f"{doubt.name}: {doubt.finding}"
    if over:
        return Outcome.OVER_BUDGET, None
    if regressed:
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


def _same_work(reference: Reference, measurement: Measurement, domain: str, unit: str) -> Reference:
    """A baseline that counted none of this work, or other energy, is not comparable."""
    series = reference.series
    if series is None or reference.differences:
        return reference
    domains = measurement.selected(domain)
    turned = tuple(_turned(series, measurement, domain))
    if turned:
        return Reference(series, turned)
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    if unit != "call" and not all(unit in round_.units for round_ in rounds):
        return Reference(series, (f"unit: the baseline counts no {unit}",))
    if not all(sum(round_.energy_uj.get(name, 0) for name in domains) > 0 for round_ in rounds):
        return Reference(series, (f"domain: {domain} did not move in a round of the baseline",))
    return reference


def _turned(series: Series, measurement: Measurement, domain: str) -> Iterator[str]:
    """Devices that had work in one of the two, and none in the other."""
    before = {d.name: d.idle for d in series.domains if domain in ("total", d.kind)}
    for now in measurement.domains:
        if before.get(now.name, now.idle) != now.idle:
            words = ("idle -> used", "used -> idle")
            yield f"{now.name}: {words[now.idle]}"


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

    def limit(
        quantity: str,
        values: Sequence[float],
        allowed: float,
        unit: str = "call",
        scale: float = 1.0,
    ) -> Limit:
        value = math.exp(trimmed_mean([math.log(value) for value in values])) * scale
        return Limit(quantity, value, value / factor, value * factor, allowed, unit)

    if budget.energy_j is not None:
        unit = budget.per or "call"
        joules = joules_per_unit(measurement.rounds, domains, unit)
        yield limit("energy", joules, budget.energy_j, unit)
    calls = joules_per_unit(measurement.rounds, domains, "call")
    if budget.max_power_w is not None:
        watts = [
            j * r.iterations / r.seconds for j, r in zip(calls, measurement.rounds, strict=True)
        ]
        yield limit("power", watts, budget.max_power_w)
    if budget.max_carbon_g is not None and rules.grams_per_kwh is not None:
        grams = rules.grams_per_kwh / JOULES["kWh"]
        yield limit("carbon", calls, budget.max_carbon_g, scale=grams)


def _change(
    screening: Screening, series: Series, margin: float, unit: str, domains: Sequence[str]
) -> Change:
    low, high = screening.interval()
    sessions = [_logs(session.rounds, domains, unit) for session in series.sessions]
    level = math.fsum(trimmed_mean(session) for session in sessions) / len(sessions)
    anchor_j = _anchor(series, unit, domains)
    now = level + screening.estimate
    last = series.sessions[-1]
    return Change(
        relative=math.expm1(screening.estimate),
        low=math.expm1(low),
        high=math.expm1(high),
        smallest=screening.smallest,
        margin=margin,
        baseline_j=math.exp(level),
        sessions=len(sessions),
        provisional=screening.provisional,
        since_anchor=math.expm1(now - math.log(anchor_j)) if anchor_j else None,
        by_domain=_by_domain(series, math.exp(level), domains),
        accepted_at=last.saved_at,
        commit=last.revision.commit,
        outcome=screening.outcome,
    )


def _by_domain(series: Series, level_j: float, domains: Sequence[str]) -> dict[str, float]:
    """What each energy counter had of the baseline's level: its share of all accepted joules."""
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    total_uj = {d.name: sum(r.energy_uj[d.name] for r in rounds) for d in series.domains}
    judged_uj = sum(total_uj[name] for name in domains)
    return {name: level_j * uj / judged_uj for name, uj in total_uj.items()}


def _anchor(series: Series, unit: str, domains: Sequence[str]) -> float | None:
    """Joules of a unit of work at the first accepted level."""
    levels = series.anchor.joules_per_unit.get(unit, {})
    return math.fsum(levels[name] for name in domains) if set(domains) <= levels.keys() else None
