"""Other tools and common tests on the same noise: one stored run against one run.

Each takes the joules of a baseline and of a candidate, two arrays (repetitions, rounds), and
returns which candidates it calls regressed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.power.worlds import Array

ROUNDS = 20
THRESHOLD = 1.05
LEVEL = 0.05
#: Criterion.rs's default `noise_threshold`: it ignores a change that may be smaller.
NOISE_THRESHOLD = 0.01

Called = NDArray[np.bool_]


def mean_5(before: Array, after: Array) -> Called:
    """`--benchmark-compare-fail=mean:5%` of pytest-benchmark."""
    return after.mean(-1) > THRESHOLD * before.mean(-1)


def median_5(before: Array, after: Array) -> Called:
    """A threshold of 5 % on one robust figure, as in pytest-codspeed's service."""
    called: Called = np.median(after, -1) > THRESHOLD * np.median(before, -1)
    return called


def welch(before: Array, after: Array) -> Called:
    """Welch's t test, one-sided at 5 %."""
    found = stats.ttest_ind(after, before, axis=-1, equal_var=False, alternative="greater")
    called: Called = found.pvalue < LEVEL
    return called


def mann_whitney(before: Array, after: Array) -> Called:
    """The Mann-Whitney U test at 5 %, with a minimum effect of 5 % on the median."""
    found = stats.mannwhitneyu(after, before, axis=-1, alternative="greater", method="asymptotic")
    return (found.pvalue < LEVEL) & median_5(before, after)


def criterion(before: Array, after: Array) -> Called:
    """Criterion.rs: a t test at 5 %, and the 95 % interval of the mean's change beyond 1 %.

    This uses the normal interval, which its bootstrapped one approaches.
    """
    test = stats.ttest_ind(after, before, axis=-1, equal_var=False)
    ratio = after.mean(-1) / before.mean(-1)
    spread = np.hypot(stats.variation(after, -1, ddof=1), stats.variation(before, -1, ddof=1))
    low = ratio * (1 - 1.96 * spread / np.sqrt(after.shape[-1])) - 1
    called: Called = (test.pvalue < LEVEL) & (low > NOISE_THRESHOLD)
    return called


def mean_of_five_5(before: Array, after: Array) -> Called:
    """A threshold of 5 % on the mean, over that of five stored runs: (repetitions, 5, rounds)."""
    return after.mean(-1) > THRESHOLD * before.mean((-1, -2))


PEERS: dict[str, Callable[[Array, Array], Called]] = {
    "pytest-benchmark `mean:5%`": mean_5,
    "5 % on the median (codspeed-like)": median_5,
    "Welch, 5 %": welch,
    "Mann-Whitney, 5 %, effect of 5 %": mann_whitney,
    "Criterion": criterion,
}
