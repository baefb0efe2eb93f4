"""Numbers in, numbers out: robust means, variances, quantiles, the spending of looks.

Values lie along the last axis. Axes before it are repetitions, of which a run has none and a
simulation thousands: so both go through the same lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

#: A float, or an array with one for each repetition; what lies along the last axis is a sequence.
Number: TypeAlias = Any
Values: TypeAlias = Any

TRIM = 0.2
#: The median deviation of normal values from their median, as a share of their deviation.
NORMAL_MEDIAN_DEVIATION = 0.6745
#: No two sessions agree better than this: a variance of none has no logarithm.
SMALLEST_VARIANCE = 1e-12


def trimmed_mean(values: Values) -> Number:
    """The mean without the highest and the lowest 20 %; the median of fewer than five values."""
    import numpy as np

    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    n = ordered.shape[-1]
    cut = int(TRIM * n) if n >= 5 else (n - 1) // 2
    return _plain(ordered[..., cut : n - cut].mean(axis=-1))


def variance(values: Values) -> Number:
    """The sample variance, over n - 1; 0 of fewer than two values."""
    import numpy as np

    array = np.asarray(values, dtype=float)
    if array.shape[-1] < 2:
        return _plain(np.zeros(array.shape[:-1]))
    return _plain(array.var(axis=-1, ddof=1))


def pooled_variance(groups: Sequence[Values]) -> Number:
    """The variance within groups, each about its own mean; 0 where no group has two values."""
    import numpy as np

    degrees = [max(0, np.shape(group)[-1] - 1) for group in groups]
    within = [variance(group) * n for group, n in zip(groups, degrees, strict=True) if n]
    return sum(within) / sum(degrees) if within else 0.0


def shared_variance(variances: Values, degrees: Values) -> tuple[Number, Number]:
    """What variances of like things have in common, and how many degrees of freedom that is worth.

    variances, degrees  of each thing along the last axis

    The empirical Bayes estimate of Smyth (Stat. Appl. Genet. Mol. Biol. 3, 2004): the logarithms of
    the variances scatter as chi-square makes them, and by as much more as the things are unlike;
    the more of that, the less one says of another. Median and median deviation stand for mean and
    deviation, so that a single noisy thing moves neither (after Phipson et al., Ann. Appl. Stat.
    10, 2016). Infinite degrees where chance alone explains the scatter.
    """
    import numpy as np
    from scipy.special import polygamma, psi

    half = np.asarray(degrees, dtype=float) / 2
    logs = np.log(np.maximum(variances, SMALLEST_VARIANCE)) - psi(half) + np.log(half)
    middle = np.median(logs, axis=-1)
    deviation = np.median(np.abs(logs - middle[..., None]), axis=-1) / NORMAL_MEDIAN_DEVIATION
    chance = np.broadcast_to(polygamma(1, half), logs.shape).mean(axis=-1)
    unlike = np.maximum(deviation**2 - chance, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The inverse of the trigamma function by its first two terms, 1/x + 1/(2 x²).
        own = np.where(unlike > 0, (1 + np.sqrt(1 + 2 * unlike)) / (2 * unlike), np.inf)
        skew = np.where(np.isinf(own), 0.0, psi(own) - np.log(own))
    return _plain(np.exp(middle + skew)), _plain(2 * own)


def t_quantile(probability: Number, df: Number) -> Number:
    """The quantile of Student's t distribution with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return _plain(stdtrit(df, probability))


def t_tail(value: Number, df: Number) -> Number:
    """The probability that Student's t with `df` degrees of freedom exceeds a value."""
    from scipy.special import stdtr

    return _plain(stdtr(df, -value))


def f_quantile(probability: float, df: Number, df_below: Number) -> Number:
    """The quantile of the F distribution: of a ratio of two variances, by their degrees."""
    from scipy.special import fdtri

    return _plain(fdtri(df, df_below, probability))


def choose(where: Number, yes: Number, no: Number) -> Number:
    """One of two numbers, by repetition."""
    import numpy as np

    return _plain(np.where(where, yes, no))


def spending(alpha: float, look: int, looks: int) -> float:
    """How much of `alpha` the look number `look` (from 1) of `looks` may spend.

    The quadratic (power family, rho = 2) spending function of Kim and DeMets, Biometrika 74 (1987)
    149-154: early looks spend little, all looks together spend `alpha`.
    """
    return alpha * ((look / looks) ** 2 - ((look - 1) / looks) ** 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values, adjusted for their number: the chance of any such one in unchanged code.

    Holm, Scand. J. Statist. 6 (1979) 65-70: the least times n, the next times n - 1, ….
    """
    n, worst = len(p_values), 0.0
    adjusted = [0.0] * n
    for rank, place in enumerate(sorted(range(n), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (n - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


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


def _plain(number: Number) -> Number:
    """A float where there are no repetitions: numpy's own are no numbers to JSON."""
    return number.item() if getattr(number, "ndim", None) == 0 else number
