"""The same work somewhere else: another grid, another data centre, another GPU.

After EnergyVis (arXiv:2103.16435), whose counterfactuals these are. Nothing of it was measured, so
it has a type of its own, `Hypothetical`, that no measured figure has.
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
    """What measured joules would be, elsewhere.

    by_kind_j       joules by kind of domain, as measured: `{"cpu": 1.0, "gpu": 3.0}`
    factor          carbon intensity of the other grid, and the PUE where `pue` says no other
    pue             of the other data centre
    gpu_efficiency  operations a joule of the other GPU over those of this one (GFLOPS/W): 2 halves
                    the joules of kind `gpu`, and leaves all others

    Raises `InsightError` for what is no PUE, an efficiency that is not positive, and a change of
    GPU where no GPU was counted.
    """
    if pue is not None:
        checked_pue(pue)
    if not 0.0 < gpu_efficiency < math.inf:
        raise InsightError(f"{gpu_efficiency:g} is no efficiency; write a number such as 2")
    if gpu_efficiency != 1.0 and "gpu" not in by_kind_j:
        raise InsightError("no GPU was counted, so another GPU changes nothing; leave it out")
    joules = {
        kind: energy_j / gpu_efficiency if kind == "gpu" else energy_j
        for kind, energy_j in by_kind_j.items()
    }
    at = factor.pue if pue is None and factor else pue or 1.0
    computer_j = math.fsum(joules.values())
    if factor is None:
        return Hypothetical(joules, computer_j * at, at, None, None)
    there = CarbonFactor(factor.grams_per_kwh, at, factor.region, factor.source, factor.year)
    return Hypothetical(joules, computer_j * at, at, there.grams(computer_j), there)
