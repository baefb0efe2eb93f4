"""Energy that was not measured but computed: over a life, of a training, on another machine."""

from __future__ import annotations

import math
from typing import NamedTuple

from pytest_greenops.model.carbon_factor import CarbonFactor


class Source(NamedTuple):
    """The measurement that an energy comes from."""

    file: str
    name: str
    domain: str
    estimated: bool


class Energy(NamedTuple):
    """Joules, and their source; None if a user wrote them."""

    joules: float
    source: Source | None = None


class Life(NamedTuple):
    """Energy of a model: of its training, fine-tuning included, and of one inference."""

    training_j: float
    inference_j: float

    def joules(self, inferences: float) -> float:
        """Return the energy of the training and of these inferences (arXiv:2108.13465)."""
        return self.training_j + inferences * self.inference_j


class Crossover(NamedTuple):
    """Which of two models, `A` or `B`, uses less energy, by number of inferences.

    inferences  where both use the same; None if one always uses less
    below       the model that uses less up to there; None if both use the same
    above       the model that uses less from there on; None if both use the same
    """

    inferences: float | None
    below: str | None
    above: str | None


class Extrapolation(NamedTuple):
    """The energy of a whole training, projected from its first epochs.

    joules        of all epochs
    low, high     the 95 % prediction interval; at least what was spent
    total         number of epochs of the training
    seen          number of measured epochs
    window        number of stable epochs that the projection rests on
    window_start  index of the first of them
    epoch_j       their mean
    spent_j       joules of the measured epochs
    start_up_j    joules of the epochs before the window
    stable        False if no window was stable: then the figures are not reliable
    """

    joules: float
    low: float
    high: float
    total: int
    seen: int
    window: int
    window_start: int
    epoch_j: float
    spent_j: float
    start_up_j: float
    stable: bool = True

    @property
    def half(self) -> float:
        """Half of the interval, as a share of the joules."""
        return (self.high - self.low) / 2 / self.joules if self.joules else math.inf


class Hypothetical(NamedTuple):
    """What a measurement would use elsewhere; never a measured figure.

    by_kind_j   joules at the computer, by kind of domain
    facility_j  joules of the data centre for them
    pue         the ratio of the two
    grams       CO2e of the facility, if the intensity is known
    factor      what converts joules to grams
    """

    by_kind_j: dict[str, float]
    facility_j: float
    pue: float
    grams: float | None
    factor: CarbonFactor | None

    @property
    def computer_j(self) -> float:
        """Joules at the computer."""
        return math.fsum(self.by_kind_j.values())
