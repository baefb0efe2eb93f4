"""The energy of a whole training, projected from a few stable epochs (or steps).

After arXiv:2307.05520, which reports a root mean square error of 7.3 kJ for this projection and
187 kJ for TDP x time. The first epochs differ: kernels are chosen, caches and data are cold, clocks
and fans settle. Later epochs are similar.

    joules = spent + left x mean of the window
    +- left x t(0.975, f) x s x sqrt((a(n) + a(m) - 2 c) / ((1 - a(n)) n / (n - 1)))

with n epochs from the start of the window on, their standard deviation s, and m epochs left. For
independent epochs f is n - 1 and the root is sqrt(1/n + 1/m): the textbook prediction interval of
the mean of m further values (Hahn and Meeker, Statistical Intervals, 1991, 4.8). Neighbouring
epochs are seldom independent, since what slows a machine down lasts. a(n) and a(m) are the
variances of the two means and c is their covariance, as shares of the variance of one epoch, where
epochs k apart correlate by rho ** k (Zwiers and von Storch, J. Climate 8, 1995, 336-351).
1 - a(n) is how much of the variance shows in s, and f is the remaining degrees of freedom
(Satterthwaite, Biometrics Bulletin 2, 1946, 110-114).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from pytest_greenops.judge.stats import slope, t_quantile
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Extrapolation

WINDOW = 5
#: With fewer points, a trend cannot be distinguished from scatter.
MIN_WINDOW = 4
#: Correlation of neighbouring epochs that the interval assumes. Trainings recorded on a virtual
#: machine had 0.3 to 0.7; for independent epochs the interval is too wide.
CORRELATION = 0.5
#: Largest number of epochs or steps; a larger figure is a mistake.
MAX_EPOCHS = 10**12
#: A slope or a first epoch that is less likely than this by chance counts as start-up. The test for
#: a trend is strict: dropping one epoch too many costs an epoch, but dropping one too few biases
#: every remaining epoch.
TREND_CHANCE, FIRST_CHANCE = 0.2, 0.05


def extrapolate(
    epochs_j: Sequence[float], total: int, window: int = WINDOW, correlation: float = CORRELATION
) -> Extrapolation:
    """Return the energy of a training of `total` epochs; `epochs_j` are the joules of the first.

    The start-up ends before the first `window` consecutive epochs that are stable: neither their
    slope nor the distance of their first epoch is larger than chance explains. All epochs from
    there on are projected. Where no window is stable, the last one is projected, and `stable` is
    False. `correlation` is that of neighbouring epochs, from 0 to below 1.

    Raises `InsightError` for fewer epochs than a window or more than `total`, a total above
    `MAX_EPOCHS`, a window below `MIN_WINDOW`, a correlation out of bounds, and joules that are
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
    """Return TDP x time, for comparison: a device that draws its thermal design power all the time.

    Raises `InsightError` for a figure that is negative or not finite.
    """
    if not all(math.isfinite(value) and value >= 0 for value in (tdp_w, seconds)):
        raise InsightError(f"{tdp_w} W for {seconds} s: expected finite numbers >= 0")
    return tdp_w * seconds


def _is_stable(epochs_j: Sequence[float]) -> bool:
    """Return whether chance explains the slope, and the distance of the first epoch."""
    n = len(epochs_j)
    rise, error = slope(epochs_j)
    if abs(rise) > t_quantile(1 - TREND_CHANCE / 2, n - 2) * error:
        return False
    first, *others = epochs_j
    reach = t_quantile(1 - FIRST_CHANCE / 2, n - 2) * stdev(others) * math.sqrt(1 + 1 / (n - 1))
    # The second bound is for equal epochs, which rounding makes slightly different.
    return bool(abs(first - fmean(others)) <= max(reach, 1e-9 * abs(first)))


def _spread(n: int, m: int, rho: float) -> float:
    """Return the standard error of the mean of the next m epochs over the scatter of n epochs."""
    if not m:
        return 0.0
    shown = (1 - _variance_of_mean(n, rho)) * n / (n - 1)
    between = rho * _powers(n, rho) * _powers(m, rho) / (n * m)
    error = _variance_of_mean(n, rho) + _variance_of_mean(m, rho) - 2 * between
    return math.sqrt(error / shown)


def _freedom(n: int, rho: float) -> float:
    """Return the degrees of freedom of the variance of n values; n - 1 if independent."""
    rows = [_powers(i + 1, rho) + _powers(n - i, rho) - 1 for i in range(n)]
    whole = math.fsum(rows) / n
    squares = n**2 * _variance_of_mean(n, rho**2) - 2 / n * math.fsum(row**2 for row in rows)
    return (n - whole) ** 2 / (squares + whole**2)


def _variance_of_mean(n: int, rho: float) -> float:
    """Return the variance of the mean of n values, as a share of the variance of one.

    Values k apart correlate by rho ** k. This is the closed form of
    `(n + 2 x the sum of (n - k) rho ** k over k from 1 to n - 1) / n ** 2`.
    """
    return (1 + rho - 2 * rho * _powers(n, rho) / n) / (1 - rho) / n


def _powers(n: int, rho: float) -> float:
    """Return `1 + rho + … + rho ** (n - 1)`, without cancellation where rho is close to 1."""
    return -math.expm1(n * math.log(rho)) / (1 - rho) if rho else 1.0


def _check(epochs_j: Sequence[float], total: int, window: int, correlation: float) -> None:
    if window < MIN_WINDOW:
        raise InsightError(f"window of {window} epochs: expected at least {MIN_WINDOW}")
    if len(epochs_j) < window:
        few = f"{len(epochs_j)} epochs are too few"
        raise InsightError(f"{few}: measure at least {window} after the start-up")
    if total < len(epochs_j):
        raise InsightError(f"{len(epochs_j)} epochs were measured, more than {total} in total")
    if total > MAX_EPOCHS:
        raise InsightError(f"{total} epochs: expected at most {MAX_EPOCHS}")
    if not 0 <= correlation < 1:
        raise InsightError(f"correlation {correlation:g}: expected a number from 0 to below 1")
    if not all(math.isfinite(energy_j) and energy_j >= 0 for energy_j in epochs_j):
        raise InsightError("the joules of an epoch are negative or unknown: measure it again")
