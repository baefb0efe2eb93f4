"""What is compared: logarithms of joules per unit, in accepted sessions and in this run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from statistics import fmean
from typing import NamedTuple

from pytest_greenops.judge.case import Case
from pytest_greenops.judge.decision import Look, Screening, screen
from pytest_greenops.judge.noise import Spread, estimate_spread
from pytest_greenops.judge.stats import logs, mean_level, pooled_variance, trimmed_mean
from pytest_greenops.judge.suite import control_level
from pytest_greenops.model.baseline import Series, occasions
from pytest_greenops.model.measurement import Round, joules_per_unit


class Sample(NamedTuple):
    """One session: the logarithms of its rounds, and the level of its control workload."""

    values: list[float]
    control: float | None

    @property
    def level(self) -> float:
        """The level of the session."""
        return float(trimmed_mean(self.values))

    def without_shift(self, slope: float, usual: float) -> Sample:
        """Return the session without its machine's shift: a share of that of the control."""
        assert self.control is not None
        shift = slope * (self.control - usual)
        return Sample([y - shift for y in self.values], self.control)


class Sides(NamedTuple):
    """The two sides of a comparison: one sequence of logarithms for each session.

    accepted   of the baseline, one for each occasion; empty if there is no usable one
    candidate  of this run
    series     the baseline that the accepted sessions belong to
    shift      what the control workload's change took off the candidate, as a logarithm
    unknown    the control workload's change if it is more than the assumed spread, and not known
               whether the candidate shares it
    """

    accepted: list[list[float]]
    candidate: list[list[float]]
    spread: Spread
    series: Series | None
    shift: float | None
    unknown: float = 0.0

    @property
    def level(self) -> float:
        """The level of the baseline."""
        return float(mean_level(self.accepted))

    def screen(self, margin: float, look: Look) -> Screening:
        """Compare them at one look."""
        return screen(self.accepted, self.candidate, self.spread, margin, look, self.unknown)


def sides_of(case: Case) -> Sides:
    """Return both sides, each session without the shift of its machine where that is known.

    Accepted sessions of one occasion are one: they share the state of their machine.
    """
    series, rules = case.reference.usable, case.rules
    stored = series.sessions if series else ()
    accepted = [_sample(case, each.rounds, each.control_j) for each in stored]
    pairs = zip(case.sessions, chain(case.controls, repeat({})), strict=False)
    candidate = [_sample(case, rounds, control_j) for rounds, control_j in pairs]
    shift, unknown, together = None, 0.0, occasions(stored)
    if accepted and all(sample.control is not None for sample in (*accepted, *candidate)):
        usual = fmean(_controls(accepted))
        change = fmean(_controls(candidate)) - usual
        if rules.control_slope:
            shift = rules.control_slope * change
            accepted = [each.without_shift(rules.control_slope, usual) for each in accepted]
            candidate = [each.without_shift(rules.control_slope, usual) for each in candidate]
        elif abs(change) > rules.session_sd:
            unknown = change
    groups = [[accepted[place] for place in places] for places in together]
    before, now = list(map(_merged, groups)), [each.values for each in candidate]
    suite = rules.suite if shift is None else rules.quiet_suite
    spread = estimate_spread(before, now, suite, rules.session_sd, _variance_within(groups))
    return Sides(before, now, spread, series, shift, unknown)


def _merged(sessions: Sequence[Sample]) -> list[float]:
    """Return the rounds of the sessions of one occasion as one session, at their mean level."""
    if len(sessions) == 1:
        return sessions[0].values
    level = fmean(session.level for session in sessions)
    return [y - session.level + level for session in sessions for y in session.values]


def _variance_within(groups: Sequence[Sequence[Sample]]) -> float:
    """Return the variance of sessions about the mean of their occasion: starts differ too.

    What the control workload shows too is not of the starts, but of the machine, whose change is
    judged apart.
    """
    raw = pooled_variance([[session.level for session in sessions] for sessions in groups])
    if any(session.control is None for sessions in groups for session in sessions):
        return float(raw)
    without = [[s.level - (s.control or 0.0) for s in sessions] for sessions in groups]
    return float(min(raw, pooled_variance(without)))


def _sample(case: Case, rounds: Sequence[Round], control_j: Mapping[str, float]) -> Sample:
    values = logs(joules_per_unit(rounds, case.domains, case.unit))
    return Sample(values, control_level(control_j, case.domains))


def _controls(samples: Sequence[Sample]) -> list[float]:
    return [sample.control for sample in samples if sample.control is not None]
