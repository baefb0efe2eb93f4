"""Numbers in, numbers out: robust means, variances, quantiles, the spending of looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

TRIM = 0.2


def trimmed_mean(values: Sequence[float]) -> float:
    """The mean without the highest and the lowest 20 %; the median of fewer than five values."""
    ordered = sorted(values)
    n = len(ordered)
    if n < 5:
        return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    cut = int(TRIM * n)
    kept = ordered[cut : n - cut]
    return math.fsum(kept) / len(kept)


def variance(values: Sequence[float]) -> float:
    """The sample variance, over n - 1; 0 of fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def pooled_variance(groups: Sequence[Sequence[float]]) -> float:
    """The variance within groups, each about its own mean; 0 where no group has two values."""
    degrees = sum(len(group) - 1 for group in groups if group)
    if degrees == 0:
        return 0.0
    within = math.fsum(variance(group) * (len(group) - 1) for group in groups if group)
    return within / degrees


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t distribution with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def spending(alpha: float, look: int, looks: int) -> float:
    """How much of `alpha` the look number `look` (from 1) of `looks` may spend.

    The quadratic (power family, rho = 2) spending function of Kim and DeMets, Biometrika 74 (1987)
    149-154: early looks spend little, all looks together spend `alpha`.
    """
    return alpha * ((look / looks) ** 2 - ((look - 1) / looks) ** 2)


def slope(values: Sequence[float]) -> tuple[float, float]:
    """Least-squares slope over the index, and its standard error (infinite under three values)."""
    n = len(values)
    if n < 3:
        return 0.0, math.inf
    middle, mean = (n - 1) / 2, math.fsum(values) / n
    spread = math.fsum((i - middle) ** 2 for i in range(n))
    rise = math.fsum((i - middle) * (value - mean) for i, value in enumerate(values)) / spread
    left = math.fsum((v - mean - rise * (i - middle)) ** 2 for i, v in enumerate(values))
    return rise, math.sqrt(left / (n - 2) / spread)
