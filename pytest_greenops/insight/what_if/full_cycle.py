"""The energy of a model over its life: training once, inference as often as it is used.

`E(N) = E_training + N x E_inference`, after the full-cycle benchmark of arXiv:2108.13465; the cost
parity of arXiv:2311.16863 is the N at which both terms are the same.
"""

from __future__ import annotations

import math

from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Crossover, Life


def crossover(a: Life, b: Life) -> Crossover:
    """Where the lines of two models cross: `N* = (B's training - A's) / (A's inference - B's)`.

    They do not, for any number of inferences above zero, where one model has both the cheaper
    training and the cheaper inference, or the same of one of them.

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
    """After how many inferences these have used as much as training and fine-tuning together.

    Raises `InsightError` for an energy that is negative or not finite, and an inference of none.
    """
    _check(training_j, inference_j, fine_tuning_j)
    if not inference_j:
        raise InsightError("an inference of 0 J never adds up to its training; measure one")
    return (training_j + fine_tuning_j) / inference_j


def _check(*energies_j: float) -> None:
    for energy_j in energies_j:
        if not math.isfinite(energy_j) or energy_j < 0:
            raise InsightError(
                f"{energy_j} J is no energy of a model; it is finite, and not below 0"
            )
