"""The stored-baseline procedure: whether a measurement uses more energy than accepted sessions.

The shift between measuring sessions (fresh processes, other days) decides, not the noise between
the rounds of one session. All values are natural logarithms of joules per unit of work, so a
difference is a relative change. A few looks share one false-alarm rate, and a regression that a
fresh process contradicts is none.

Rounds lie along the last axis. The axes before it are repetitions: a run has none and gets floats,
a simulation has thousands and gets arrays from the same code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_greenops.judge.noise import MIN_SESSIONS, Spread, standard_error
from pytest_greenops.judge.stats import (
    Number,
    Values,
    choose,
    mean_level,
    spending,
    t_quantile,
    t_tail,
    trimmed_mean,
)
from pytest_greenops.model.verdict import Outcome

#: Probability, over all looks, that one process makes unchanged code look regressed. A fresh
#: process must agree before the test fails, so false alarms are rarer than this.
ALPHA = 0.012
#: A session within the margin confirms an increase only if it shows at least this share of it.
BORNE_OUT = 1 / 3
#: How late the looks spend the probability to fail and that to pass; see `stats.spending`. With 3
#: the last look at three sessions detects no less than the only look at two.
SPEND_TO_FAIL, SPEND_TO_PASS = 3, 2
#: All looks together may pass a test with this many times the error with which they may fail one.
PASS_FACTOR = 5
#: No look passes a test whose 95 % confidence interval reaches the margin.
MOST_TO_PASS = 0.025
#: Rounding error of a variance, as a share.
TINY = 1e-9
#: Looks at a baseline of three or more independent sessions; the last one has a fresh process.
LOOKS = 4
#: Rounds before the single look at a baseline of fewer sessions.
PROVISIONAL_ROUNDS = 10
#: Probability with which the smallest detectable increase is detected.
POWER = 0.9


@dataclass(frozen=True)
class Look:
    """One of the planned looks at a measurement; numbers start at 1."""

    number: int = 1
    planned: int = 1

    @property
    def alpha(self) -> float:
        """The false-alarm probability that this look may spend."""
        return spending(ALPHA, self.number, self.planned, SPEND_TO_FAIL)

    @property
    def pass_alpha(self) -> float:
        """The probability with which this look may pass an increase of the margin."""
        spent = spending(PASS_FACTOR * ALPHA, self.number, self.planned, SPEND_TO_PASS)
        return min(spent, MOST_TO_PASS)

    @property
    def last(self) -> bool:
        """Whether no look follows."""
        return self.number == self.planned


@dataclass(frozen=True)
class Screening:
    """An estimated change in logarithms, its standard error, and what follows from them.

    regressed, improved, passed  which of the three applies; if none, the look is inconclusive
    provisional  whether it passed, or may pass, only because no large increase was found
    disputed  whether half of several sessions contradict the others
    error     the standard error on which the outcome rests, with its degrees of freedom
    p_value   probability of so large an increase in unchanged code, at this look
    smallest  the smallest increase that is detected nine times in ten, as a logarithm
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
    provisional: Number = False

    @property
    def outcome(self) -> Outcome:
        """The outcome of a single measurement."""
        if self.regressed:
            return Outcome.REGRESSED
        if self.improved:
            return Outcome.IMPROVED
        return Outcome.PASSED if self.passed else Outcome.INCONCLUSIVE

    def interval(self) -> tuple[Number, Number]:
        """Return the 95 % confidence interval of the estimate."""
        half = t_quantile(0.975, self.df) * self.error
        return self.estimate - half, self.estimate + half


def schedule(sessions: int, min_rounds: int, max_rounds: int) -> tuple[int, ...]:
    """Return after how many rounds of this process to look.

    Without a baseline: once, after `min_rounds`. Of fewer than three occasions: once, after ten.
    Otherwise after every `min_rounds`, at most three times. Never after more than `max_rounds`.
    """
    if sessions == 0:
        return (min(min_rounds, max_rounds),)
    if sessions < MIN_SESSIONS:
        return (min(max(PROVISIONAL_ROUNDS, min_rounds), max_rounds),)
    steps = (min_rounds * number for number in range(1, LOOKS))
    return tuple(step for step in steps if step <= max_rounds) or (max_rounds,)


def planned_looks(sessions: int, schedule: Sequence[int]) -> int:
    """Return how many looks share the error: those of this process, and that of a fresh one.

    A baseline of fewer than three occasions has no look at a fresh process: there a fresh process
    only confirms, which spends no error.
    """
    return len(schedule) + (sessions >= MIN_SESSIONS)


def screen(
    baseline: Sequence[Values],
    candidate: Sequence[Values],
    spread: Spread,
    margin: float,
    look: Look,
    shift: Number = 0.0,
) -> Screening:
    """Decide between regressed, improved, passed and inconclusive at one look.

    Each session is a sequence of logarithms; a margin of 0.05 is 5 %. The baseline's sessions are
    independent. What may be a `shift` of the machine must not change the outcome: an increase
    counts without it, a decrease too. A change is not called regressed if half of several
    candidate sessions contradict it.

    A test passes if its interval ends below the margin; what may be improved waits for the last
    look. If the interval of the last look does not, the test passes provisionally if its change is
    below the margin and its sessions differ no more than usual: only an increase of `smallest`
    would have been found.
    """
    k = len(baseline)
    estimate = mean_level(candidate) - mean_level(baseline)
    least = choose(shift > 0, estimate - shift, estimate)
    most = choose(shift < 0, estimate - shift, estimate)
    limit = math.log1p(margin)
    error_to_fail = standard_error(spread.to_fail, candidate, baseline)
    error_to_pass = standard_error(spread.to_pass, candidate, baseline)
    beyond_chance = t_quantile(1 - look.alpha, spread.to_fail.df) * error_to_fail
    regressed = (least >= limit) & (least > beyond_chance)
    disputed = regressed & (_contradicting(baseline, candidate, spread, margin) >= 0.5)
    improved = (most <= -limit) & (-most > beyond_chance)
    t_pass = t_quantile(1 - look.pass_alpha, spread.to_pass.df)
    firm = (most + t_pass * error_to_pass < limit) & (k >= MIN_SESSIONS)
    firm = firm & ((estimate > -limit) | look.last)
    sessions_var = spread.to_fail.session_var * (1 / len(candidate) + 1 / k)
    within = (most < limit) & (sessions_var <= 2 * spread.usual * (1 + TINY)) & look.last
    moved = regressed | improved
    passed = choose(moved, False, firm | within)
    failing = moved | (estimate >= limit)
    return Screening(
        choose(disputed, False, regressed),
        improved,
        passed,
        disputed,
        estimate,
        choose(failing, error_to_fail, error_to_pass),
        choose(failing, spread.to_fail.df, spread.to_pass.df),
        _p_value(least, error_to_fail, spread.to_fail.df),
        smallest_increase(spread.to_fail.df, error_to_fail, limit),
        choose(passed & firm, False, passed | (k < MIN_SESSIONS)),
    )


def contradicts(
    baseline: Sequence[Values],
    session: Values,
    others: Sequence[Values],
    spread: Spread,
    margin: float,
) -> Number:
    """Return whether a session shows that other sessions of the same code were a mishap.

    It does if it passes by itself, with all the error that looks may pass with together. It also
    does if it is within the margin and shows less than a third of the others' change.
    """
    level = mean_level(baseline)
    estimate, found = trimmed_mean(session) - level, mean_level(others) - level
    limit = math.log1p(margin)
    t_pass = t_quantile(1 - PASS_FACTOR * ALPHA, spread.to_pass.df)
    passes = estimate + t_pass * standard_error(spread.to_pass, [session], baseline) < limit
    return passes | ((estimate < limit) & (estimate < found * BORNE_OUT))


def _contradicting(
    baseline: Sequence[Values], candidate: Sequence[Values], spread: Spread, margin: float
) -> Number:
    """Return the share of sessions that contradict the others; 0 for a single session."""
    if len(candidate) == 1:
        return 0.0
    against = (
        contradicts(baseline, one, [*candidate[:i], *candidate[i + 1 :]], spread, margin) * 1
        for i, one in enumerate(candidate)
    )
    return sum(against) / len(candidate)


def smallest_increase(df: Number, error: Number, limit: float) -> Number:
    """Return the increase, a logarithm, that all looks together detect nine times in ten."""
    sure = t_quantile(1 - ALPHA, df) * error
    return choose(sure > limit, sure, limit) + t_quantile(POWER, df) * error


def _p_value(estimate: Number, error: Number, df: Number) -> Number:
    """Return the one-sided p value by Student's t; 0 or 1 where nothing scatters."""
    some = error > 0
    t = estimate / choose(some, error, 1.0)
    return choose(some, t_tail(t, df), choose(estimate > 0, 0.0, 1.0))
