"""The evidence that interleaved pairs give on a change, valid whenever the comparison stops.

The model: a pair is d = change + shift of its start + scatter, all normal. The variance of the
shift is `ratio` times that of the scatter. What few pairs cannot show is a prior: a weighted list
of ratios and of standard deviations of the scatter, each of which counts for a few pairs.

The evidence that the change is above c is a Bayes factor: the likelihood averaged over changes
above c (half normal) over that at c. If it is not, the evidence exceeds T in at most 1 of T
comparisons, at whichever pair one looks (Ville's inequality). With one pair a start, no prior and
both sides, this is the test of Wang and Ramdas, "Anytime-valid t-tests and confidence sequences
for Gaussian means with unknown variance" (Sequential Analysis, 2025).

Pairs lie along the last axis, after axes of repetitions; see `stats`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from numpy import asarray, clip, concatenate, exp, log, logaddexp, maximum, median, sqrt

from pytest_greenops.judge.stats import (
    NORMAL_MEDIAN_DEVIATION,
    Number,
    Values,
    choose,
    plain,
    t_tail,
)

#: What is usual: the standard deviations of a pair's scatter and of a start's shift, and a weight.
#: First a shared machine, then a quiet one; last, starts that differ far more than their pairs.
#: Pairs of 0.1 s a side scatter by 1 to 2.5 % on a shared virtual machine, by 7 % at most; their
#: starts differ by 0.3 to 1.3 %.
USUAL = (
    (0.04, 0.005, 0.60),
    (0.04, 0.020, 0.10),
    (0.01, 0.0015, 0.22),
    (0.01, 0.006, 0.06),
    (0.01, 0.025, 0.02),
)
#: For how many pairs the usual standard deviation counts.
PRIOR_PAIRS = 6.0
#: Spread of the changes that are looked for, as variances over that of a pair: +10 % and a margin
#: of 5 %, where pairs scatter by 5 %. Other spreads need more pairs for these.
LARGE, SMALL = 4.0, 0.8
#: A pair further than this from the median, in standard deviations, counts as that far: something
#: else ran. Huber's constant: 95 % efficient where nothing did.
FURTHEST = 1.5
#: The standard deviation in that limit, and for how many pairs it counts.
LIMIT_SD, LIMIT_PAIRS = 0.035, 4.0
#: Halvings of the search for a bound.
HALVINGS = 40


@dataclass(frozen=True)
class Fit:
    """What the pairs say if one line of `USUAL` is true.

    weight   logarithm of the prior's weight
    starts   logarithm of the determinant of the ratios of variance, times -1/2
    worth    pairs that would show as much if starts did not shift
    mean     the mean, in which a start counts for its `worth`
    scatter  squared deviations from that mean
    prior    those of the prior
    df       degrees of freedom of both
    """

    weight: float
    starts: float
    worth: float
    mean: Number
    scatter: Number
    prior: float
    df: float

    @property
    def likelihood(self) -> Number:
        """Return the logarithm of the likelihood, averaged over all changes, up to a constant."""
        exponent = self.df / 2
        return self.weight + self.starts - exponent * log(self.squares) - math.log(self.worth) / 2

    @property
    def squares(self) -> Number:
        """Return the squared deviations of the pairs and of the prior."""
        return self.prior + self.scatter

    @property
    def error(self) -> Number:
        """Return the standard error of the mean."""
        return sqrt(self.squares / self.df / self.worth)

    def likelihoods(self, change: Number, side: int, spread: float) -> tuple[Number, Number]:
        """Return the log-likelihoods of changes beyond one, and of that one.

        Normal data with a conjugate prior: Gronau, Ly and Wagenmakers, Am. Stat. 74 (2020) 137.
        """
        distance = side * (self.mean - change)
        shrunk, exponent = 1 + spread * self.worth, (self.df + 1) / 2
        at = self.squares + self.worth * distance**2
        around = self.squares + self.worth * distance**2 / shrunk
        centre = distance * (1 - 1 / shrunk)
        scale = sqrt(around / (self.df + 1) * spread / shrunk)
        beyond = maximum(t_tail(-centre / scale, self.df + 1), 1e-300)
        common = self.weight + self.starts
        return (
            common + log(2 * beyond) - math.log(shrunk) / 2 - exponent * log(around),
            common - exponent * log(at),
        )


@dataclass(frozen=True)
class Pairs:
    """The pairs of a comparison so far.

    count   their number
    starts  number of starts of both processes over which they are spread
    """

    count: int
    starts: int
    fits: tuple[Fit, ...]

    @property
    def estimate(self) -> Number:
        """The estimated change."""
        return self._average([fit.mean for fit in self.fits])

    @property
    def error(self) -> Number:
        """The standard error of the estimate."""
        return self._average([fit.error**2 for fit in self.fits]) ** 0.5

    @property
    def df(self) -> float:
        """The degrees of freedom of the standard error."""
        return self.fits[0].df

    def evidence(self, change: Number, side: int, spread: float) -> Number:
        """Return the logarithm of the evidence for a change above (1) or below (-1) this one."""
        both = [fit.likelihoods(change, side, spread) for fit in self.fits]
        beyond, at = (logaddexp.reduce(each) for each in zip(*both, strict=True))
        return plain(beyond - at)

    def bound(self, evidence: float, side: int, spread: float) -> Number:
        """Return the change above (1) or below (-1) the estimate that such evidence excludes.

        It is infinite where the pairs are too few to exclude any.
        """
        middle, scale = self.estimate, self.error
        near, far = 0.0 * middle, 0.0 * middle + 1.0
        for _ in range(HALVINGS):  # of the way to infinity
            tried = (near + far) / 2
            change = middle + side * scale * tried / (1 - tried)
            excluded = self.evidence(change, -side, spread) >= math.log(evidence)
            near, far = choose(excluded, near, tried), choose(excluded, tried, far)
        finite = choose(far < 1, far, 0.0)
        return choose(far < 1, middle + side * scale * finite / (1 - finite), side * math.inf)

    def grown(self, count: int) -> Pairs:
        """Return what `count` pairs say if the further ones resemble these."""
        factor = count / self.count
        fits = (
            Fit(
                fit.weight,
                fit.starts * factor,
                fit.worth * factor,
                fit.mean,
                fit.scatter * factor,
                fit.prior,
                fit.df + count - self.count,
            )
            for fit in self.fits
        )
        return Pairs(count, math.ceil(self.starts * factor), tuple(fits))

    def _average(self, values: Sequence[Number]) -> Number:
        """Return the mean over the fits by their likelihood."""
        logs = [fit.likelihood for fit in self.fits]
        total = logaddexp.reduce(logs)
        return plain(sum(exp(log_ - total) * v for log_, v in zip(logs, values, strict=True)))


def fit_pairs(starts: Sequence[Values]) -> Pairs:
    """Return what pairs say: for each start of both processes its pairs, ln(candidate / ref)."""
    groups = [asarray(start, dtype=float) for start in starts]
    sizes = [group.shape[-1] for group in groups]
    pairs, lost = _draw_in(concatenate(groups, axis=-1))
    ends = list(accumulate(sizes))
    groups = [pairs[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]
    means = [group.mean(axis=-1) for group in groups]
    within = sum(group.var(axis=-1) * size for group, size in zip(groups, sizes, strict=True))
    df = PRIOR_PAIRS + len(pairs.T) - 1
    fits = []
    for sd, start_sd, share in USUAL:
        ratio = (start_sd / sd) ** 2
        worths = [size / (1 + ratio * size) for size in sizes]
        worth = sum(worths)
        mean = sum(n * m for n, m in zip(worths, means, strict=True)) / worth
        between = sum(n * (m - mean) ** 2 for n, m in zip(worths, means, strict=True))
        prior = PRIOR_PAIRS * sd**2
        weight = math.log(share) + PRIOR_PAIRS / 2 * math.log(prior)
        apart = -sum(math.log1p(ratio * size) for size in sizes) / 2
        fits.append(Fit(weight, apart, worth, mean, (within + between) * lost, prior, df))
    return Pairs(sum(sizes), len(sizes), tuple(fits))


def _draw_in(pairs: Values) -> tuple[Values, Number]:
    """Return the pairs with far ones drawn in, and by what their squared deviations are too small.

    That is ((n - 1) / (h - 1))² if h of n values stay: Tukey and McLaughlin, Sankhya A 25 (1963).
    """
    n = pairs.shape[-1]
    middle = median(pairs, axis=-1, keepdims=True)
    off = pairs - middle
    deviation = median(abs(off), axis=-1, keepdims=True) / NORMAL_MEDIAN_DEVIATION
    usual = (LIMIT_PAIRS * LIMIT_SD**2 + n * deviation**2) / (LIMIT_PAIRS + n)
    furthest = FURTHEST * sqrt(usual)
    stay = (abs(off) <= furthest).sum(axis=-1)
    return middle + clip(off, -furthest, furthest), ((n - 1) / maximum(stay - 1, 1)) ** 2
