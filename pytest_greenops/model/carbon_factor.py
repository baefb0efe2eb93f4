"""The factor that converts joules to grams of CO2e, with its source."""

from __future__ import annotations

import msgspec

from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.units import JOULES


class CarbonFactor(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The carbon intensity of a grid, and the PUE of a data centre on it.

    grams_per_kwh  of the grid, without the PUE
    pue            joules that the data centre draws for each joule of its computers
    region         its code, if the intensity was looked up in `source`, for `year`
    """

    grams_per_kwh: float
    pue: float = 1.0
    region: str | None = None
    source: str | None = None
    year: int | None = None

    def grams(self, energy_j: float) -> float:
        """Return the CO2e of an energy: energy x PUE x intensity (arXiv:2302.08476)."""
        return energy_j / JOULES["kWh"] * self.pue * self.grams_per_kwh


def checked_pue(value: str | float) -> float:
    """Return a PUE from 1 to below 10, which no data centre reaches; raise `InsightError`."""
    try:
        pue = float(value)
    except ValueError:
        pue = 0.0
    if not 1.0 <= pue < 10.0:
        raise InsightError(f"{value!r}: expected a PUE >= 1 and < 10, such as 1.2")
    return pue
