"""What the accepted sessions of a suite have in common: their scatter, and their machine's. Pure.

The control workload is the same in every run. What it uses more or less than in earlier runs is the
machine's doing: where the tests are seen to share it, it is taken out of their changes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.judge.decision import MIN_SESSIONS, POOL_WEIGHT, Suite, suite_of
from pytest_greenops.judge.stats import (
    f_quantile,
    pooled_variance,
    t_quantile,
    trimmed_mean,
    variance,
)
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import CONTROL_KINDS, Check, CheckName, joules_per_unit
from pytest_greenops.model.units import format_percent

#: The control workload is taken out where its shifts explain those of the tests so surely.
SURE = 0.99
#: A run is not trusted whose control lies as far from its history as 3 SD of a normal one do.
TRUSTED = 0.99865


def levels(series: Series, unit: str = "call") -> list[float]:
    """The natural logarithm of joules of a unit of work in each session, over all that is counted.

    Empty where some round of the series holds no energy, or none of that work.
    """
    counted = [domain.name for domain in series.domains if domain.counted]
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    if unit != "call" and not all(unit in round_.units for round_ in rounds):
        return []
    if not all(sum(r.energy_uj.get(name, 0) for name in counted) > 0 for r in rounds):
        return []
    if not all(name in round_.energy_uj for round_ in rounds for name in counted):
        return []
    return [
        trimmed_mean([math.log(j) for j in joules_per_unit(session.rounds, counted, unit)])
        for session in series.sessions
    ]


def suite(all_series: Iterable[Series], slope: float = 0.0) -> Suite | None:
    """What the tests of a suite have in common; None where too few have sessions enough to tell.

    slope  of the control workload, whose shifts are left out
    """
    variances, degrees = [], []
    for series in all_series:
        found = levels(series)
        if len(found) < MIN_SESSIONS:
            continue
        if slope and (beside := list(_beside_controls(series))):
            found = [y - slope * x for _, x, y in beside]
        variances.append(variance(found))
        degrees.append(len(found) - 1)
    return suite_of(variances, degrees)


def control_level(control_j: Mapping[str, float], domains: Collection[str]) -> float | None:
    """The natural logarithm of a control workload's joules over these counters.

    None where it did not use one of them: it says nothing of a GPU.
    """
    joules = [control_j.get(name, 0.0) for name in domains]
    return math.log(math.fsum(joules)) if joules and all(j > 0 for j in joules) else None


def control_slope(all_series: Iterable[Series]) -> float:
    """How much of a shift of the control workload the suite's tests share: 0 to 1.

    Least squares of what the tests of a run used on what its control did, one point for each run,
    both about the mean of the series. 0 unless the one explains the other beyond chance: taken out
    without need, the control's own noise would only be added.
    """
    runs: dict[str, list[tuple[float, float]]] = {}
    for series in all_series:
        for day, x, y in _beside_controls(series):
            runs.setdefault(day, []).append((x, y))
    points = [(_mean(x for x, _ in run), _mean(y for _, y in run)) for run in runs.values()]
    return slope_beyond_chance([x for x, _ in points], [y for _, y in points])


def slope_beyond_chance(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope of a line through the origin, at most 1; 0 where chance may have made it.

    Of values about their means, which are worth two degrees of freedom less than there are.
    """
    degrees = len(xs) - 2
    squares = math.fsum(x * x for x in xs)
    products = math.fsum(x * y for x, y in zip(xs, ys, strict=True))
    if degrees < 1 or products <= 0:
        return 0.0
    explained = products**2 / squares
    left = max(math.fsum(y * y for y in ys) - explained, 0.0) / degrees
    sure = explained > left * f_quantile(SURE, 1, degrees)
    return min(1.0, products / squares) if sure else 0.0


class ControlShift(NamedTuple):
    """How far a run's control workload is from its history, and how far it may be: shares."""

    change: float
    allowed: float

    @property
    def trusted(self) -> bool:
        """Whether the machine is as it was."""
        return abs(math.log1p(self.change)) <= math.log1p(self.allowed)


def control_shift(
    all_series: Iterable[Series], control_j: Mapping[str, float], session_sd: float
) -> ControlShift | None:
    """Hold a run's control workload against those of earlier runs; None where there are none.

    session_sd  what is assumed of runs while fewer than three are known

    Allowed is what 3 standard deviations are to many runs: of few, as much as is as improbable.
    A run that measures it several times counts once, by the mean.
    """
    now = control_level(control_j, control_j.keys())
    if now is None:
        return None
    runs: dict[str, set[float]] = {}
    for session in (session for series in all_series for session in series.sessions):
        level = control_level(session.control_j, control_j.keys())
        if level is not None:
            runs.setdefault(session.day, set()).add(level)
    n = len(runs)
    if not n:
        return None
    earlier = [sorted(levels) for levels in runs.values()]
    means = [_mean(levels) for levels in earlier]
    between, df = variance(means), n - 1
    if n < MIN_SESSIONS:
        between, df = max(between, session_sd**2), POOL_WEIGHT
    reach = t_quantile(TRUSTED, df) * math.sqrt(between * (1 + 1 / n) + pooled_variance(earlier))
    return ControlShift(math.expm1(now - _mean(means)), math.expm1(reach))


def control_checks(
    accepted: Iterable[Series], joules: Mapping[str, float], session_sd: float, trusting: bool
) -> tuple[Check, ...]:
    """Return the self-check that the control workload fails, if the machine has changed.

    Args:
        accepted: every series of this machine's baselines, whose sessions had controls of their own
        joules: joules of one call of the control workload, by counter
        session_sd: assumed relative spread between runs while fewer than three are known
        trusting: the run saves what it measures, whatever its control says
    """
    shift = control_shift(accepted, joules, session_sd)
    if shift is None or shift.trusted:
        return ()
    check = Check(
        CheckName.CONTROL,
        f"fixed work used {format_percent(shift.change)} against earlier runs, which differ "
        f"by up to {format_percent(shift.allowed, signed=False)}: the machine has changed",
        "told, and saved" if trusting else "no verdict on it",
        untrusted=not trusting,
        kinds=CONTROL_KINDS,
    )
    return (check,)


def _beside_controls(series: Series) -> Iterator[tuple[str, float, float]]:
    """Of each session its run, and by how much its control and its level differ from their means.

    None where a session of the series has no control, or not of all that is counted.
    """
    counted = [domain.name for domain in series.domains if domain.counted]
    own = levels(series)
    controls = [control_level(session.control_j, counted) for session in series.sessions]
    known = [level for level in controls if level is not None]
    if len(own) < MIN_SESSIONS or len(known) < len(own):
        return
    for session, level, y in zip(series.sessions, known, own, strict=True):
        yield session.day, level - _mean(known), y - _mean(own)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
