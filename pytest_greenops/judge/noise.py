"""How much a test scatters: between sessions, within one, and what the tests of a suite share."""

from __future__ import annotations

import math
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

#: What others share counts for at most this many sessions: a suite's variance, or an assumed one.
POOL_WEIGHT = 8
#: A suite with fewer tests shares no variance.
MIN_SUITE = 5
#: A test shares no variance if its own is above this quantile of what its suite explains.
UNLIKE = 0.999
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
    """The noise on which a test may pass, and the noise on which it may fail.

    usual  the variance between sessions that a test has as long as little is known of it
    """

    to_pass: Noise
    to_fail: Noise
    usual: Number = math.inf


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
    baseline: Sequence[Values],
    candidate: Sequence[Values],
    suite: Suite | None,
    session_sd: float,
    start_var: Number = 0.0,
) -> Spread:
    """Return the noise to judge with; each session is a sequence of logarithms.

    A few sessions that happen to agree underestimate how much sessions differ. So a test fails on
    a variance in which others count for eight sessions: its suite's, and the assumed spread
    `session_sd` for what the suite leaves unknown, or the variance `start_var` between sessions of
    one occasion if that is larger. Each further session adds what is known, so it never makes a
    verdict less certain unless it disagrees.

    With three sessions or more a test passes on what was measured alone: its suite's variance and
    its own.
    """
    round_var = pooled_variance([*baseline, *candidate])
    k = len(baseline)
    own = _variance_between(baseline)
    usual = session_sd**2
    if suite is not None:
        usual = choose(suite.session_var > usual, suite.session_var, usual)
    assumed = choose(start_var > usual, start_var, usual)
    if suite is None or k < MIN_SESSIONS:
        careful = _blend(assumed, POOL_WEIGHT, own, k, round_var)
        alone = careful if k < MIN_SESSIONS else Noise(own, k - 1, round_var)
        return Spread(alone, careful, usual)
    unlike = own > suite.session_var * f_quantile(UNLIKE, k - 1, suite.weight)
    weight = choose(unlike, 0.0, suite.weight)
    known = (weight * suite.session_var + (POOL_WEIGHT - weight) * assumed) / POOL_WEIGHT
    return Spread(
        _blend(suite.session_var, weight, own, k, round_var),
        _blend(known, POOL_WEIGHT, own, k, round_var),
        usual,
    )


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
    df = weight + max(k - 1, 0)
    return Noise((weight * known + max(k - 1, 0) * own) / df, df, round_var)
