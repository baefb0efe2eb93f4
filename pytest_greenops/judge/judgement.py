"""The verdict on a measurement: pure, and the only judge in the project."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace as changed
from functools import cache

from msgspec.structs import replace

from pytest_greenops.judge.budget_limits import Level, limits_of, unjudged
from pytest_greenops.judge.case import Case
from pytest_greenops.judge.comparability import check_work, unlike_caps
from pytest_greenops.judge.creep import since_anchor
from pytest_greenops.judge.decision import Look, Screening, contradicts, smallest_increase
from pytest_greenops.judge.needs import Needs, needs_of_change, needs_of_limit
from pytest_greenops.judge.noise import POOL_WEIGHT
from pytest_greenops.judge.samples import Sides, sides_of
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import CheckName, Measurement
from pytest_greenops.model.units import format_percent
from pytest_greenops.model.verdict import Cause, CauseKind, Change, Limit, Outcome, Verdict

#: A regression that no fresh process could confirm needs a p value of at most this.
ALONE = 0.01


def judge_measurement(case: Case, look: Look | None = None) -> Verdict:
    """Judge a measurement against its absolute limits and its baseline, at one look."""
    measurement, budget, rules = case.measurement, case.budget, case.rules
    estimated = measurement.provenance(budget.domain).estimated
    only_warns = estimated and rules.estimates == "warn"
    action = budget.action or ("warn" if only_warns else rules.action)
    if objection := _objection(measurement, budget.domain):
        refused = Verdict(objection[0], action=action, estimated=estimated)
        return refused.with_cause(objection[1])

    case = changed(case, reference=check_work(case))
    sides = sides_of(case)
    levels = tuple(limits_of(case, sides.spread.to_fail))
    limits = tuple(level.limit for level in levels)
    look = look or Look()
    screening = sides.screen(case.margin, look) if sides.accepted else None
    outcome, cause = _weigh(case, limits, screening)
    if cause is None and (disputed := _disputed(outcome, levels, screening, sides)):
        outcome, cause = Outcome.INCONCLUSIVE, Cause.not_confirmed(disputed)
    if outcome is Outcome.INCONCLUSIVE and cause is None and sides.unknown:
        cause = _changed_machine(sides, case.margin, look)
    undecided = outcome is Outcome.INCONCLUSIVE and cause is None
    needs = _needs(limits, sides, screening, case.margin, look) if undecided else Needs()
    return Verdict(
        outcome,
        change=_change(case, screening, sides) if screening else None,
        limits=limits,
        needs_rounds=needs.rounds,
        needs_processes=needs.processes,
        needs_sessions=needs.sessions,
        action=action,
        estimated=estimated,
        unjudged=unjudged(case),
        detects=_detects(rules.session_sd, case.margin) if outcome is Outcome.NO_BASELINE else None,
    ).with_cause(cause)


def confirm(verdict: Verdict, case: Case) -> Verdict:
    """Return a regression as the one fresh session of a case confirms or contradicts it."""
    sides = sides_of(case)
    if verdict.change is None or not sides.accepted:
        return verdict
    first, session = sides.candidate
    change = math.expm1(trimmed_mean(session) - sides.level)
    if contradicts(sides.accepted, session, [first], sides.spread, verdict.change.margin):
        seen = f"{format_percent(verdict.change.relative)} in this process"
        cause = Cause.not_confirmed(f"{seen}, {format_percent(change)} in a fresh one")
        return verdict.with_cause(cause, Outcome.INCONCLUSIVE)
    return replace(verdict, confirmed=change)


def unconfirmed(verdict: Verdict, why: str, may_stand: bool = True) -> Verdict:
    """Return a red verdict that no fresh process could confirm: inconclusive, or still red.

    If it `may_stand`, an exceeded budget and a regression with a p value of at most 1 % stay red.
    After a disturbed fresh session they do not: the first may have been disturbed too.
    """
    change = verdict.change
    chance = change.p_value if change and verdict.outcome is Outcome.REGRESSED else 0.0
    if may_stand and chance is not None and chance <= ALONE:
        return verdict
    return verdict.with_cause(Cause.not_confirmed(why), Outcome.INCONCLUSIVE)


def _disputed(
    outcome: Outcome, levels: Sequence[Level], screening: Screening | None, sides: Sides
) -> str | None:
    """Return what each session found, if half of several contradict the others."""
    if outcome is Outcome.OVER_BUDGET:
        over = next(level for level in levels if level.limit.low > level.limit.limit)
        if over.sessions_over <= len(over.sessions) / 2:
            return f"{', '.join(over.texts)} in {len(over.sessions)} processes"
    elif screening is not None and screening.disputed:
        found = [math.expm1(trimmed_mean(s) - sides.level) for s in sides.candidate]
        return f"{', '.join(map(format_percent, found))} in {len(found)} processes"
    return None


def _changed_machine(sides: Sides, margin: float, look: Look) -> Cause | None:
    """Return the machine's change as the cause, if there would be a verdict without it."""
    without = sides._replace(unknown=0.0).screen(margin, look)
    if without.outcome is Outcome.INCONCLUSIVE:
        return None
    change = format_percent(math.expm1(sides.unknown))
    finding = f"fixed work used {change} against the saved sessions, so the machine has changed"
    return Cause(CauseKind.CONTROL, f"{CheckName.CONTROL}: {finding}")


@cache
def _detects(session_sd: float, margin: float) -> float:
    """Return the smallest increase that is detected with one session of such a spread."""
    error = session_sd * math.sqrt(2)  # one session on either side
    return math.expm1(smallest_increase(POOL_WEIGHT, error, math.log1p(margin)))


def _needs(
    limits: Sequence[Limit], sides: Sides, screening: Screening | None, margin: float, look: Look
) -> Needs:
    """Return what would decide the comparison, or else the nearest absolute limit."""
    near = [limit for limit in limits if limit.low <= limit.limit < limit.high]
    if screening is not None and screening.outcome is Outcome.INCONCLUSIVE and not near:
        return needs_of_change(sides.accepted, screening, sides.spread, margin, look)
    gaps = [abs(math.log(limit.limit / limit.value)) for limit in near if limit.limit]
    rounds = sum(map(len, sides.candidate))
    return needs_of_limit(sides.spread.to_fail, rounds, min(gaps)) if gaps else Needs()


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
    if not names and (
        idle := [d for d in measurement.domains if d.idle and domain in (d.kind, "total")]
    ):
        listed = ", ".join(d.name for d in idle)
        return (
            f"{listed} counted as idle: the driver lists no process of this test there; if the "
            f'work runs in another process, name its device: energy_budget(domain="{idle[0].name}")'
        )
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
    case: Case, limits: Sequence[Limit], screening: Screening | None
) -> tuple[Outcome, Cause | None]:
    """Return one outcome for all comparisons, the most serious first."""
    measurement, budget, reference = case.measurement, case.budget, case.reference
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
    if moved and (cap := _unlike_caps(case)):
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


def _unlike_caps(case: Case) -> str | None:
    series = case.reference.series
    before = [session.rounds for session in series.sessions] if series else []
    return unlike_caps(case.measurement.rounds, before, case.domains)


def _change(case: Case, screening: Screening, sides: Sides) -> Change:
    series, level = sides.series, sides.level
    assert series is not None
    low, high = screening.interval()
    last = series.sessions[-1]
    return Change(
        relative=math.expm1(screening.estimate),
        low=math.expm1(low),
        high=math.expm1(high),
        smallest=math.expm1(screening.smallest),
        margin=case.margin,
        baseline_j=math.exp(level),
        sessions=len(series.sessions),
        occasions=len(sides.accepted),
        spread=math.sqrt(sides.spread.to_fail.session_var),
        provisional=bool(screening.provisional),
        since_anchor=since_anchor(series, case.unit, case.domains),
        by_domain=_by_domain(series, math.exp(level), case.domains),
        accepted_at=last.saved_at,
        commit=last.revision.commit,
        outcome=screening.outcome,
        p_value=screening.p_value,
        taken_out=None if sides.shift is None else math.expm1(sides.shift),
    )


def _by_domain(series: Series, level_j: float, domains: Sequence[str]) -> dict[str, float]:
    """Return each energy counter's part of the baseline's level: its share of all joules."""
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    total_uj = {d.name: sum(r.energy_uj[d.name] for r in rounds) for d in series.domains}
    judged_uj = sum(total_uj[name] for name in domains)
    return {name: level_j * uj / judged_uj for name, uj in total_uj.items()}
