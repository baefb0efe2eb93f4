"""How much a test scatters: between sessions, within one, and what the tests of a suite share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from numpy import shape, stack

from pytest_greenops.judge.stats import (
    Number,
    Values,
    choose,
    f_quantile,
    pooled_variance,
    shared_variance,
    trimmed_mean,
    variance,
)

#: The suite's shared variance counts for at most this many sessions.
POOL_WEIGHT = 8
#: A suite with fewer tests shares no variance.
MIN_SUITE = 5
#: A test shares no variance if its own is above this quantile of what its suite explains.
UNLIKE = 0.999
#: Sessions that the assumed spread counts for where no suite shares one.
ASSUMED_WEIGHT = 4
#: With fewer baseline sessions, their own variance is too uncertain to use.
MIN_SESSIONS = 3


@dataclass(frozen=True)
class Noise:
    """The scatter of a test, as variances of logarithms.

    session_var  between sessions, with `df` degrees of freedom
    round_var    between the rounds of one session
    """

    session_var: Number
    df: Number
    round_var: Number


class Suite(NamedTuple):
    """The variance between sessions that the tests of a suite share.

    weight  the number of sessions it counts for: lower if the tests are less alike
    """

    session_var: Number
    weight: Number


class Spread(NamedTuple):
    """The noise on which a test may pass, and the noise on which it may fail."""

    to_pass: Noise
    to_fail: Noise


def suite_of(variances: Values, degrees: Values) -> Suite | None:
    """Return what the tests of a suite share; None for fewer than five tests.

    The variances between the sessions of each test, with their degrees of freedom, are along the
    last axis.
    """
    if shape(variances)[-1] < MIN_SUITE:
        return None
    shared, worth = shared_variance(variances, degrees)
    return Suite(shared, choose(worth < POOL_WEIGHT, worth, POOL_WEIGHT))


def estimate_spread(
    baseline: Sequence[Values], candidate: Sequence[Values], suite: Suite | None, session_sd: float
) -> Spread:
    """Return the noise to judge with; each session is a sequence of logarithms.

    A test in a suite too small to share its variance relies on its own. A few sessions that happen
    to agree underestimate it. So such a test passes on its own variance, but fails on one in which
    the assumed spread `session_sd` counts for four sessions.
    """
    round_var = pooled_variance([*baseline, *candidate])
    k = len(baseline)
    own = _variance_between(baseline)
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


def standard_error(noise: Noise, candidate: Sequence[Values], baseline: Sequence[Values]) -> Number:
    """Return the standard error of the change between two sets of sessions.

    The variance of a session includes that of its rounds. Rounds add to it only where the candidate
    has fewer than a baseline session.
    """
    n = sum(map(count_rounds, candidate))
    fewer_rounds = max(0.0, 1 / n - 1 / mean_rounds(baseline)) * noise.round_var
    sessions = noise.session_var * (1 / len(candidate) + 1 / len(baseline))
    return (sessions + fewer_rounds) ** 0.5


def mean_rounds(sessions: Sequence[Values]) -> float:
    """Return the mean number of rounds of sessions."""
    return sum(map(count_rounds, sessions)) / len(sessions)


def count_rounds(rounds: Values) -> int:
    """Return the number of rounds of a session: the length of the last axis."""
    shape = getattr(rounds, "shape", None)
    return shape[-1] if shape else len(rounds)


def _variance_between(sessions: Sequence[Values]) -> Number:
    return variance(stack([trimmed_mean(s) for s in sessions], axis=-1)) if sessions else 0.0


def _blend(known: Number, weight: Number, own: Number, k: int, round_var: Number) -> Noise:
    """Return the mean of a variance that counts for `weight` sessions and one of k sessions."""
    df = weight + k - 1
    return Noise((weight * known + (k - 1) * own) / df, df, round_var)
