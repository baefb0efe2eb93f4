"""Statistics, checked against known values."""

from __future__ import annotations

import math
import random
import statistics
import warnings
from collections.abc import Sequence

import numpy as np
import pytest

from pytest_greenops.judge.stats import (
    f_quantile,
    holm,
    pooled_variance,
    shared_variance,
    slope,
    spending,
    t_quantile,
    t_tail,
    trimmed_mean,
    variance,
)

#: Twenty values without any pattern.
VALUES = list(map(random.Random(20).gauss, [5.0] * 20, [2.0] * 20))


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([7.0], 7.0),
        ([1.0, 4.0], 2.5),
        ([9.0, 1.0, 2.0], 2.0),
        ([100.0, 1.0, 2.0, 4.0], 3.0),
        ([1000.0, 1.0, 2.0, 6.0, -1000.0], 3.0),
        ([1000.0, 1.0, 2.0, 3.0, 4.0, -1000.0], 2.5),
        ([-90.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 90.0], 4.5),
        ([-90.0, -80.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 80.0, 90.0], 29 / 6),
        ([float(i) ** 3 for i in range(15)], sum(i**3 for i in range(3, 12)) / 9),
    ],
)
def test_a_trimmed_mean_drops_a_fifth_at_each_end(values: Sequence[float], mean: float) -> None:
    """It drops one of five, two of ten, three of fifteen; below five it is the median."""
    assert trimmed_mean(values) == pytest.approx(mean, rel=1e-12)


def test_a_trimmed_mean_ignores_the_order() -> None:
    """The same values in any order have the same mean, to the last bit."""
    assert trimmed_mean(VALUES) == trimmed_mean(VALUES[::-1])


def test_outliers_in_a_fifth_do_not_move_a_trimmed_mean() -> None:
    """Two of ten rounds may be wrong by any factor."""
    clean = [1.0] * 8
    assert trimmed_mean([*clean, 50.0, 1e9]) == 1.0
    assert trimmed_mean([*clean[:7], 50.0, 60.0, 1e9]) > 1.0


def test_variance_is_that_of_a_sample() -> None:
    """It divides by n - 1, like the standard library."""
    assert variance(VALUES) == pytest.approx(statistics.variance(VALUES), rel=1e-12)
    assert (variance([3.0]), variance([])) == (0.0, 0.0)


def test_pooled_variance_is_within_groups() -> None:
    """It is the mean of the groups' variances, weighted by degrees of freedom."""
    groups = [[1.0, 3.0], [101.0, 102.0, 103.0], [7.0], []]
    assert pooled_variance(groups) == pytest.approx((1 * 2.0 + 2 * 1.0) / 3, rel=1e-12)
    assert (pooled_variance([[1.0], [2.0]]), pooled_variance([])) == (0.0, 0.0)


def test_each_repetition_has_its_own_variance_and_mean() -> None:
    """The axes before the last one are repetitions: here three of two and of four values."""
    pairs = np.array([[1.0, 3.0], [5.0, 5.0], [0.0, 4.0]])
    fours = np.array([[0.0, 0.0, 4.0, 4.0]] * 3)
    assert variance(pairs) == pytest.approx([2.0, 0.0, 8.0])
    assert variance(pairs[:, :1]) == pytest.approx([0.0, 0.0, 0.0])
    assert pooled_variance([pairs, fours]) == pytest.approx([4.5, 4.0, 6.0])
    fives = np.array([[[1.0, 2.0, 9.0, 3.0, 4.0]], [[0.0, 0.0, 0.0, 0.0, 9.0]]])
    assert trimmed_mean(fives).tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize(
    ("probability", "df", "quantile"),
    [
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.95, 4, 2.132),
        (0.99, 8, 2.896),
        (0.975, 9, 2.262),
        (0.995, 10, 3.169),
        (0.9, 12, 1.356),
        (0.99, 2, 6.965),
        (0.975, 1e9, 1.960),
        (0.5, 5, 0.0),
        (0.025, 9, -2.262),
    ],
)
def test_t_quantiles_are_those_of_the_tables(
    probability: float, df: float, quantile: float
) -> None:
    """They agree with printed tables of Student's t to three digits."""
    assert t_quantile(probability, df) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("rho", [2, 3])
def test_all_looks_together_spend_alpha(alpha: float, looks: int, rho: int) -> None:
    """The shares of all looks add up to the whole error."""
    spent = [spending(alpha, look, looks, rho) for look in range(1, looks + 1)]
    assert math.fsum(spent) == pytest.approx(alpha, rel=1e-12)


def test_early_looks_spend_little() -> None:
    """The shares of four looks are 1, 3, 5 and 7 sixteenths."""
    spent = [spending(16.0, look, 4, 2) for look in (1, 2, 3, 4)]
    assert spent == pytest.approx([1.0, 3.0, 5.0, 7.0], rel=1e-12)


def test_the_slope_of_a_line_is_exact() -> None:
    """Points on a line have its slope, without error."""
    rise, error = slope([2.0 + 0.5 * i for i in range(7)])
    assert (rise, error) == pytest.approx((0.5, 0.0), abs=1e-12)


def test_the_slope_is_that_of_least_squares() -> None:
    """Slope and standard error are those of linear regression over the index."""
    rise, error = slope(VALUES)
    line = statistics.linear_regression(range(20), VALUES)
    left = [v - line.intercept - line.slope * i for i, v in enumerate(VALUES)]
    spread = sum((i - 9.5) ** 2 for i in range(20))
    known = math.sqrt(sum(e * e for e in left) / 18 / spread)
    assert (rise, error) == pytest.approx((line.slope, known), rel=1e-9)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_two_points_have_no_slope(values: Sequence[float]) -> None:
    """With fewer than three values the slope is 0, with an infinite error."""
    assert slope(values) == (0.0, math.inf)
    assert slope([1.0, 2.0, 3.0])[0] == pytest.approx(1.0)


#: Five variances about 2. The median deviation of their logarithms is that of groups with one
#: degree of freedom: `unlike` is 4, so half the degrees are (1 + sqrt(1 + 8)) / 8.
UNLIKE = [2.0 * math.exp(1.453690 * step) for step in (2, -1, 0, 1, -2)]
#: Five equal ones.
ALIKE = [2.0] * 5


def test_equal_variances_are_shared_without_doubt() -> None:
    """With four degrees of freedom a median of chi-square is 1.3104 below its mean's logarithm."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared, worth = shared_variance(ALIKE, 4)
    assert (shared, worth) == (pytest.approx(2.0 * 1.310440, rel=1e-6), math.inf)


def test_unlike_variances_share_little() -> None:
    """Two and minus one digammas cancel: what is shared is the median over e, for one degree."""
    shared, worth = shared_variance(UNLIKE, [4] * 5)
    assert (shared, worth) == pytest.approx((2.0 / math.e, 1.0), rel=1e-5)


def test_somewhat_unlike_variances_share_something() -> None:
    """Half of what chance does not explain: (1 + sqrt(2)) times two degrees."""
    somewhat = [2.0 * math.exp(0.721726 * step) for step in (2, -1, 0, 1, -2)]
    assert shared_variance(somewhat, 4)[1] == pytest.approx(4.828427, rel=1e-5)


def test_each_repetition_shares_its_own_variances() -> None:
    """The groups are along the last axis, and may have degrees of freedom of their own."""
    variances, degrees = np.array([UNLIKE, [9.0] * 5]), np.array([[2, 4, 4, 6, 9], [4] * 5])
    shared, worth = shared_variance(variances, degrees)
    alone = [shared_variance(*each) for each in zip(variances, degrees, strict=True)]
    assert list(zip(shared, worth, strict=True)) == [pytest.approx(each) for each in alone]
    assert alone[0] != pytest.approx(alone[1])


def test_a_variance_of_zero_is_a_very_small_one() -> None:
    """Sessions that agree to the last digit have a logarithm of their variance."""
    shared, worth = shared_variance([0.0] * 5, 4)
    assert (shared, worth) == (pytest.approx(1.310440e-12, rel=1e-6), math.inf)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.01, 0.02, 0.04], [0.03, 0.04, 0.04]),
        ([0.7, 0.6], [1.0, 1.0]),
    ],
)
def test_p_values_grow_with_the_number_of_comparisons(
    p_values: Sequence[float], adjusted: Sequence[float]
) -> None:
    """The smallest of three counts three times, the next twice; none shrinks, none exceeds 1."""
    assert holm(p_values) == pytest.approx(adjusted, rel=1e-12)


def test_tails_and_quantiles_of_ratios_are_those_of_the_tables() -> None:
    """Student's t with 4 degrees exceeds 2.132 in 5 %; F with 2 and 10 has 4.10 at 95 %."""
    assert t_tail(2.132, 4) == pytest.approx(0.05, abs=5e-5)
    assert f_quantile(0.95, 2, 10) == pytest.approx(4.10, abs=5e-3)
