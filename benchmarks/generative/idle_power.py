"""What a machine would have drawn anyway, taken off what it drew."""

from __future__ import annotations

import math
from typing import NamedTuple

from pytest_greenops.model.errors import InsightError


class Shares(NamedTuple):
    """Energy with what idling would have used, that part alone, and the rest."""

    gross_j: float
    idle_j: float
    net_j: float

    @property
    def idle_share(self) -> float:
        """The idle part of the whole, 0 to 1."""
        return self.idle_j / self.gross_j if self.gross_j else 0.0

    def per(self, units: float) -> Shares:
        """The same for one of so many tokens or requests; raises `InsightError` of none."""
        if not units > 0:
            raise InsightError(f"{units} units of work share no energy; count those that were done")
        return Shares(*(energy_j / units for energy_j in self))


def net_of_idle(energy_j: float, seconds: float, idle_w: float) -> Shares:
    """Split the energy of a window by the power that the same devices draw without work.

    Raises `InsightError` for a figure that is negative or not finite, and where idling would have
    used more than was used: then the two were not measured alike.
    """
    if not all(math.isfinite(value) and value >= 0 for value in (energy_j, seconds, idle_w)):
        raise InsightError(
            f"{energy_j} J in {seconds} s with {idle_w} W idle: none may be negative or infinite"
        )
    idle_j = idle_w * seconds
    if idle_j > energy_j:
        raise InsightError(
            f"idling at {idle_w:g} W for {seconds:g} s is {idle_j:.4g} J, more than the "
            f"{energy_j:.4g} J that were used; measure the idle power anew, by the same sensors"
        )
    return Shares(energy_j, idle_j, energy_j - idle_j)


def utilisation(busy_s: float, seconds: float) -> float:
    """The share of a window in which there was work, 0 to 1; raises `InsightError` of more."""
    if not 0 <= busy_s <= seconds or not seconds:
        raise InsightError(f"busy for {busy_s} s of {seconds} s; a part is no more than its whole")
    return busy_s / seconds
