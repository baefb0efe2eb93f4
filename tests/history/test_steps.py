"""Steps in a trend."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_greenops.history.steps import changes, find_steps


def noisy(*levels: tuple[int, float], sd: float = 0.01, seed: int = 1) -> list[float]:
    """Return runs of these levels, with noise of a share of them."""
    rng = np.random.default_rng(seed)
    return [float(level * np.exp(rng.normal(0, sd))) for runs, level in levels for _ in range(runs)]


def test_a_step_has_its_place_and_size() -> None:
    """An increase of 10 % in noise of 1 % is found between its two runs, with its interval."""
    [step] = find_steps(noisy((12, 2.0), (8, 2.2)))
    assert (step.at, step.after, step.until) == (12, 11, 12)
    assert step.low is not None
    assert step.high is not None
    assert step.low < 0.10 < step.high
    assert step.high - step.low < 0.05


def test_several_steps_are_found_in_order() -> None:
    """A regression and its fix are two steps."""
    steps = find_steps(noisy((10, 2.0), (10, 2.6), (10, 2.0)))
    assert [step.at for step in steps] == [10, 20]
    assert [round(step.relative, 1) for step in steps] == [0.3, -0.2]


@pytest.mark.parametrize("runs", [1, 2, 5, 6, 20, 60])
def test_noise_is_no_step(runs: int) -> None:
    """Runs of one level have no step, however many they are."""
    assert [find_steps(noisy((runs, 2.0), seed=seed)) for seed in range(8)] == [()] * 8


def test_one_outlier_is_no_step() -> None:
    """A run that was disturbed does not change the level."""
    values = noisy((20, 2.0))
    values[9] *= 1.5
    assert find_steps(values) == ()


def test_an_uncertain_place_is_a_range() -> None:
    """Where a step is small beside the noise, its range of runs includes the true place."""
    [step] = find_steps(noisy((25, 2.0), (25, 2.06), sd=0.02, seed=5))
    assert step.after < 25 <= step.until
    assert step.until - step.after > 1


def test_values_without_noise_have_exact_steps() -> None:
    """Equal values of a fake sensor, and an exact step."""
    assert find_steps([2.0] * 10) == ()
    [step] = find_steps([2.0] * 5 + [3.0] * 5)
    assert (step.at, round(step.relative, 3)) == (5, 0.5)


def test_each_change_of_counted_work_is_a_step() -> None:
    """Work has no noise, so that one run is enough."""
    found = changes([100.0, 100.0, 110.0, 99.0, 99.0])
    assert [(step.at, step.after, round(step.relative, 3)) for step in found] == [
        *((2, 1, 0.1), (3, 2, -0.1)),
    ]
    assert changes([0.0, 5.0]) == ()
