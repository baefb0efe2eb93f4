"""Measured joules on another grid, in another data centre or on another GPU.

The counterfactuals of EnergyVis (arXiv:2103.16435). Nothing here was measured, so the answer has
its own type, `Hypothetical`, which no measured figure has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pytest_greenops.model.carbon_factor import CarbonFactor, checked_pue
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Hypothetical


def what_if(
    by_kind_j: Mapping[str, float],
    *,
    factor: CarbonFactor | None = None,
    pue: float | None = None,
    gpu_efficiency: float = 1.0,
) -> Hypothetical:
    """Return what measured joules would be under other conditions.

    by_kind_j       measured joules by kind of domain: `{"cpu": 1.0, "gpu": 3.0}`
    factor          carbon intensity of the other grid, with its PUE where `pue` is None
    pue             PUE of the other data centre
    gpu_efficiency  operations per joule of the other GPU relative to this one (GFLOPS/W): 2 halves
                    the joules of kind `gpu` and changes no others

    Raises `InsightError` for an invalid PUE or efficiency, and for another GPU where no GPU was
    measured.
    """
    if pue is not None:
        checked_pue(pue)
    if not 0.0 < gpu_efficiency < math.inf:
        raise InsightError(f"GPU efficiency {gpu_efficiency:g}: expected a number > 0, e.g. 2")
    if gpu_efficiency != 1.0 and "gpu" not in by_kind_j:
        raise InsightError("no GPU was measured, so another GPU changes nothing: omit it")
    joules = {
        kind: energy_j / gpu_efficiency if kind == "gpu" else energy_j
        for kind, energy_j in by_kind_j.items()
    }
    if pue is None:
        pue = factor.pue if factor else 1.0
    computer_j = math.fsum(joules.values())
    if factor is None:
        return Hypothetical(joules, computer_j * pue, pue, None, None)
    factor = CarbonFactor(factor.grams_per_kwh, pue, factor.region, factor.source, factor.year)
    return Hypothetical(joules, computer_j * pue, pue, factor.grams(computer_j), factor)
