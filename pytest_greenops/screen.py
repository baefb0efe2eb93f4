"""The stored-baseline procedure: is a measurement dearer than the sessions that were accepted?

What decides is the shift between measuring sessions (fresh processes, other days), not the noise
between the rounds of one. All values are natural logarithms of joules per unit of work, so that
a difference is a relative change; the variance of sessions is shared over the suite's tests; and a
few looks share one false-alarm rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_greenops.model.baseline import MAX_SESSIONS
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.stats import (
    pooled_variance,
    spending,
    t_quantile,
    trimmed_mean,
    variance,
)

#: Probability that unchanged code is called regressed, over all looks.
ALPHA = 0.01
#: A look may pass a test on this many times the error that it may fail one on.
PASS_FACTOR = 5
#: Sessions that the suite's shared variance counts for, and the suite from which on it is used.
POOL_WEIGHT = 8
MIN_SUITE = 5
#: Sessions that the assumed spread counts for where no suite shares one.
ASSUMED_WEIGHT = 4
#: Below this many baseline sessions their own variance says too little.
MIN_SESSIONS = 3
#: How many looks at a grown baseline, and after how many rounds the single one at a young one is.
LOOKS = 3
PROVISIONAL_ROUNDS = 10
#: How surely the 'smallest change that would have been found' is found.
POWER = 0.9


@dataclass(frozen=True)
class Look:
    """Which of the planned looks at a measurement this is, from 1."""

    number: int = 1
    planned: int = 1

    @property
    def alpha(self) -> float:
        """The false-alarm probability that this look may spend."""
        return spending(ALPHA, self.number, self.planned)


@dataclass(frozen=True)
class Noise:
    """What is known of the scatter of a test, as variances of logarithms.

    session_var  between sessions, with `df` degrees of freedom
    round_var    of one round within a session
    """

    session_var: float
    df: float
    round_var: float


@dataclass(frozen=True)
class Screening:
    """An estimated change in logarithms, its standard error, and what follows from them.

    smallest        the smallest increase that would have been found nine times in ten
    needs_rounds, needs_sessions  what would decide an inconclusive one; None where it would not
    """

    outcome: Outcome
    estimate: float
    error: float
    df: float
    smallest: float
    provisional: bool = False
    needs_rounds: int | None = None
    needs_sessions: int | None = None

    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the estimate."""
        half = t_quantile(0.975, self.df) * self.error
        return self.estimate - half, self.estimate + half


def schedule(sessions: int, min_rounds: int, max_rounds: int) -> tuple[int, ...]:
    """After how many rounds to look, given how many baseline sessions there are.

    Without a baseline once, after `min_rounds`; at a young one once, after ten; else after every
    `min_rounds`, three times at most; never after more than `max_rounds`.
    """
    if sessions == 0:
        return (min(min_rounds, max_rounds),)
    if sessions < MIN_SESSIONS:
        return (min(max(PROVISIONAL_ROUNDS, min_rounds), max_rounds),)
    steps = (min_rounds * number for number in range(1, LOOKS + 1))
    return tuple(step for step in steps if step <= max_rounds) or (max_rounds,)


class Spread(NamedTuple):
    """The noise on which a test may pass, and that on which it may fail: the same, where known."""

    to_pass: Noise
    to_fail: Noise


def noise(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    pool: Sequence[float],
    session_sd: float,
) -> Spread:
    """The scatter to judge with.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    pool                 variance between sessions of each test of the suite
    session_sd           what is assumed of sessions while too little is known of them

    A suite too small to share its variance leaves a test with its own. Few sessions that happened
    to agree show less than there is: so a test passes on its own variance, but fails on one in
    which what was assumed counts for four sessions beside its own.
    """
    round_var = pooled_variance([*baseline, *candidate])
    k = len(baseline)
    own = variance([trimmed_mean(rounds) for rounds in baseline])
    shared = math.fsum(pool) / len(pool) if len(pool) >= MIN_SUITE else None
    if k < MIN_SESSIONS:
        young = Noise(max(session_sd**2, own, shared or 0.0), POOL_WEIGHT, round_var)
        return Spread(young, young)
    if shared is not None:
        pooled = _blend(shared, POOL_WEIGHT, own, k, round_var)
        return Spread(pooled, pooled)
    lone = Noise(own, k - 1, round_var)
    return Spread(lone, _blend(session_sd**2, ASSUMED_WEIGHT, own, k, round_var))


def _blend(known: float, weight: int, own: float, k: int, round_var: float) -> Noise:
    """A variance that counts for `weight` sessions, and one of k sessions."""
    df = weight + k - 1
    return Noise((weight * known + (k - 1) * own) / df, df, round_var)


def screen(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    spread: Spread,
    margin: float,
    look: Look,
) -> Screening:
    """Decide between regressed, improved, passed and inconclusive at one look.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    margin               the relative increase that is a regression (0.05 is 5 %)
    """
    k = len(baseline)
    estimate = _level(candidate) - _level(baseline)
    limit = math.log1p(margin)
    error_to_fail = _error(spread.to_fail, candidate, baseline)
    error_to_pass = _error(spread.to_pass, candidate, baseline)
    t_fail = t_quantile(1 - look.alpha, spread.to_fail.df)
    t_pass = t_quantile(1 - min(PASS_FACTOR * look.alpha, 0.5), spread.to_pass.df)
    needs: tuple[int | None, int | None] = (None, None)
    if estimate >= limit and estimate > t_fail * error_to_fail:
        outcome = Outcome.REGRESSED
    elif estimate <= -limit and -estimate > t_fail * error_to_fail:
        outcome = Outcome.IMPROVED
    elif k < MIN_SESSIONS or estimate + t_pass * error_to_pass < limit:
        outcome = Outcome.PASSED
    else:
        outcome = Outcome.INCONCLUSIVE
        if estimate >= limit:
            needs = _needs(spread.to_fail, baseline, estimate, look.alpha)
        else:
            error_rate = min(PASS_FACTOR * look.alpha, 0.5)
            needs = _needs(spread.to_pass, baseline, limit - estimate, error_rate)
    passed = outcome is Outcome.PASSED
    return Screening(
        outcome,
        estimate,
        error_to_pass if passed else error_to_fail,
        spread.to_pass.df if passed else spread.to_fail.df,
        math.expm1(_smallest(spread.to_fail.df, error_to_fail, limit)),
        k < MIN_SESSIONS,
        *needs,
    )


def _smallest(df: float, error: float, limit: float) -> float:
    """The increase that all looks together would find nine times in ten."""
    return max(limit, t_quantile(1 - ALPHA, df) * error) + t_quantile(POWER, df) * error


def _needs(
    scatter: Noise, baseline: Sequence[Sequence[float]], gap: float, error_rate: float
) -> tuple[int | None, int | None]:
    """The rounds, or else the further baseline sessions, with which a gap would be decided."""
    k = len(baseline)
    affordable = (gap / t_quantile(1 - error_rate, scatter.df)) ** 2
    left = affordable - scatter.session_var * (1 + 1 / k)
    if left > 0:
        n_baseline = sum(len(rounds) for rounds in baseline) / k
        rounds = scatter.round_var / (left + scatter.round_var / n_baseline)
        return math.ceil(rounds), None
    for sessions in range(k + 1, MAX_SESSIONS + 1):
        t = t_quantile(1 - error_rate, scatter.df + sessions - k)
        if t**2 * scatter.session_var * (1 + 1 / sessions) < gap**2:
            return None, sessions - k
    return None, None


def _level(sessions: Sequence[Sequence[float]]) -> float:
    return math.fsum(trimmed_mean(rounds) for rounds in sessions) / len(sessions)


def _error(
    scatter: Noise, candidate: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]
) -> float:
    """Standard error of the estimate; a session's variance already holds that of its rounds."""
    n = sum(len(rounds) for rounds in candidate)
    n_baseline = sum(len(rounds) for rounds in baseline) / len(baseline)
    fewer_rounds = max(0.0, scatter.round_var * (1 / n - 1 / n_baseline))
    sessions = scatter.session_var * (1 / len(candidate) + 1 / len(baseline))
    return math.sqrt(sessions + fewer_rounds)
