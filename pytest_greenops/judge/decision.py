"""The stored-baseline procedure: is a measurement dearer than the sessions that were accepted?

What decides is the shift between measuring sessions (fresh processes, other days), not the noise
between the rounds of one. All values are natural logarithms of joules per unit of work, so that
a difference is a relative change; the variance of sessions is shared over the suite's tests; a few
looks share one false-alarm rate; and what a fresh process contradicts is no regression.

Rounds lie along the last axis. Axes before it are repetitions: a run has none and gets floats, a
simulation has thousands and gets arrays, from the same lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_greenops.judge.stats import (
    Number,
    Values,
    choose,
    f_quantile,
    pooled_variance,
    shared_variance,
    spending,
    t_quantile,
    t_tail,
    trimmed_mean,
    variance,
)
from pytest_greenops.model.baseline import MAX_SESSIONS
from pytest_greenops.model.verdict import Outcome

#: Probability that one process alone makes unchanged code look regressed, over all looks. A fresh
#: process must not contradict it before it fails, so that false alarms are rarer than this.
ALPHA = 0.015
#: A session within the margin that shows less than this share of an increase does not bear it out.
BORNE_OUT = 1 / 3
#: A look may pass a test on this many times the error that it may fail one on.
PASS_FACTOR = 5
#: Sessions that the suite's shared variance counts for at the most, and the suite from which on it
#: is used.
POOL_WEIGHT = 8
MIN_SUITE = 5
#: A test whose own variance is so improbable among its suite's shares none: it is another thing.
UNLIKE = 0.999
#: Sessions that the assumed spread counts for where no suite shares one.
ASSUMED_WEIGHT = 4
#: Below this many baseline sessions their own variance says too little.
MIN_SESSIONS = 3
#: How many looks at a grown baseline, of which the last has a fresh process; and after how many
#: rounds the single one at a young one is.
LOOKS = 4
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

    session_var: Number
    df: Number
    round_var: Number


@dataclass(frozen=True)
class Screening:
    """An estimated change in logarithms, its standard error, and what follows from them.

    regressed, improved, passed  which of the three can be said; none of them is inconclusive
    disputed  whether half of several sessions contradict the others
    p_value   how probable so large an increase is in unchanged code, at this look
    smallest  the smallest increase that would have been found nine times in ten, in logarithms too
    """

    regressed: Number
    improved: Number
    passed: Number
    disputed: Number
    estimate: Number
    error: Number
    df: Number
    p_value: Number
    smallest: Number
    provisional: bool = False

    @property
    def outcome(self) -> Outcome:
        """The same in a word, of a single measurement."""
        said = ((self.regressed, Outcome.REGRESSED), (self.improved, Outcome.IMPROVED))
        for holds, outcome in (*said, (self.passed, Outcome.PASSED)):
            if holds:
                return outcome
        return Outcome.INCONCLUSIVE

    def interval(self) -> tuple[Number, Number]:
        """The 95 % confidence interval of the estimate."""
        half = t_quantile(0.975, self.df) * self.error
        return self.estimate - half, self.estimate + half


def schedule(sessions: int, min_rounds: int, max_rounds: int) -> tuple[int, ...]:
    """After how many rounds of this process to look, given how many baseline sessions there are.

    Without a baseline once, after `min_rounds`; at a young one once, after ten; else after every
    `min_rounds`, three times at most; never after more than `max_rounds`.
    """
    if sessions == 0:
        return (min(min_rounds, max_rounds),)
    if sessions < MIN_SESSIONS:
        return (min(max(PROVISIONAL_ROUNDS, min_rounds), max_rounds),)
    steps = (min_rounds * number for number in range(1, LOOKS))
    return tuple(step for step in steps if step <= max_rounds) or (max_rounds,)


def planned_looks(sessions: int, schedule: Sequence[int]) -> int:
    """How many looks share the error: those of this process, and at a grown baseline a fresh one's.

    A fresh process that only confirms spends nothing.
    """
    return len(schedule) + (sessions >= MIN_SESSIONS)


class Suite(NamedTuple):
    """The variance between sessions that the tests of a suite have in common.

    weight  how many sessions it counts for: the fewer, the less alike the tests are
    """

    session_var: Number
    weight: Number


def suite_of(variances: Values, degrees: Values) -> Suite | None:
    """What the tests of a suite share; None of a suite that is too small to say.

    variances, degrees  between the sessions of each test, along the last axis, one less than them
    """
    import numpy as np

    if np.shape(variances)[-1] < MIN_SUITE:
        return None
    shared, worth = shared_variance(variances, degrees)
    return Suite(shared, choose(worth < POOL_WEIGHT, worth, POOL_WEIGHT))


class Spread(NamedTuple):
    """The noise on which a test may pass, and that on which it may fail: the same, where known."""

    to_pass: Noise
    to_fail: Noise


def noise(
    baseline: Sequence[Values],
    candidate: Sequence[Values],
    suite: Suite | None,
    session_sd: float,
) -> Spread:
    """The scatter to judge with.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    suite                what the suite's tests have in common, where it is large enough
    session_sd           what is assumed of sessions while too little is known of them

    A suite too small to share its variance leaves a test with its own. Few sessions that happened
    to agree show less than there is: so a test passes on its own variance, but fails on one in
    which what was assumed counts for four sessions beside its own.
    """
    round_var = pooled_variance([*baseline, *candidate])
    k = len(baseline)
    own = _between(baseline)
    if k < MIN_SESSIONS:
        known = choose(own > session_sd**2, own, session_sd**2)
        if suite is not None:
            known = choose(suite.session_var > known, suite.session_var, known)
        young = Noise(known, POOL_WEIGHT, round_var)
        return Spread(young, young)
    if suite is not None:
        unlike = own > suite.session_var * f_quantile(UNLIKE, k - 1, suite.weight)
        weight = choose(unlike, 0.0, suite.weight)
        pooled = _blend(suite.session_var, weight, own, k, round_var)
        return Spread(pooled, pooled)
    lone = Noise(own, k - 1, round_var)
    return Spread(lone, _blend(session_sd**2, ASSUMED_WEIGHT, own, k, round_var))


def _between(sessions: Sequence[Values]) -> Number:
    """The variance between the levels of sessions."""
    import numpy as np

    return variance(np.stack([trimmed_mean(s) for s in sessions], axis=-1)) if sessions else 0.0


def _blend(known: Number, weight: Number, own: Number, k: int, round_var: Number) -> Noise:
    """A variance that counts for `weight` sessions, and one of k sessions."""
    df = weight + k - 1
    return Noise((weight * known + (k - 1) * own) / df, df, round_var)


def screen(
    baseline: Sequence[Values],
    candidate: Sequence[Values],
    spread: Spread,
    margin: float,
    look: Look,
) -> Screening:
    """Decide between regressed, improved, passed and inconclusive at one look.

    baseline, candidate  logarithms of joules per unit, one sequence of rounds for each session
    margin               the relative increase that is a regression (0.05 is 5 %)

    Of several sessions of the candidate, half that contradict forbid to call it regressed.
    """
    k = len(baseline)
    estimate = _level(candidate) - _level(baseline)
    limit = math.log1p(margin)
    error_to_fail = _error(spread.to_fail, candidate, baseline)
    error_to_pass = _error(spread.to_pass, candidate, baseline)
    beyond_chance = t_quantile(1 - look.alpha, spread.to_fail.df) * error_to_fail
    regressed = (estimate >= limit) & (estimate > beyond_chance)
    disputed = regressed & (_contradicting(baseline, candidate, spread, margin) >= 0.5)
    improved = (estimate <= -limit) & (-estimate > beyond_chance)
    t_pass = t_quantile(1 - min(PASS_FACTOR * look.alpha, 0.5), spread.to_pass.df)
    within = (estimate + t_pass * error_to_pass < limit) | (k < MIN_SESSIONS)
    passed = choose(regressed | improved, False, within)
    return Screening(
        choose(disputed, False, regressed),
        improved,
        passed,
        disputed,
        estimate,
        choose(passed, error_to_pass, error_to_fail),
        choose(passed, spread.to_pass.df, spread.to_fail.df),
        _p_value(estimate, error_to_fail, spread.to_fail.df),
        _smallest(spread.to_fail.df, error_to_fail, limit),
        k < MIN_SESSIONS,
    )


def contradicts(
    baseline: Sequence[Values],
    session: Values,
    others: Sequence[Values],
    spread: Spread,
    margin: float,
) -> Number:
    """Whether a session makes what others of the same code found a mishap of their processes.

    It does if it would pass by itself, on all the error that looks may pass on together; or if it
    is within the margin, and shows less than a third of what the others found.
    """
    estimate, found = trimmed_mean(session) - _level(baseline), _level(others) - _level(baseline)
    limit = math.log1p(margin)
    t_pass = t_quantile(1 - PASS_FACTOR * ALPHA, spread.to_pass.df)
    passes = estimate + t_pass * _error(spread.to_pass, [session], baseline) < limit
    return passes | ((estimate < limit) & (estimate < found * BORNE_OUT))


def _contradicting(
    baseline: Sequence[Values], candidate: Sequence[Values], spread: Spread, margin: float
) -> Number:
    """The share of several sessions that contradict the others; 0 of a single one."""
    if len(candidate) == 1:
        return 0.0
    against = (
        contradicts(baseline, one, [*candidate[:i], *candidate[i + 1 :]], spread, margin) * 1
        for i, one in enumerate(candidate)
    )
    return sum(against) / len(candidate)


class Needs(NamedTuple):
    """What would decide an inconclusive measurement: the first of these that can.

    rounds     of one process
    processes  each a session of its own
    sessions   more of the baseline
    """

    rounds: int | None = None
    processes: int | None = None
    sessions: int | None = None


def needs(
    baseline: Sequence[Values],
    screening: Screening,
    spread: Spread,
    margin: float,
    look: Look,
) -> Needs:
    """What would tell the estimate of a measurement from its limit, should it stay as it is."""
    limit = math.log1p(margin)
    if screening.estimate >= limit:
        scatter, gap, error_rate = spread.to_fail, screening.estimate, look.alpha
    else:
        scatter, gap = spread.to_pass, limit - screening.estimate
        error_rate = min(PASS_FACTOR * look.alpha, 0.5)
    k = len(baseline)
    affordable = (gap / t_quantile(1 - error_rate, scatter.df)) ** 2
    affordable -= scatter.session_var / k
    saved = scatter.round_var / _mean_rounds(baseline)
    if affordable > scatter.session_var:
        return Needs(
            rounds=math.ceil(scatter.round_var / (affordable - scatter.session_var + saved))
        )
    if affordable > 0 and scatter.session_var / affordable < MAX_SESSIONS:
        return Needs(processes=math.floor(scatter.session_var / affordable) + 1)
    for sessions in range(k + 1, MAX_SESSIONS + 1):
        t = t_quantile(1 - error_rate, scatter.df + sessions - k)
        if t**2 * scatter.session_var * (1 + 1 / sessions) < gap**2:
            return Needs(sessions=sessions - k)
    return Needs()


def decided_by(scatter: Noise, rounds: int, gap: float) -> Needs:
    """What would tell a level, known from so many rounds, from an absolute limit (95 %)."""
    affordable = (gap / t_quantile(0.975, scatter.df)) ** 2
    left = affordable - scatter.session_var
    if left > 0:
        return Needs(rounds=max(rounds + 1, math.ceil(scatter.round_var / left)))
    if affordable and scatter.session_var / affordable < MAX_SESSIONS:
        return Needs(processes=math.floor(scatter.session_var / affordable) + 1)
    return Needs()


def _smallest(df: Number, error: Number, limit: float) -> Number:
    """The increase that all looks together would find nine times in ten."""
    sure = t_quantile(1 - ALPHA, df) * error
    return choose(sure > limit, sure, limit) + t_quantile(POWER, df) * error


def _p_value(estimate: Number, error: Number, df: Number) -> Number:
    """One-sided, of Student's t; where nothing scatters, all or nothing."""
    some = error > 0
    t = estimate / choose(some, error, 1.0)
    return choose(some, t_tail(t, df), choose(estimate > 0, 0.0, 1.0))


def _level(sessions: Sequence[Values]) -> Number:
    return sum(trimmed_mean(rounds) for rounds in sessions) / len(sessions)


def _error(scatter: Noise, candidate: Sequence[Values], baseline: Sequence[Values]) -> Number:
    """Standard error of the estimate; a session's variance already holds that of its rounds."""
    n = sum(len_rounds(rounds) for rounds in candidate)
    fewer_rounds = max(0.0, 1 / n - 1 / _mean_rounds(baseline)) * scatter.round_var
    sessions = scatter.session_var * (1 / len(candidate) + 1 / len(baseline))
    return (sessions + fewer_rounds) ** 0.5


def _mean_rounds(sessions: Sequence[Values]) -> float:
    return sum(map(len_rounds, sessions)) / len(sessions)


def len_rounds(rounds: Values) -> int:
    """How many rounds a session has."""
    shape = getattr(rounds, "shape", None)
    return shape[-1] if shape else len(rounds)
