"""Robust means, variances, quantiles, and how looks spend the error rate.

Values lie along the last axis. The axes before it are repetitions: a run has none and gets floats,
a simulation has thousands and gets arrays from the same code.

NumPy and SciPy are loaded with this module, and their functions bound: a test that is judged may
have replaced them, or made them impossible to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, inf, log, sqrt
from typing import Any, TypeAlias

from numpy import (
    asarray,
    broadcast_to,
    errstate,
    exp,
    isinf,
    maximum,
    median,
    sort,
    where,
    zeros,
)
from numpy import log as log_of_each
from numpy import sqrt as sqrt_of_each
from scipy.special import fdtri, polygamma, psi, stdtr, stdtrit

#: A float, or an array with one value for each repetition.
Number: TypeAlias = Any
#: A sequence of floats, or an array whose last axis is the sequence.
Values: TypeAlias = Any

#: Share of the values that a trimmed mean leaves out at either end, and so tolerates.
TRIM = 0.2
#: The median absolute deviation of normal values over their standard deviation.
NORMAL_MEDIAN_DEVIATION = 0.6745
#: The least variance between sessions: a variance of zero has no logarithm.
SMALLEST_VARIANCE = 1e-12


def logs(values: Iterable[float]) -> list[float]:
    """Return the natural logarithms of the positive values."""
    return [log(value) for value in values if value > 0]


def trimmed_mean(values: Values) -> Number:
    """Return the mean without the highest and lowest 20 %; the median of fewer than five values."""
    if _few(values):
        kept = sorted(values)[_cut(len(values)) : len(values) - _cut(len(values))]
        return fsum(kept) / len(kept)
    ordered = sort(asarray(values, dtype=float), axis=-1)
    n = ordered.shape[-1]
    return plain(ordered[..., _cut(n) : n - _cut(n)].mean(axis=-1))


def _cut(n: int) -> int:
    """Return how many of n values a trimmed mean leaves out at either end."""
    return int(TRIM * n) if n >= 5 else (n - 1) // 2


def _few(values: Values) -> bool:
    """Return whether these are the numbers of one run, for which numpy takes ten times as long."""
    listed = isinstance(values, list | tuple) and bool(values)
    return listed and all(isinstance(value, float | int) for value in values)


def mean_level(sessions: Sequence[Values]) -> Number:
    """Return the mean, over sessions, of the trimmed mean of their rounds."""
    return sum(map(trimmed_mean, sessions)) / len(sessions)


def variance(values: Values) -> Number:
    """Return the sample variance, over n - 1; 0 for fewer than two values."""
    if _few(values):
        mean = fsum(values) / len(values)
        return fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    array = asarray(values, dtype=float)
    if array.shape[-1] < 2:
        return plain(zeros(array.shape[:-1]))
    return plain(array.var(axis=-1, ddof=1))


def pooled_variance(groups: Sequence[Values]) -> Number:
    """Return the variance within groups, about their own means; 0 if no group has two values."""
    degrees = [max(0, _length(group) - 1) for group in groups]
    within = [variance(group) * n for group, n in zip(groups, degrees, strict=True) if n]
    return sum(within) / sum(degrees) if within else 0.0


def _length(values: Values) -> int:
    """Return the number of values of each repetition."""
    return int(getattr(values, "shape", (len(values),))[-1])


def shared_variance(variances: Values, degrees: Values) -> tuple[Number, Number]:
    """Return the variance that similar groups share, and its degrees of freedom.

    This is the empirical Bayes estimate of Smyth (Stat. Appl. Genet. Mol. Biol. 3, 2004). The
    logarithms of the variances scatter as chi-square predicts; scatter beyond that means unlike
    groups, and lowers the degrees. Chance alone gives infinite degrees. Median and median deviation
    replace mean and deviation, so that one noisy group moves neither (after Phipson et al., Ann.
    Appl. Stat. 10, 2016). The groups are along the last axis.
    """
    half = asarray(degrees, dtype=float) / 2
    of_groups = log_of_each(maximum(variances, SMALLEST_VARIANCE)) - psi(half) + log_of_each(half)
    middle = median(of_groups, axis=-1)
    deviation = median(abs(of_groups - middle[..., None]), axis=-1) / NORMAL_MEDIAN_DEVIATION
    chance = broadcast_to(polygamma(1, half), of_groups.shape).mean(axis=-1)
    unlike = maximum(deviation**2 - chance, 0.0)
    with errstate(divide="ignore", invalid="ignore"):
        # The inverse of the trigamma function by its first two terms, 1/x + 1/(2 x²).
        own = where(unlike > 0, (1 + sqrt_of_each(1 + 2 * unlike)) / (2 * unlike), inf)
        skew = where(isinf(own), 0.0, psi(own) - log_of_each(own))
    return plain(exp(middle + skew)), plain(2 * own)


def t_quantile(probability: Number, df: Number) -> Number:
    """Return the quantile of Student's t distribution with `df` degrees of freedom."""
    return plain(stdtrit(df, probability))


def t_tail(value: Number, df: Number) -> Number:
    """Return the probability that Student's t with `df` degrees of freedom exceeds a value."""
    return plain(stdtr(df, -value))


def f_quantile(probability: float, df: Number, df_below: Number) -> Number:
    """Return the quantile of the F distribution, the ratio of two variances."""
    return plain(fdtri(df, df_below, probability))


def choose(which: Number, yes: Number, no: Number) -> Number:
    """Return `yes` or `no`, for each repetition."""
    return plain(where(which, yes, no))


def spending(alpha: float, look: int, looks: int, rho: float) -> float:
    """Return how much of `alpha` look number `look` (from 1) of `looks` may spend.

    The power family of spending functions by Kim and DeMets, Biometrika 74 (1987) 149-154: the
    greater `rho`, the less early looks spend. All looks together spend `alpha`.
    """
    before, share = ((number / looks) ** rho for number in (look - 1, look))
    return float(alpha * (share - before))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted for the number of comparisons.

    Holm, Scand. J. Statist. 6 (1979) 65-70: the smallest times n, the next times n - 1, ….
    """
    n, worst = len(p_values), 0.0
    adjusted = [0.0] * n
    for rank, place in enumerate(sorted(range(n), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (n - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


def slope(values: Sequence[float]) -> tuple[float, float]:
    """Return the least-squares slope over the index, and its error (infinite below 3 values)."""
    n = len(values)
    if n < 3:
        return 0.0, inf
    middle, mean = (n - 1) / 2, fsum(values) / n
    spread = fsum((i - middle) ** 2 for i in range(n))
    rise = fsum((i - middle) * (value - mean) for i, value in enumerate(values)) / spread
    left = fsum((v - mean - rise * (i - middle)) ** 2 for i, v in enumerate(values))
    return rise, sqrt(left / (n - 2) / spread)


def plain(number: Number) -> Number:
    """Return a Python float where there are no repetitions: JSON cannot encode numpy's."""
    return number.item() if getattr(number, "ndim", None) == 0 else number
