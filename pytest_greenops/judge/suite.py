"""What the accepted sessions of a suite share: their scatter, and the shifts of their machine.

The control workload is the same in every run, so the machine causes any change in its energy. Where
the tests share that change, it is taken out of their results.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from pytest_greenops.judge.noise import MIN_SESSIONS, POOL_WEIGHT, Suite, suite_of
from pytest_greenops.judge.stats import (
    f_quantile,
    logs,
    pooled_variance,
    t_quantile,
    trimmed_mean,
    variance,
)
from pytest_greenops.model.baseline import Series, occasions
from pytest_greenops.model.measurement import CONTROL_KINDS, Check, CheckName, joules_per_unit
from pytest_greenops.model.units import format_percent

#: Confidence that the control workload's shifts explain the tests' before they are taken out.
SURE = 0.99
#: A run is trusted up to this quantile of its control workload's history: 3 SD if it is normal.
TRUSTED = 0.99865


def levels(
    series: Series, unit: str = "call", domains: Collection[str] | None = None
) -> list[float]:
    """Return the logarithm of joules per unit of work in each session, over counted domains.

    Empty if a round of the series has no energy, or none of that work. `domains` names others.
    """
    counted = [d.name for d in series.domains if d.counted] if domains is None else list(domains)
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    if unit != "call" and not all(unit in round_.units for round_ in rounds):
        return []
    if not all(sum(r.energy_uj.get(name, 0) for name in counted) > 0 for r in rounds):
        return []
    if not all(name in round_.energy_uj for round_ in rounds for name in counted):
        return []
    return [
        trimmed_mean(logs(joules_per_unit(session.rounds, counted, unit)))
        for session in series.sessions
    ]


def suite(all_series: Iterable[Series], slope: float = 0.0) -> Suite | None:
    """Return what the tests of a suite share; None if too few have sessions of three occasions.

    With a `slope`, the shifts of the control workload are taken out first.
    """
    return _suite(_known(all_series), slope)


class Shared(NamedTuple):
    """What the tests of a suite share: see `suite`, without and with the slope, and the slope."""

    suite: Suite | None
    quiet_suite: Suite | None
    control_slope: float


def shared(all_series: Iterable[Series]) -> Shared:
    """Return what a suite shares; each series is looked at once, and need not be kept."""
    known = _known(all_series)
    slope, noisy = _control_slope(known), _suite(known)
    return Shared(noisy, _suite(known, slope) if slope else noisy, slope)


class _Known(NamedTuple):
    """The sessions of a series: their levels and shifts, and their places by occasion."""

    levels: list[float]
    shifts: list[_Shift]
    together: list[list[int]]


def _known(all_series: Iterable[Series]) -> list[_Known]:
    """Return the series that may have sessions of enough occasions."""
    known = []
    for series in all_series:
        if len(series.sessions) >= MIN_SESSIONS and (found := levels(series)):
            known.append(_Known(found, list(_shifts(series, found)), occasions(series.sessions)))
    return known


def _suite(known: Iterable[_Known], slope: float = 0.0) -> Suite | None:
    variances, degrees = [], []
    for found, shifts, together in known:
        values = [s.test - slope * s.control for s in shifts] if slope and shifts else found
        if len(together) >= MIN_SESSIONS:
            variances.append(variance([fmean(values[p] for p in places) for places in together]))
            degrees.append(len(together) - 1)
    return suite_of(variances, degrees)


def control_level(control_j: Mapping[str, float], domains: Collection[str]) -> float | None:
    """Return the logarithm of a control workload's joules over some counters.

    None if it did not use one of them: it says nothing about a GPU.
    """
    joules = [control_j.get(name, 0.0) for name in domains]
    return math.log(math.fsum(joules)) if joules and all(j > 0 for j in joules) else None


def control_slope(all_series: Iterable[Series]) -> float:
    """Return the share of a control workload's shift that the suite's tests share: 0 to 1.

    This is a least-squares fit of the tests' shifts on those of the control, one point for each
    run, both about the mean of their series. It is 0 if chance may explain the fit: taking the
    control out would then only add its own noise.
    """
    return _control_slope(_known(all_series))


def _control_slope(known: Iterable[_Known]) -> float:
    runs: dict[str, list[_Shift]] = {}
    for series in known:
        for shift in series.shifts:
            runs.setdefault(shift.run_key, []).append(shift)
    xs = [fmean(shift.control for shift in run) for run in runs.values()]
    return slope_beyond_chance(xs, [fmean(s.test for s in run) for run in runs.values()])


def slope_beyond_chance(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of a line through the origin, at most 1; 0 if chance may explain it.

    The values are about their means, so they have two degrees of freedom fewer than values.
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
    """How far a run's control workload is from its history, and how far it may be, as shares."""

    change: float
    allowed: float

    @property
    def trusted(self) -> bool:
        """Whether the machine is unchanged."""
        return abs(math.log1p(self.change)) <= math.log1p(self.allowed)


def control_history(
    all_series: Iterable[Series], counters: Collection[str]
) -> Sequence[Sequence[float]]:
    """Return the levels of the control workload on each earlier occasion, over some counters."""
    known = [
        (session, level)
        for series in (all_series if counters else ())
        for session in series.sessions
        if (level := control_level(session.control_j, counters)) is not None
    ]
    together = occasions([session for session, _ in known])
    return [sorted({known[place][1] for place in places}) for places in together]


def control_shift(
    history: Sequence[Sequence[float]], control_j: Mapping[str, float], session_sd: float
) -> ControlShift | None:
    """Compare a run's control workload with its history over the same counters.

    Returns None if there is none, or no earlier occasion.

    The shift may be 3 standard deviations, or more if few occasions are known, by Student's t. An
    occasion with several controls counts once, by the mean. `session_sd` is the assumed spread
    between occasions while fewer than three are known.
    """
    now, n = control_level(control_j, control_j.keys()), len(history)
    if now is None or not n:
        return None
    means = list(map(fmean, history))
    between, df = variance(means), n - 1
    if n < MIN_SESSIONS:
        between, df = max(between, session_sd**2), POOL_WEIGHT
    reach = t_quantile(TRUSTED, df) * math.sqrt(between * (1 + 1 / n) + pooled_variance(history))
    return ControlShift(math.expm1(now - fmean(means)), math.expm1(reach))


def control_checks(
    history: Sequence[Sequence[float]],
    joules: Mapping[str, float],
    session_sd: float,
    trusting: bool,
) -> tuple[Check, ...]:
    """Return the self-check that the control workload fails, if the machine has changed.

    `joules` are those of one call of the workload, by counter, and `history` is over these. A
    `trusting` run saves what it measures whatever they are.
    """
    shift = control_shift(history, joules, session_sd)
    if shift is None or shift.trusted:
        return ()
    check = Check(
        CheckName.CONTROL,
        f"fixed work used {format_percent(shift.change)} against earlier runs, which differ "
        f"by up to {format_percent(shift.allowed, signed=False)}: the machine has changed",
        "reported, and saved" if trusting else "no verdict on it",
        untrusted=not trusting,
        kinds=CONTROL_KINDS,
    )
    return (check,)


class _Shift(NamedTuple):
    """How far a session's control workload and its test are from the means of their series."""

    run_key: str
    control: float
    test: float


def _shifts(series: Series, own: Sequence[float]) -> Iterator[_Shift]:
    """Yield the shifts of sessions of such levels; none if one has no control for a domain."""
    counted = [domain.name for domain in series.domains if domain.counted]
    controls = [control_level(session.control_j, counted) for session in series.sessions]
    known = [level for level in controls if level is not None]
    if len(known) < len(own):
        return
    for session, level, y in zip(series.sessions, known, own, strict=True):
        yield _Shift(session.run_key, level - fmean(known), y - fmean(own))
