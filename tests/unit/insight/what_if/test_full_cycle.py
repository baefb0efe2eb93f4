"""The energy of models over their lives: crossover of two models, and cost parity."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.insight.what_if.full_cycle import crossover, parity
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Crossover, Life

CHEAP_TRAINING, CHEAP_INFERENCE = Life(10.0, 3.0), Life(50.0, 1.0)


def test_training_is_paid_once_and_inference_each_time() -> None:
    """The energy of a life grows linearly with the inferences."""
    assert [100.0, 102.0, 300.0] == [Life(100.0, 2.0).joules(n) for n in (0, 1, 100)]


def test_both_models_use_the_same_at_the_crossover() -> None:
    """At N* the lines meet, in either order of the models."""
    crossing = crossover(CHEAP_INFERENCE, CHEAP_TRAINING)
    assert crossing == Crossover(20.0, "B", "A")
    assert crossover(CHEAP_TRAINING, CHEAP_INFERENCE) == Crossover(20.0, "A", "B")
    assert CHEAP_TRAINING.joules(20) == CHEAP_INFERENCE.joules(20)
    assert CHEAP_TRAINING.joules(19) < CHEAP_INFERENCE.joules(19)
    assert CHEAP_TRAINING.joules(21) > CHEAP_INFERENCE.joules(21)


@pytest.mark.parametrize(
    ("a", "b", "always"),
    [
        (Life(1.0, 1.0), Life(2.0, 2.0), "A"),
        (Life(2.0, 2.0), Life(1.0, 1.0), "B"),
        (Life(1.0, 1.0), Life(2.0, 1.0), "A"),
        (Life(2.0, 1.0), Life(1.0, 1.0), "B"),
        (Life(1.0, 2.0), Life(1.0, 1.0), "B"),
        (Life(1.0, 1.0), Life(1.0, 2.0), "A"),
        (Life(1.0, 1.0), Life(1.0, 1.0), None),
    ],
    ids=["less in both", "more in both", *["equal slopes"] * 2, *["equal training"] * 2, "same"],
)
def test_no_crossover(a: Life, b: Life, always: str | None) -> None:
    """Where one model always uses less, or both use the same, there is no N*."""
    assert Crossover(None, always, always) == crossover(a, b)


def test_parity() -> None:
    """Parity is the number of inferences that use as much as training and fine-tuning."""
    assert 50.0 == parity(100.0, 2.0)
    assert 75.0 == parity(100.0, 2.0, fine_tuning_j=50.0)


@pytest.mark.parametrize("energy_j", [-1.0, math.nan, math.inf])
def test_invalid_energies(energy_j: float) -> None:
    """A negative or unknown energy is an error."""
    with pytest.raises(InsightError, match=r"energy .* J: expected a finite number >= 0"):
        crossover(Life(1.0, energy_j), Life(1.0, 1.0))
    with pytest.raises(InsightError, match=r"energy .* J: expected a finite number >= 0"):
        parity(energy_j, 1.0)


def test_an_inference_of_zero_joules_has_no_parity() -> None:
    """No number of inferences without energy adds up to a training."""
    with pytest.raises(InsightError, match="0 J never adds up"):
        parity(1.0, 0.0)
