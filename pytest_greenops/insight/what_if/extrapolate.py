"""The energy of a whole training, from a few of its epochs (or steps) that are stable.

After arXiv:2307.05520, whose published errors are a root mean square of 7.3 kJ for this projection
and 187 kJ for TDP x time: the first epochs differ (kernels are chosen, caches and data are warm
later, clocks and fans settle), the ones after them are alike.

    joules = spent + left x mean of the window
    +- left x t(0.975, f) x s x sqrt((a(n) + a(m) - 2 c) / ((1 - a(n)) n / (n - 1)))

with n epochs from the window on, their standard deviation s, and m epochs left. For epochs that are
independent f is n - 1 and the root sqrt(1/n + 1/m): the textbook prediction interval of the mean of
m further values (Hahn and Meeker, Statistical Intervals, 1991, 4.8). Neighbouring epochs seldom
are: what slows a machine down lasts. a(n) and a(m) are the variances of the two means and c their
covariance, all as shares of the variance of one epoch, where the correlation of epochs k apart is
rho ** k (Zwiers and von Storch, J. Climate 8, 1995, 336-351); 1 - a(n) is how much of it shows in
s, and f what is left of the degrees of freedom (Satterthwaite, Biometrics Bulletin 2, 1946,
110-114).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from pytest_greenops.judge.stats import slope, t_quantile
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Extrapolation

WINDOW = 5
#: Five points of which two are the ends of a line leave too little to tell a trend from scatter.
LEAST_WINDOW = 4
#: Correlation of neighbouring epochs that the interval allows for. Trainings that were recorded on
#: a virtual machine had 0.3 to 0.7; of epochs that are independent the interval is too wide.
CORRELATION = 0.5
#: No training has more epochs, or steps: a larger figure is a slip.
MOST_EPOCHS = 10**12
#: A slope or a first epoch that chance alone makes this often is taken for a start-up. A trend is
#: looked for sharply: to drop an epoch too many costs an epoch, one too few is multiplied by all
#: that are left.
TREND_CHANCE, FIRST_CHANCE = 0.2, 0.05


def extrapolate(
    epochs_j: Sequence[float],
    total: int,
    window: int = WINDOW,
    correlation: float = CORRELATION,
) -> Extrapolation:
    """The energy of a training of `total` epochs, of which the first used `epochs_j` joules each.

    The start-up ends before the first `window` epochs in a row that are stable: their slope is one
    that chance makes, and their first lies with the others. These and all that were measured after
    them are projected. Where none are stable, the last `window` are, and `stable` is False.
    `correlation` of neighbouring epochs, 0 to below 1.

    Raises `InsightError` for fewer epochs than a window, more than `total`, a total above
    `MOST_EPOCHS`, a window under `LEAST_WINDOW`, a correlation out of bounds, or joules that are
    negative or not finite.
    """
    _check(epochs_j, total, window, correlation)
    starts = range(len(epochs_j) - window + 1)
    stable = [start for start in starts if _is_stable(epochs_j[start : start + window])]
    start = stable[0] if stable else starts[-1]
    settled = epochs_j[start:]
    n, left = len(settled), total - len(epochs_j)
    spent_j, epoch_j = math.fsum(epochs_j), fmean(settled)
    reach = t_quantile(0.975, _freedom(n, correlation)) * _spread(n, left, correlation)
    half = left * stdev(settled) * reach
    joules = spent_j + left * epoch_j
    return Extrapolation(
        joules=joules,
        low=max(spent_j, joules - half),
        high=joules + half,
        total=total,
        seen=len(epochs_j),
        window=n,
        window_start=start,
        epoch_j=epoch_j,
        spent_j=spent_j,
        start_up_j=math.fsum(epochs_j[:start]),
        stable=bool(stable),
    )


def tdp_estimate(tdp_w: float, seconds: float) -> float:
    """What TDP x time says, for comparison: a device that drew its whole thermal design power.

    Raises `InsightError` for a figure that is negative or not finite.
    """
    if not all(math.isfinite(value) and value >= 0 for value in (tdp_w, seconds)):
        raise InsightError(f"{tdp_w} W for {seconds} s: neither may be negative or infinite")
    return tdp_w * seconds


def _is_stable(epochs_j: Sequence[float]) -> bool:
    """Whether chance makes a slope like this, and a first epoch as far from the others."""
    n = len(epochs_j)
    rise, error = slope(epochs_j)
    if abs(rise) > t_quantile(1 - TREND_CHANCE / 2, n - 2) * error:
        return False
    first, *others = epochs_j
    reach = t_quantile(1 - FIRST_CHANCE / 2, n - 2) * stdev(others) * math.sqrt(1 + 1 / (n - 1))
    # The last is for epochs that are all the same, but for how a computer adds them up.
    return bool(abs(first - fmean(others)) <= max(reach, 1e-9 * abs(first)))


def _spread(n: int, m: int, rho: float) -> float:
    """The standard error of the next m epochs' mean, by that of n before it, over their scatter."""
    if not m:
        return 0.0
    shown = (1 - _variance_of_mean(n, rho)) * n / (n - 1)
    between = rho * _powers(n, rho) * _powers(m, rho) / (n * m)
    error = _variance_of_mean(n, rho) + _variance_of_mean(m, rho) - 2 * between
    return math.sqrt(error / shown)


def _freedom(n: int, rho: float) -> float:
    """Degrees of freedom of the variance of n values; n - 1 of independent ones."""
    rows = [_powers(i + 1, rho) + _powers(n - i, rho) - 1 for i in range(n)]
    whole = math.fsum(rows) / n
    squares = n**2 * _variance_of_mean(n, rho**2) - 2 / n * math.fsum(row**2 for row in rows)
    return (n - whole) ** 2 / (squares + whole**2)


def _variance_of_mean(n: int, rho: float) -> float:
    """Of n values, as a share of the variance of one; those k apart correlate by rho ** k.

    The closed form of `(n + 2 x the sum of (n - k) rho ** k over k from 1 to n - 1) / n ** 2`.
    """
    return (1 + rho - 2 * rho * _powers(n, rho) / n) / (1 - rho) / n


def _powers(n: int, rho: float) -> float:
    """`1 + rho + … + rho ** (n - 1)`, without cancellation where rho is close to 1."""
    return -math.expm1(n * math.log(rho)) / (1 - rho) if rho else 1.0


def _check(epochs_j: Sequence[float], total: int, window: int, correlation: float) -> None:
    if window < LEAST_WINDOW:
        raise InsightError(
            f"{window} epochs show no trend; take a window of {LEAST_WINDOW} or more"
        )
    if len(epochs_j) < window:
        raise InsightError(
            f"{len(epochs_j)} epochs are too few: a window takes {window}, after the start-up; "
            "measure more"
        )
    if total < len(epochs_j):
        raise InsightError(f"{len(epochs_j)} epochs were measured, more than {total} in all")
    if total > MOST_EPOCHS:
        raise InsightError(f"{total} epochs are no training; write {MOST_EPOCHS} or fewer")
    if not 0 <= correlation < 1:
        raise InsightError(f"{correlation:g} is no correlation of epochs; 0 to below 1 is")
    if not all(math.isfinite(energy_j) and energy_j >= 0 for energy_j in epochs_j):
        raise InsightError("an epoch's joules are negative or not known; measure it again")
