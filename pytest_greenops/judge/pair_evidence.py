"""The evidence that interleaved pairs give on a change, valid whenever the comparison stops.

The model: a pair is d = change + shift of its start + scatter of the pair. Both are normal; the
variance of the shift is `ratio` times that of the scatter, with a few ratios and prior weights.
The prior of the pair's variance counts for a few pairs of a usual spread. The evidence E against
"the change is at most c" is a Bayes factor: the likelihood averaged over changes above c (a half
normal prior) over that at c. If there is no such change, E exceeds T in at most 1 of T comparisons
at any pair (Ville's inequality), so that a comparison may stop whenever it likes.

For one pair a start and no prior of the variance this is, one-sided, the t test of Wang and Ramdas,
"Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"
(Sequential Analysis, 2025).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from numpy import asarray, clip, concatenate, exp, log, logaddexp, maximum, median, pi, sqrt, tan

from pytest_greenops.judge.stats import NORMAL_MEDIAN_DEVIATION, Number, Values, choose, t_tail

#: The usual standard deviation of a pair, and for how many pairs that prior counts.
PAIR_SD, PRIOR_PAIRS = 0.035, 4.0
#: Variances of a start's shift over that of a pair's scatter, and their prior weights.
RATIOS = ((0.0, 0.4), (0.06, 0.4), (0.3, 0.2))
#: Variance of the changes that the evidence looks for, over that of a pair.
CHANGES = 2.0
#: Pairs further than this from the median, in standard deviations, count as that far: something
#: else ran. Huber's proposal; his 1.5 costs more where nothing else runs.
FURTHEST = 2.0
#: Halvings of the search for a bound.
HALVINGS = 50


class Fit(NamedTuple):
    """What the pairs say under one ratio of variances.

    log_weight   logarithm of the ratio's weight given the pairs, but for `squares` and a constant
    pairs_worth  pairs that would tell as much if starts did not shift
    mean         the mean, in which a start with more pairs counts for more, but not in proportion
    squares      squared deviations from that mean, and those of the prior
    """

    log_weight: float
    pairs_worth: float
    mean: Number
    squares: Number


class Pairs:
    """The pairs of a comparison so far, grouped by the starts of the processes.

    Args:
        starts: for each start its pairs, ln(candidate / ref); arrays have repetitions before the
            last axis
    """

    def __init__(self, starts: Sequence[Values]) -> None:
        groups = [asarray(start, dtype=float) for start in starts]
        self.sizes = [group.shape[-1] for group in groups]
        self.count = sum(self.sizes)
        self._df = PRIOR_PAIRS + self.count - 1
        self._fits = _fits(*_without_spikes(concatenate(groups, axis=-1)), self.sizes)

    @property
    def estimate(self) -> Number:
        """Return the estimated change: the mean of the fits, by their weight given the pairs."""
        logs = [
            fit.log_weight - self._df / 2 * log(fit.squares) - math.log(fit.pairs_worth) / 2
            for fit in self._fits
        ]
        weights = [exp(each - logaddexp.reduce(logs)) for each in logs]
        return sum(w * fit.mean for w, fit in zip(weights, self._fits, strict=True))

    def evidence_above(self, change: Number) -> Number:
        """Return the logarithm of the evidence that the change is greater than this one."""
        return self._evidence(change, 1)

    def evidence_below(self, change: Number) -> Number:
        """Return the logarithm of the evidence that the change is smaller than this one."""
        return self._evidence(change, -1)

    def bound(self, evidence: float, side: int) -> Number:
        """Return the change to one side (-1: below) that evidence of this size excludes.

        Infinite if no change is excluded, since there are too few pairs.
        """
        middle, scale = self.estimate, self.standard_error
        near, far = 0.0 * middle, 0.0 * middle + 1.0
        for _ in range(HALVINGS):
            tried = (near + far) / 2
            change = middle + side * scale * tan(pi / 2 * tried)
            excluded = self._evidence(change, -side) >= math.log(evidence)
            near, far = choose(excluded, near, tried), choose(excluded, tried, far)
        bound = middle + side * scale * tan(pi / 2 * far)
        return choose(far < 1, bound, side * math.inf)

    @property
    def standard_error(self) -> Number:
        """Return the standard error of the estimate by the fit in which starts differ most."""
        fit = self._fits[-1]
        return choose(True, sqrt(fit.squares / self._df / fit.pairs_worth), 0.0)

    def _evidence(self, change: Number, side: int) -> Number:
        above = [_log_likelihoods(fit, side * (fit.mean - change), self._df) for fit in self._fits]
        alternative = logaddexp.reduce([one for one, _ in above])
        null = logaddexp.reduce([other for _, other in above])
        return choose(True, alternative - null, 0.0)


def _log_likelihoods(fit: Fit, distance: Number, df: float) -> tuple[Number, Number]:
    """Return the log-likelihoods of changes beyond a value and of that value, up to a constant.

    The distance is that of the mean beyond the value. Normal means with a conjugate prior, see
    Gronau, Ly and Wagenmakers, Am. Stat. 74 (2020) 137-143.
    """
    shrunk = 1 + CHANGES * fit.pairs_worth
    null = fit.squares + fit.pairs_worth * distance**2
    other = fit.squares + fit.pairs_worth * distance**2 / shrunk
    scale = sqrt(other / (df + 1) * CHANGES / shrunk)
    beyond = 1 - t_tail(distance * (1 - 1 / shrunk) / scale, df + 1)
    half_normal = log(2 * maximum(beyond, 1e-300)) - math.log(shrunk) / 2
    exponent = (df + 1) / 2
    return (
        fit.log_weight + half_normal - exponent * log(other),
        fit.log_weight - exponent * log(null),
    )


def _fits(pairs: Values, correction: Number, sizes: Sequence[int]) -> list[Fit]:
    """Return the fit under each ratio: a mean by generalised least squares, and what is left."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    groups = [pairs[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]
    means = [group.mean(axis=-1) for group in groups]
    within = sum(((g - m[..., None]) ** 2).sum(axis=-1) for g, m in zip(groups, means, strict=True))
    fits = []
    for ratio, weight in RATIOS:
        counts = [size / (1 + ratio * size) for size in sizes]
        count = sum(counts)
        mean = sum(n * m for n, m in zip(counts, means, strict=True)) / count
        between = sum(n * (m - mean) ** 2 for n, m in zip(counts, means, strict=True))
        prior = PRIOR_PAIRS * PAIR_SD**2 / (1 + ratio)
        log_weight = math.log(weight) + PRIOR_PAIRS / 2 * math.log(prior)
        log_weight -= sum(math.log1p(ratio * size) for size in sizes) / 2
        fits.append(Fit(log_weight, count, mean, prior + (within + between) * correction))
    return fits


def _without_spikes(pairs: Values) -> tuple[Values, Number]:
    """Return the pairs with the furthest drawn in, and what that takes from their variance.

    The correction is that of Tukey and McLaughlin (Sankhya A 25, 1963) for winsorised values:
    ((n - 1) / (h - 1))² if h of n values stay.
    """
    n = pairs.shape[-1]
    middle = median(pairs, axis=-1, keepdims=True)
    off = pairs - middle
    deviation = median(abs(off), axis=-1, keepdims=True) / NORMAL_MEDIAN_DEVIATION
    usual = (PRIOR_PAIRS * PAIR_SD**2 + n * deviation**2) / (PRIOR_PAIRS + n)
    furthest = FURTHEST * sqrt(usual)
    stay = (abs(off) <= furthest).sum(axis=-1)
    return middle + clip(off, -furthest, furthest), ((n - 1) / maximum(stay - 1, 1)) ** 2
