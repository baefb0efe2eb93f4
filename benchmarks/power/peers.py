"""Rules of other tools, and common tests: one stored run against one run.

Each takes the joules of baselines and candidates, arrays (repetitions, rounds), and returns which
candidates it calls regressed.
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
#: Criterion.rs's default `noise_threshold`: it ignores changes that may be smaller.
NOISE_THRESHOLD = 0.01

Called = NDArray[np.bool_]


def mean_5(before: Array, after: Array) -> Called:
    """Apply pytest-benchmark's `--benchmark-compare-fail=mean:5%`."""
    called: Called = after.mean(-1) > THRESHOLD * before.mean(-1)
    return called


def median_5(before: Array, after: Array) -> Called:
    """Apply a threshold of 5 % to the median, as pytest-codspeed's service does."""
    called: Called = np.median(after, -1) > THRESHOLD * np.median(before, -1)
    return called


def welch(before: Array, after: Array) -> Called:
    """Apply Welch's t test, one-sided at 5 %."""
    found = stats.ttest_ind(after, before, axis=-1, equal_var=False, alternative="greater")
    called: Called = found.pvalue < LEVEL
    return called


def mann_whitney(before: Array, after: Array) -> Called:
    """Apply the Mann-Whitney U test at 5 %, with a minimum effect of 5 % on the median."""
    found = stats.mannwhitneyu(after, before, axis=-1, alternative="greater", method="asymptotic")
    called: Called = (found.pvalue < LEVEL) & median_5(before, after)
    return called


def criterion(before: Array, after: Array) -> Called:
    """Apply Criterion.rs: a t test at 5 %, and a 95 % interval of the change beyond 1 %.

    This uses the normal interval, which Criterion's bootstrapped interval approaches.
    """
    test = stats.ttest_ind(after, before, axis=-1, equal_var=False)
    ratio = after.mean(-1) / before.mean(-1)
    spread = np.hypot(stats.variation(after, -1, ddof=1), stats.variation(before, -1, ddof=1))
    low = ratio * (1 - 1.96 * spread / np.sqrt(after.shape[-1])) - 1
    called: Called = (test.pvalue < LEVEL) & (low > NOISE_THRESHOLD)
    return called


def mean_of_five_5(before: Array, after: Array) -> Called:
    """Apply a threshold of 5 % to the mean of five stored runs: (repetitions, 5, rounds)."""
    called: Called = after.mean(-1) > THRESHOLD * before.mean((-1, -2))
    return called


PEERS: dict[str, Callable[[Array, Array], Called]] = {
    "pytest-benchmark `mean:5%`": mean_5,
    "5 % on the median (codspeed-like)": median_5,
    "Welch, 5 %": welch,
    "Mann-Whitney, 5 %, effect of 5 %": mann_whitney,
    "Criterion": criterion,
}
