"""Projections of whole trainings from a few epochs, on recorded and on simulated trainings."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from benchmarks.extrapolation.recordings import after_start_up, read
from pytest_greenops.insight.what_if.extrapolate import MAX_EPOCHS, extrapolate, tdp_estimate
from pytest_greenops.insight.what_if.extrapolate import _variance_of_mean as variance_of_mean
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Extrapolation

#: Ten consecutive trainings, none omitted: `python -m benchmarks.extrapolation` on a busy virtual
#: machine without sensors; joules are estimated from CPU time.
RECORDED = read(Path(__file__).with_name("recorded_trainings.jsonl"))
#: Coefficient of variation of ten repeats on one A100: median of 417 published groups.
PUBLISHED_CV = 0.016
SIMULATIONS, EPOCHS = 2000, 40
LEVEL = [10.0, 10.1, 9.9, 10.0, 10.05, 9.95, 10.1, 9.9]


def test_the_start_up_is_spent_but_not_projected() -> None:
    """The start-up is in the spent joules, and not in the mean of an epoch."""
    seen = [40.0, 20.0, *LEVEL[:5]]
    of = extrapolate(seen, total=20)
    assert (of.window_start, of.window, of.seen, of.stable) == (2, 5, 7, True)
    assert of.start_up_j == 60.0
    assert of.spent_j == pytest.approx(sum(seen))
    assert of.epoch_j == pytest.approx(statistics.fmean(LEVEL[:5]))
    assert of.joules == pytest.approx(sum(seen) + 13 * of.epoch_j)
    assert of.low < of.joules < of.high


def test_epochs_after_the_window_are_used_too() -> None:
    """More epochs after the start-up improve the mean and narrow the interval."""
    few, more = (extrapolate([30.0, *LEVEL[:n]], total=50) for n in (5, 8))
    assert (few.window, more.window) == (5, 8)
    assert more.epoch_j == pytest.approx(statistics.fmean(LEVEL))
    assert more.half < few.half


def test_the_interval_of_independent_epochs_is_the_textbook_one() -> None:
    """Student's t with n - 1 degrees over s x sqrt(1/n + 1/m), times the m epochs left."""
    seen = LEVEL[:5]
    of = extrapolate(seen, total=40, correlation=0.0)
    half = 35 * 2.776445 * statistics.stdev(seen) * math.sqrt(1 / 5 + 1 / 35)
    assert [of.joules - half, of.joules + half] == pytest.approx([of.low, of.high], rel=1e-6)
    assert of.half < extrapolate(seen, total=40, correlation=0.5).half


def test_a_whole_training_is_what_was_measured() -> None:
    """Without remaining epochs nothing is projected or uncertain."""
    of = extrapolate(LEVEL, total=len(LEVEL))
    assert (of.joules, of.low, of.high) == pytest.approx((sum(LEVEL),) * 3)


def test_the_interval_is_never_below_the_spent_joules() -> None:
    """The lower bound is at least the spent joules, however much the epochs scatter."""
    of = extrapolate([1.0, 30.0, 2.0, 28.0, 5.0], total=6)
    assert of.low == of.spent_j


def test_a_continuing_drift_is_reported() -> None:
    """Without a stable window the last one is projected, and marked as not stable."""
    of = extrapolate([20.0 - i for i in range(12)], total=20)
    assert not of.stable
    assert of.window_start == 12 - 5


def test_equal_epochs_are_stable() -> None:
    """A simulator or a coarse counter may report the same joules each time."""
    of = extrapolate([9.0, *[0.1 + 0.2] * 6], total=100)
    assert (of.window_start, of.stable) == (1, True)
    assert of.high == pytest.approx(of.low)


@pytest.mark.parametrize(
    ("epochs_j", "total", "settings", "message"),
    [
        (LEVEL[:4], 40, {}, "4 epochs are too few: measure at least 5"),
        (LEVEL, 7, {}, "8 epochs were measured, more than 7 in total"),
        (LEVEL, 40, {"window": 3}, "window of 3 epochs: expected at least 4"),
        (LEVEL, 40, {"correlation": 1.0}, "correlation 1: expected a number from 0"),
        (LEVEL, 10**23, {}, "100000000000000000000000 epochs: expected at most 1000000000000"),
        ([*LEVEL, math.nan], 40, {}, "negative or unknown"),
        ([*LEVEL, -1.0], 40, {}, "negative or unknown"),
    ],
)
def test_invalid_arguments(
    epochs_j: list[float], total: int, settings: dict[str, float], message: str
) -> None:
    """One line names the reason and the fix."""
    with pytest.raises(InsightError, match=message):
        extrapolate(epochs_j, total, **settings)


@pytest.mark.parametrize("rho", [0.0, 0.25, 0.5, 0.9, 0.999, 1 - 1e-6])
@pytest.mark.parametrize("n", [1, 2, 5, 40, 1000])
def test_the_variance_of_a_mean_is_the_sum_over_all_pairs(n: int, rho: float) -> None:
    """The closed form equals the defining sum, for correlations close to 1 too."""
    pairs = math.fsum([n, *(2 * (n - k) * rho**k for k in range(1, n))])
    assert variance_of_mean(n, rho) == pytest.approx(pairs / n**2, rel=1e-6)


def test_the_longest_training_is_projected() -> None:
    """The largest number of epochs takes no longer than a few."""
    of = extrapolate(LEVEL, total=MAX_EPOCHS)
    assert of.joules == pytest.approx(MAX_EPOCHS * of.epoch_j)
    assert of.half == pytest.approx(extrapolate(LEVEL, total=10**7).half, rel=1e-3)


def test_tdp_times_time() -> None:
    """The naive figure is the full design power over the whole time."""
    assert 6000.0 == tdp_estimate(300.0, 20.0)
    with pytest.raises(InsightError, match="-1 W for 1 s"):
        tdp_estimate(-1, 1)


def error(of: Extrapolation, true_j: float) -> float:
    """Return the absolute relative error of a projection."""
    return abs(of.joules / true_j - 1)


def test_recorded_trainings_have_a_start_up() -> None:
    """The loss fell, and the first epoch used more than twice the median."""
    assert len(RECORDED) == 10
    for recording in RECORDED:
        assert recording.loss[1] < 0.1 * recording.loss[0]
        assert recording.epochs_j[0] > 2 * statistics.median(recording.epochs_j)


def test_recorded_trainings_are_projected() -> None:
    """Five stable epochs project at least eight of ten noisy runs within 5 %."""
    errors = []
    for recording in RECORDED:
        of = after_start_up(recording.epochs_j)
        assert of.stable
        assert 1 <= of.window_start <= 6
        assert of.window == 5
        errors.append(error(of, recording.joules))
    assert sum(e <= 0.05 for e in errors) >= 8
    assert statistics.median(errors) < 0.04


def test_longer_windows_reduce_the_error() -> None:
    """More epochs reduce the mean and the largest error of ten noisy runs."""
    short, long = (
        [
            error(extrapolate(r.epochs_j[: after_start_up(r.epochs_j).seen + more], 40), r.joules)
            for r in RECORDED
        ]
        for more in (0, 10)
    )
    assert max(long) < max(short)
    assert statistics.fmean(long) < statistics.fmean(short)


def test_the_start_up_would_bias_the_projection() -> None:
    """The first five epochs have a larger error than a stable window in every recorded run."""
    for recording in RECORDED:
        naive_j = statistics.fmean(recording.epochs_j[:5]) * len(recording.epochs)
        of = after_start_up(recording.epochs_j)
        assert abs(naive_j / recording.joules - 1) > 0.05
        assert abs(naive_j - recording.joules) > abs(of.joules - recording.joules)


def traces(rho: float, cv: float, start_up: float, lasts: float) -> list[list[float]]:
    """Return trainings of 100 J per epoch plus a fading `start_up`, with AR(1) noise."""
    import numpy as np

    chance = np.random.default_rng(2307)
    shocks = chance.normal(size=(SIMULATIONS, EPOCHS))
    noise = shocks.copy()
    for epoch in range(1, EPOCHS):
        noise[:, epoch] = rho * noise[:, epoch - 1] + math.sqrt(1 - rho**2) * shocks[:, epoch]
    fading = 1 + start_up * np.exp(-np.arange(EPOCHS) / lasts)
    made: list[list[float]] = (100 * fading * (1 + cv * noise)).tolist()
    return made


@pytest.mark.parametrize(
    ("rho", "low", "high"),
    [(0.0, 0.97, 1.0), (0.3, 0.94, 0.99), (0.5, 0.91, 0.97)],
    ids=["independent", "weakly correlated", "correlated as assumed"],
)
def test_the_interval_contains_the_truth(rho: float, low: float, high: float) -> None:
    """The coverage is about 95 %, after a short start-up and with AR noise."""
    known = [(after_start_up(trace), sum(trace)) for trace in traces(rho, 0.03, 3.0, 0.4)]
    share = sum(of.low <= true_j <= of.high for of, true_j in known) / len(known)
    assert low <= share <= high


def test_published_noise_is_projected_within_5_percent() -> None:
    """All of 2,000 trainings with the published noise of an A100 are within 5 %."""
    for trace in traces(0.5, PUBLISHED_CV, 1.0, 1.5):
        assert error(after_start_up(trace), sum(trace)) < 0.05
