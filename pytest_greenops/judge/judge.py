"""judge(measurement, budget, baseline, rules) -> Verdict: pure, and the only judge there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.judge.budget_limits import Level, limits_of
from pytest_greenops.judge.decision import (
    Look,
    Needs,
    Screening,
    contradicts,
    decided_by,
    needs,
)
from pytest_greenops.judge.rules import Reference, Rules
from pytest_greenops.judge.samples import Sides, same_work, sides_of
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import POWER_CAP, CheckName, DeviceState, Measurement, Round
from pytest_greenops.model.units import format_percent
from pytest_greenops.model.verdict import Cause, CauseKind, Change, Limit, Outcome, Verdict

#: How probable a regression may be in unchanged code that no fresh process could confirm.
ALONE = 0.01
#: Share of rounds that a 20 % trimmed mean leaves without effect.
TOLERATED = 0.2
_UNKNOWN = DeviceState()


def judge(
    measurement: Measurement,
    budget: Budget,
    reference: Reference,
    rules: Rules,
    *,
    unit: str = "call",
    look: Look | None = None,
    fresh: Sequence[Sequence[Round]] = (),
    controls: Sequence[Mapping[str, float]] = (),
) -> Verdict:
    """Say what can be said of a measurement, against its absolute limits and its baseline.

    unit   the unit of work whose joules are judged
    look   which of the planned looks this is; the only one if not given
    fresh  rounds of further sessions of the same measurement, each from a fresh process
    controls  joules of the control workload beside each of these sessions, by counter
    """
    estimated = measurement.provenance(budget.domain).estimated
    only_warns = estimated and rules.estimates == "warn"
    action = budget.action or ("warn" if only_warns else rules.action)
    if objection := _objection(measurement, budget.domain):
        refused = Verdict(objection[0], action=action, estimated=estimated)
        return refused.with_cause(objection[1])

    reference = same_work(reference, measurement, budget.domain, unit)
    sides = sides_of(measurement, fresh, controls, budget.domain, reference, rules, unit)
    levels = tuple(limits_of(measurement, fresh, budget, rules, sides.spread.to_fail))
    limits = tuple(level.limit for level in levels)
    margin = rules.margin if budget.max_increase is None else budget.max_increase
    look = look or Look()
    screening = sides.screen(margin, look) if sides.accepted else None
    outcome, cause = _weigh(limits, screening, reference, budget, measurement)
    if cause is None and (disputed := _disputed(outcome, levels, screening, sides)):
        outcome, cause = Outcome.INCONCLUSIVE, Cause.not_confirmed(disputed)
    undecided = outcome is Outcome.INCONCLUSIVE and cause is None
    wanted = _needs(limits, sides, screening, margin, look) if undecided else Needs()
    return Verdict(
        outcome,
        change=_change(screening, sides, margin) if screening else None,
        limits=limits,
        needs_rounds=wanted.rounds,
        needs_processes=wanted.processes,
        needs_sessions=wanted.sessions,
        action=action,
        estimated=estimated,
    ).with_cause(cause)


def confirm(
    verdict: Verdict,
    measurement: Measurement,
    fresh: Sequence[Round],
    budget: Budget,
    reference: Reference,
    rules: Rules,
    *,
    unit: str = "call",
    controls: Sequence[Mapping[str, float]] = (),
) -> Verdict:
    """A regression, once a fresh process has measured it too.

    fresh  its rounds; its session says no more than whether the first one was a mishap

    It stands, with what the fresh process found beside it, unless that contradicts it.
    """
    sides = sides_of(measurement, (fresh,), controls, budget.domain, reference, rules, unit)
    if verdict.change is None or not sides.accepted:
        return verdict
    session = sides.candidate[1]
    change = math.expm1(trimmed_mean(session) - sides.level)
    first = sides.candidate[:1]
    if contradicts(sides.accepted, session, first, sides.spread, verdict.change.margin):
        seen = f"{format_percent(verdict.change.relative)} in this process"
        cause = Cause.not_confirmed(f"{seen}, {format_percent(change)} in a fresh one")
        return verdict.with_cause(cause, Outcome.INCONCLUSIVE)
    return replace(verdict, confirmed=change)


def unconfirmed(verdict: Verdict, why: str, may_stand: bool = True) -> Verdict:
    """A red verdict of one process that no other could be asked about.

    may_stand  an exceeded budget may, and a regression where chance makes so large an increase in
               at most 1 % of unchanged code; neither beside a fresh session that something
               disturbed, as it may have disturbed the first
    """
    change = verdict.change
    chance = change.p_value if change and verdict.outcome is Outcome.REGRESSED else 0.0
    if may_stand and chance is not None and chance <= ALONE:
        return verdict
    return verdict.with_cause(Cause.not_confirmed(why), Outcome.INCONCLUSIVE)


def _disputed(
    outcome: Outcome, levels: Sequence[Level], screening: Screening | None, sides: Sides
) -> str | None:
    """What several sessions found of which half speak against the others, or None."""
    if outcome is Outcome.OVER_BUDGET:
        near = next(level for level in levels if level.limit.low > level.limit.limit)
        if near.over <= len(near.sessions) / 2:
            return f"{', '.join(near.told)} in {len(near.sessions)} processes"
    elif screening is not None and screening.disputed:
        found = [math.expm1(trimmed_mean(s) - sides.level) for s in sides.candidate]
        return f"{', '.join(map(format_percent, found))} in {len(found)} processes"
    return None


def _needs(
    limits: Sequence[Limit],
    sides: Sides,
    screening: Screening | None,
    margin: float,
    look: Look,
) -> Needs:
    """What would decide the comparison, or else the absolute limit that is nearest."""
    near = [limit for limit in limits if limit.low <= limit.limit < limit.high]
    if screening is not None and screening.outcome is Outcome.INCONCLUSIVE and not near:
        return needs(sides.accepted, screening, sides.spread, margin, look)
    gaps = [abs(math.log(limit.limit / limit.value)) for limit in near if limit.limit]
    rounds = sum(map(len, sides.candidate))
    return decided_by(sides.spread.to_fail, rounds, min(gaps)) if gaps else Needs()


def _objection(measurement: Measurement, domain: str) -> tuple[Outcome, Cause] | None:
    """Return the outcome of a measurement that nothing can be compared with, or None."""
    if why := _unmeasured(measurement, domain):
        return Outcome.NOT_MEASURED, Cause(CauseKind.NOTHING_MEASURED, why)
    for check in measurement.checks:
        if check.name is CheckName.INSTRUMENTED:
            return Outcome.NOT_COMPARABLE, Cause.check(check)
    return None


def _unmeasured(measurement: Measurement, domain: str) -> str | None:
    """Return why a measurement has no joules of a domain, or None."""
    names = measurement.selected(domain)
    if why := measurement.lost_of(domain):
        return why
    if not names and any(d.idle and d.kind == domain for d in measurement.domains):
        return f"the work used no {domain}: all were idle"
    if not names:
        here = ", ".join(d.name for d in measurement.domains) or "nothing"
        return f"no sensor reads {domain} here, only {here}"
    if not measurement.rounds:
        voids = (c.finding for c in measurement.checks if c.name is CheckName.VOID)
        return next(voids, "no round ended")
    if any(sum(round_.energy_uj[name] for name in names) <= 0 for round_ in measurement.rounds):
        return f"{domain} did not move in a round: its window is too short"
    return None


def _weigh(
    limits: Sequence[Limit],
    screening: Screening | None,
    reference: Reference,
    budget: Budget,
    measurement: Measurement,
) -> tuple[Outcome, Cause | None]:
    """One outcome out of all that was compared, the gravest first."""
    compared = bool(limits) or screening is not None
    untrusted = measurement.untrusted(budget.domain)
    if compared and untrusted:
        return Outcome.INCONCLUSIVE, Cause.check(untrusted)
    over = any(limit.low > limit.limit for limit in limits)
    regressed = screening is not None and screening.outcome is Outcome.REGRESSED
    doubt = measurement.untrusted(budget.domain, estimates=True)
    if (over or regressed) and doubt:
        return Outcome.INCONCLUSIVE, Cause.check(doubt)
    if over:
        return Outcome.OVER_BUDGET, None
    moved = regressed or (screening is not None and screening.outcome is Outcome.IMPROVED)
    if moved and (cap := _unlike_caps(reference, measurement, budget.domain)):
        return Outcome.INCONCLUSIVE, Cause(CauseKind.POWER_CAP, cap)
    if regressed:
        return Outcome.REGRESSED, None
    if any(limit.high > limit.limit for limit in limits):
        return Outcome.INCONCLUSIVE, None
    if screening:
        return screening.outcome, None
    if limits and budget.max_increase is None:
        return Outcome.PASSED, None
    if reference.differences:
        differences = Cause(CauseKind.DIFFERENCES, ", ".join(reference.differences))
        return Outcome.NOT_COMPARABLE, differences
    return Outcome.NO_BASELINE, None


def _unlike_caps(reference: Reference, measurement: Measurement, domain: str) -> str | None:
    """A device that was held by its power limit on one side of the comparison alone."""
    sessions = reference.series.sessions if reference.series else ()
    before = [session.rounds for session in sessions]
    return unlike_caps(measurement.rounds, before, measurement.selected(domain))


def unlike_caps(
    now: Sequence[Round], before: Sequence[Sequence[Round]], domains: Sequence[str]
) -> str | None:
    """A device that kept to its power limit now and never in its baseline, or the other way round.

    The limit is the same, since it is part of what must match. So a neighbour takes of the same
    budget, the cooling is worse, or the work asks for more: joules alone do not tell which.

    before  the rounds of each session
    """
    for name in domains:
        held, baseline = _capped(now, name), [_capped(rounds, name) for rounds in before]
        if held > TOLERATED and not any(baseline):
            return f"{name}: {POWER_CAP} (baseline: none)"
        if not held and min(baseline, default=0.0) > TOLERATED:
            return f"{name}: no {POWER_CAP} (baseline: held by it)"
    return None


def _capped(rounds: Sequence[Round], device: str) -> float:
    """In which share of the rounds a device with work kept to its power limit."""
    states = [round_.devices.get(device, _UNKNOWN) for round_ in rounds]
    held = [POWER_CAP in s.throttle_reasons and s.used is not False for s in states]
    return sum(held) / len(held) if held else 0.0


def _change(screening: Screening, sides: Sides, margin: float) -> Change:
    series, level = sides.series, sides.level
    assert series is not None
    low, high = screening.interval()
    anchor_j = _anchor(series, sides.unit, sides.domains)
    last = series.sessions[-1]
    return Change(
        relative=math.expm1(screening.estimate),
        low=math.expm1(low),
        high=math.expm1(high),
        smallest=math.expm1(screening.smallest),
        margin=margin,
        baseline_j=math.exp(level),
        sessions=len(series.sessions),
        provisional=screening.provisional,
        since_anchor=(
            math.expm1(level + screening.estimate - math.log(anchor_j)) if anchor_j else None
        ),
        by_domain=_by_domain(series, math.exp(level), sides.domains),
        accepted_at=last.saved_at,
        commit=last.revision.commit,
        outcome=screening.outcome,
        p_value=screening.p_value,
        taken_out=None if sides.shift is None else math.expm1(sides.shift),
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
