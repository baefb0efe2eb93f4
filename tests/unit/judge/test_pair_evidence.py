"""The evidence of interleaved pairs, against integrals of the model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from pytest_greenops.judge.pair_evidence import LARGE, SMALL, Fit, Pairs, fit_pairs


def integrated(fit: Fit, change: float, side: int, spread: float) -> float:
    """Return the log-evidence that `fit` gives, by an integral over the changes beyond one.

    They are half normal, with a variance of `spread` times that of a pair; that variance has been
    integrated out by the gamma function.
    """
    distance, power = side * (fit.mean - change), (fit.df + 2) / 2

    def beyond(further: float) -> float:
        squares = fit.squares + fit.worth * (distance - further) ** 2 + further**2 / spread
        return float((squares / fit.squares) ** -power)

    unit = math.sqrt(fit.squares / fit.df)
    points = [unit * each for each in (0.1, 0.5, 1, 3)]
    area = quad(beyond, 0, 200 * unit, points=points, limit=400)[0]
    at = (1 + fit.worth * distance**2 / fit.squares) ** -((fit.df + 1) / 2)
    gammas = math.lgamma(power) - math.lgamma(power - 0.5)
    density = math.log(2 / math.sqrt(math.pi * spread * fit.squares))
    return gammas + density + math.log(area / at)


@pytest.mark.parametrize("spread", [LARGE, SMALL])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("mean", [-0.02, 0.0, 0.03, 0.12])
@pytest.mark.parametrize(("worth", "df"), [(2.5, 9.0), (20.0, 35.0)])
def test_the_evidence_of_one_line_is_the_integral(
    mean: float, side: int, spread: float, worth: float, df: float
) -> None:
    """It is the likelihood averaged over changes beyond one, over that of this change."""
    fit = Fit(-0.5, -1.0, worth, mean, 0.01, 0.0096, df)
    pairs = Pairs(10, 2, (fit,))
    expected = integrated(fit, 0.0488, side, spread)
    assert pairs.evidence(0.0488, side, spread) == pytest.approx(expected, abs=1e-6)


def test_lines_count_by_what_they_explain() -> None:
    """Two lines of equal weight, of which one explains the pairs 1,000 times worse."""
    good = Fit(0.0, 0.0, 10.0, 0.02, 0.01, 0.0, 20.0)
    bad = Fit(-math.log(1000), 0.0, 10.0, 0.08, 0.01, 0.0, 20.0)
    pairs = Pairs(20, 1, (good, bad))
    assert pairs.estimate == pytest.approx((1000 * 0.02 + 0.08) / 1001)
    assert pairs.error == pytest.approx(math.sqrt(0.01 / 20 / 10))
    assert pairs.df == 20.0


@pytest.mark.parametrize("side", [1, -1])
def test_a_bound_is_where_the_evidence_is_reached(side: int) -> None:
    """Beyond it, changes are excluded; with few pairs none is."""
    pairs = fit_pairs([[0.01, 0.03, 0.02, 0.00, 0.04, 0.02], [0.03, 0.01, 0.02, 0.05, 0.0, 0.01]])
    bound = pairs.bound(20.0, side, SMALL)
    assert side * (bound - pairs.estimate) > 0
    assert pairs.evidence(bound, -side, SMALL) == pytest.approx(math.log(20.0), abs=1e-6)
    assert fit_pairs([[0.01]]).bound(1e6, side, SMALL) == side * math.inf


def test_grown_pairs_resemble_these() -> None:
    """Twice as many have the same estimate, and about half the variance of its error."""
    pairs = fit_pairs([[0.01, 0.03, 0.02, 0.0] * 10])
    twice = pairs.grown(80)
    assert (twice.count, twice.starts, twice.df) == (80, 2, pairs.df + 40)
    assert twice.estimate == pytest.approx(pairs.estimate, abs=1e-4)
    assert [one.scatter for one in twice.fits] == pytest.approx(
        [2 * one.scatter for one in pairs.fits]
    )
    assert [one.worth for one in twice.fits] == pytest.approx([2 * one.worth for one in pairs.fits])
    assert [one.starts for one in twice.fits] == pytest.approx(
        [2 * one.starts for one in pairs.fits]
    )


def test_pairs_are_fitted_by_start() -> None:
    """The first line takes shifts of starts for 1/64 of the scatter's variance."""
    [first, *_] = fit_pairs([[0.00, 0.02], [0.06, 0.04]]).fits
    size = 2 / (1 + 2 / 64)
    assert (first.worth, first.mean) == pytest.approx((2 * size, 0.03))
    assert first.scatter == pytest.approx(4 * 0.01**2 + 2 * size * 0.02**2)
    assert (first.prior, first.df) == pytest.approx((6 * 0.04**2, 9.0))
    assert first.starts == pytest.approx(-math.log1p(2 / 64))
    assert first.weight == pytest.approx(math.log(0.6) + 3 * math.log(6 * 0.04**2))


def test_a_far_pair_counts_as_a_less_far_one() -> None:
    """It is drawn in to 1.5 usual standard deviations, and the scatter is raised for it."""
    pairs = [0.01, -0.01, 0.01, -0.01, -0.01, 0.0, 5.0]
    [first, *_] = fit_pairs([pairs]).fits
    usual = (4 * 0.035**2 + 7 * (0.01 / 0.6745) ** 2) / 11
    drawn = np.array([*pairs[:-1], 1.5 * math.sqrt(usual)])
    assert first.mean == pytest.approx(drawn.mean())
    assert first.scatter == pytest.approx(7 * drawn.var() * (6 / 5) ** 2)


def test_repetitions_are_fitted_like_single_comparisons() -> None:
    """The pairs are along the last axis; the axes before it are repetitions."""
    one, other = [0.01, 0.03, 0.02, 0.4], [-0.02, 0.0, 0.05, 0.01]
    both = fit_pairs([np.array([one, other])])
    alone = [fit_pairs([pairs]) for pairs in (one, other)]
    for name in ("estimate", "error"):
        assert getattr(both, name) == pytest.approx([getattr(each, name) for each in alone])
    assert both.evidence(0.0488, 1, SMALL) == pytest.approx(
        [each.evidence(0.0488, 1, SMALL) for each in alone]
    )
