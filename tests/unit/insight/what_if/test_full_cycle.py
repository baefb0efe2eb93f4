"""The energy of models over their lives: where two cross, and when usage has caught up."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.insight.what_if.full_cycle import crossover, parity
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Crossover, Life

THRIFTY_TO_TRAIN, THRIFTY_TO_USE = Life(10.0, 3.0), Life(50.0, 1.0)


def test_training_is_paid_once_and_inference_each_time() -> None:
    """The energy of a life is a line over the inferences."""
    assert [100.0, 102.0, 300.0] == [Life(100.0, 2.0).joules(n) for n in (0, 1, 100)]


def test_both_use_the_same_where_they_cross() -> None:
    """At N* the lines meet, and they do so from either side."""
    crossing = crossover(THRIFTY_TO_USE, THRIFTY_TO_TRAIN)
    assert crossing == Crossover(20.0, "B", "A")
    assert crossover(THRIFTY_TO_TRAIN, THRIFTY_TO_USE) == Crossover(20.0, "A", "B")
    assert THRIFTY_TO_TRAIN.joules(20) == THRIFTY_TO_USE.joules(20)
    assert THRIFTY_TO_TRAIN.joules(19) < THRIFTY_TO_USE.joules(19)
    assert THRIFTY_TO_TRAIN.joules(21) > THRIFTY_TO_USE.joules(21)


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
    ids=[
        "dearer in both",
        "cheaper in both",
        *["equal slopes"] * 2,
        *["equal training"] * 2,
        "same",
    ],
)
def test_lines_may_not_cross(a: Life, b: Life, always: str | None) -> None:
    """One model uses less at any usage, or both use the same: there is no N* to tell."""
    assert Crossover(None, always, always) == crossover(a, b)


def test_parity() -> None:
    """So many inferences use as much as the training, and the fine-tuning where there was one."""
    assert 50.0 == parity(100.0, 2.0)
    assert 75.0 == parity(100.0, 2.0, fine_tuning_j=50.0)


@pytest.mark.parametrize("energy_j", [-1.0, math.nan, math.inf])
def test_what_is_no_energy_is_refused(energy_j: float) -> None:
    """A negative or unknown energy crosses nothing."""
    with pytest.raises(InsightError, match="is no energy"):
        crossover(Life(1.0, energy_j), Life(1.0, 1.0))
    with pytest.raises(InsightError, match="is no energy"):
        parity(energy_j, 1.0)


def test_an_inference_for_nothing_has_no_parity() -> None:
    """However often it is done, it uses nothing."""
    with pytest.raises(InsightError, match="0 J never adds up"):
        parity(1.0, 0.0)
