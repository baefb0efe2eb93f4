"""What would decide a measurement that is inconclusive: rounds, processes or baseline sessions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pytest_greenops.judge.decision import Look, Screening
from pytest_greenops.judge.noise import MIN_SESSIONS, Noise, Spread, mean_rounds
from pytest_greenops.judge.stats import Values, t_quantile
from pytest_greenops.model.baseline import MAX_SESSIONS


class Needs(NamedTuple):
    """What would decide an inconclusive measurement: the first of these that can.

    rounds     in one process
    processes  each a session of its own
    sessions   to add to the baseline
    """

    rounds: int | None = None
    processes: int | None = None
    sessions: int | None = None


def needs_of_change(
    baseline: Sequence[Values], screening: Screening, spread: Spread, margin: float, look: Look
) -> Needs:
    """Return what would separate a change from its margin, if its estimate does not move."""
    k = len(baseline)
    if k < MIN_SESSIONS:  # how much sessions differ is assumed
        return Needs(sessions=MIN_SESSIONS - k)
    limit = math.log1p(margin)
    if screening.estimate >= limit:
        noise, gap, error_rate = spread.to_fail, screening.estimate, look.alpha
    else:
        noise, gap, error_rate = spread.to_pass, limit - screening.estimate, look.pass_alpha
    affordable = (gap / t_quantile(1 - error_rate, noise.df)) ** 2 - noise.session_var / k
    if affordable > noise.session_var:
        left = affordable - noise.session_var + noise.round_var / mean_rounds(baseline)
        return Needs(rounds=math.ceil(noise.round_var / left))
    if processes := _processes(noise, affordable):
        return Needs(processes=processes)
    for sessions in range(k + 1, MAX_SESSIONS + 1):
        t = t_quantile(1 - error_rate, noise.df + sessions - k)
        if t**2 * noise.session_var * (1 + 1 / sessions) < gap**2:
            return Needs(sessions=sessions - k)
    return Needs()


def needs_of_limit(noise: Noise, rounds: int, gap: float) -> Needs:
    """Return what would separate a level of `rounds` from a limit, `gap` away as logarithms."""
    affordable = (gap / t_quantile(0.975, noise.df)) ** 2
    left = affordable - noise.session_var
    if left > 0:
        return Needs(rounds=max(rounds + 1, math.ceil(noise.round_var / left)))
    return Needs(processes=_processes(noise, affordable))


def _processes(noise: Noise, affordable: float) -> int | None:
    """Return how many sessions bring the variance of their mean to `affordable`, if few can."""
    if affordable > 0 and noise.session_var / affordable < MAX_SESSIONS:
        return 1 + math.floor(float(noise.session_var / affordable))
    return None
