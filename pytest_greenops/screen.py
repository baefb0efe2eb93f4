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


def noise(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    pool: Sequence[float],
    session_sd: float,
) -> tuple[Noise, ...]:
    """The scatter to judge with; where there are two views of it, the test's own comes first.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    pool                 variance between sessions of each test of the suite
    session_sd           what is assumed of sessions while too little is known of them

    A suite too small to share its variance leaves a test with its own, on few degrees of freedom:
    that shows small changes of a quiet test, but hardly any of a baseline of three sessions. So
    what is assumed of a young baseline stays in force beside it, for half of the error: a large
    change is found with three sessions as with one.
    """
    round_var = pooled_variance([*baseline, *candidate])
    k = len(baseline)
    own = variance([trimmed_mean(rounds) for rounds in baseline])
    shared = math.fsum(pool) / len(pool) if len(pool) >= MIN_SUITE else None
    if k >= MIN_SESSIONS and shared is not None:
        df = POOL_WEIGHT + k - 1
        return (Noise((POOL_WEIGHT * shared + (k - 1) * own) / df, df, round_var),)
    assumed = Noise(max(session_sd**2, own, shared or 0.0), POOL_WEIGHT, round_var)
    return (assumed,) if k < MIN_SESSIONS else (Noise(own, k - 1, round_var), assumed)


def screen(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    scatters: Sequence[Noise],
    margin: float,
    look: Look,
) -> Screening:
    """Decide between regressed, improved, passed and inconclusive at one look.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    scatters             views of the noise; any may fail the test, so they share what the look
                         may spend on that; the first alone may pass it
    margin               the relative increase that is a regression (0.05 is 5 %)
    """
    fail = look.alpha / len(scatters)
    accept = min(PASS_FACTOR * look.alpha, 0.5)
    views = [_View(baseline, candidate, scatter, margin, fail, accept) for scatter in scatters]
    decided = next((view for view in views if view.changed), views[0])
    smallest = min(view.smallest(ALPHA / len(scatters)) for view in views)
    return decided.screening(smallest, provisional=len(baseline) < MIN_SESSIONS)


class _View:
    """One look at the data through one view of its noise."""

    def __init__(
        self,
        baseline: Sequence[Sequence[float]],
        candidate: Sequence[Sequence[float]],
        scatter: Noise,
        margin: float,
        fail: float,
        accept: float,
    ) -> None:
        self.limit = math.log1p(margin)
        self.estimate = _level(candidate) - _level(baseline)
        self.error = _error(scatter, candidate, baseline)
        self._scatter = scatter
        self._k = len(baseline)
        self._n_baseline = sum(len(rounds) for rounds in baseline) / len(baseline)
        self._errors = fail, accept
        self._t_fail = t_quantile(1 - fail, scatter.df)
        self._t_pass = t_quantile(1 - accept, scatter.df)

    @property
    def changed(self) -> Outcome | None:
        """Regressed or improved, where the change is beyond the margin and beyond chance."""
        if abs(self.estimate) < self.limit or abs(self.estimate) <= self._t_fail * self.error:
            return None
        return Outcome.REGRESSED if self.estimate > 0 else Outcome.IMPROVED

    def screening(self, smallest: float, provisional: bool) -> Screening:
        """What this view makes of it; of a young baseline, what is not found passes."""
        within = self.estimate + self._t_pass * self.error < self.limit
        outcome = self.changed or (
            Outcome.PASSED if within or provisional else Outcome.INCONCLUSIVE
        )
        undecided = outcome is Outcome.INCONCLUSIVE
        rounds, sessions = self._needs() if undecided else (None, None)
        return Screening(
            outcome,
            self.estimate,
            self.error,
            self._scatter.df,
            smallest,
            provisional,
            rounds,
            sessions,
        )

    def smallest(self, alpha: float) -> float:
        """The increase that all looks together, which spend `alpha`, find nine times in ten."""
        df = self._scatter.df
        needed = max(self.limit, t_quantile(1 - alpha, df) * self.error)
        return math.expm1(needed + t_quantile(POWER, df) * self.error)

    def _needs(self) -> tuple[int | None, int | None]:
        """The rounds, or else the further baseline sessions, with which this would be decided."""
        scatter, k = self._scatter, self._k
        fails = self.estimate >= self.limit
        gap = self.estimate if fails else self.limit - self.estimate
        affordable = (gap / (self._t_fail if fails else self._t_pass)) ** 2
        left = affordable - scatter.session_var * (1 + 1 / k)
        if left > 0:
            rounds = scatter.round_var / (left + scatter.round_var / self._n_baseline)
            return math.ceil(rounds), None
        error_rate = self._errors[0 if fails else 1]
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
