"""The energy of a model over its life: one training, and every inference.

`E(N) = E_training + N x E_inference`, after the full-cycle benchmark of arXiv:2108.13465. The cost
parity of arXiv:2311.16863 is the N at which both terms are equal.
"""

from __future__ import annotations

import math

from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Crossover, Life


def crossover(a: Life, b: Life) -> Crossover:
    """Return where the lines of two models cross: `N* = (B_train - A_train) / (A_inf - B_inf)`.

    They do not cross above zero inferences where one model uses less for both training and
    inference, or less for one and the same for the other.

    Raises `InsightError` for an energy that is negative or not finite.
    """
    for life in (a, b):
        _check(*life)
    more_training_j = b.training_j - a.training_j
    saved_j = a.inference_j - b.inference_j
    if more_training_j * saved_j > 0:
        below, above = ("A", "B") if more_training_j > 0 else ("B", "A")
        return Crossover(more_training_j / saved_j, below, above)
    if not more_training_j and not saved_j:
        return Crossover(None, None, None)
    always = "A" if more_training_j > 0 or saved_j < 0 else "B"
    return Crossover(None, always, always)


def parity(training_j: float, inference_j: float, fine_tuning_j: float = 0.0) -> float:
    """Return the number of inferences that use as much as training and fine-tuning together.

    Raises `InsightError` for an energy that is negative or not finite, and for 0 J per inference.
    """
    _check(training_j, inference_j, fine_tuning_j)
    if not inference_j:
        raise InsightError(
            "an inference of 0 J never adds up to its training: measure the energy of an inference"
        )
    return (training_j + fine_tuning_j) / inference_j


def _check(*energies_j: float) -> None:
    for energy_j in energies_j:
        if not math.isfinite(energy_j) or energy_j < 0:
            raise InsightError(f"energy {energy_j} J: expected a finite number >= 0")
