"""What is compared: logarithms of joules per unit, in accepted sessions and in this run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from statistics import fmean
from typing import NamedTuple

from pytest_greenops.judge.case import Case
from pytest_greenops.judge.decision import Look, Screening, screen
from pytest_greenops.judge.noise import MIN_SESSIONS, Spread, estimate_spread
from pytest_greenops.judge.stats import logs, mean_level
from pytest_greenops.judge.suite import control_level
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import Round, joules_per_unit


class Sample(NamedTuple):
    """One session: the logarithms of its rounds, and the level of its control workload."""

    values: list[float]
    control: float | None

    def without_shift(self, slope: float, usual: float) -> Sample:
        """Return the session without its machine's shift: a share of that of the control."""
        assert self.control is not None
        shift = slope * (self.control - usual)
        return Sample([y - shift for y in self.values], self.control)


class Sides(NamedTuple):
    """The two sides of a comparison: one sequence of logarithms for each session.

    accepted   of the baseline; empty if there is no usable one
    candidate  of this run
    series     the baseline that the accepted sessions belong to
    shift      what the control workload's change took off the candidate, as a logarithm
    """

    accepted: list[list[float]]
    candidate: list[list[float]]
    spread: Spread
    series: Series | None
    shift: float | None

    @property
    def level(self) -> float:
        """The level of the baseline."""
        return float(mean_level(self.accepted))

    def screen(self, margin: float, look: Look) -> Screening:
        """Compare them at one look."""
        return screen(self.accepted, self.candidate, self.spread, margin, look)


def sides_of(case: Case) -> Sides:
    """Return both sides, each session without the shift of its machine where that is known."""
    series, rules = case.reference.usable, case.rules
    stored = series.sessions if series else ()
    accepted = [_sample(case, each.rounds, each.control_j) for each in stored]
    pairs = zip(case.sessions, chain(case.controls, repeat({})), strict=False)
    candidate = [_sample(case, rounds, control_j) for rounds, control_j in pairs]
    shift = None
    known = all(sample.control is not None for sample in (*accepted, *candidate))
    if rules.control_slope and accepted and known:
        usual = fmean(_controls(accepted))
        shift = rules.control_slope * (fmean(_controls(candidate)) - usual)
        accepted = [each.without_shift(rules.control_slope, usual) for each in accepted]
        candidate = [each.without_shift(rules.control_slope, usual) for each in candidate]
    suite = rules.suite if shift is None else rules.quiet_suite
    if stored and len({each.run_key for each in stored}) < MIN_SESSIONS:
        suite = None  # sessions of one day agree better than those of several
    before, now = ([each.values for each in samples] for samples in (accepted, candidate))
    spread = estimate_spread(before, now, suite, rules.session_sd)
    return Sides(before, now, spread, series, shift)


def _sample(case: Case, rounds: Sequence[Round], control_j: Mapping[str, float]) -> Sample:
    values = logs(joules_per_unit(rounds, case.domains, case.unit))
    return Sample(values, control_level(control_j, case.domains))


def _controls(samples: Sequence[Sample]) -> list[float]:
    return [sample.control for sample in samples if sample.control is not None]
