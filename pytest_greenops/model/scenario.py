"""Answers about energy that nobody measured: over a life, of a whole training, somewhere else."""

from __future__ import annotations

import math
from typing import NamedTuple

from pytest_greenops.model.carbon_factor import CarbonFactor


class Source(NamedTuple):
    """The measurement of which one call used an energy: in which file, and of which domain."""

    file: str
    name: str
    domain: str
    estimated: bool


class Energy(NamedTuple):
    """Joules, and where they come from; None: a person wrote them."""

    joules: float
    source: Source | None = None


class Life(NamedTuple):
    """Energy of a model: of its training, fine-tuning included, and of one inference."""

    training_j: float
    inference_j: float

    def joules(self, inferences: float) -> float:
        """All that it uses until so many inferences are done (arXiv:2108.13465)."""
        return self.training_j + inferences * self.inference_j


class Crossover(NamedTuple):
    """Which of two models, `A` or `B`, uses less energy over how many inferences.

    inferences  where both use the same; None where the one that uses less is always the same one
    below       which uses less up to there; None: both use the same
    above       which uses less from there on; None: both use the same
    """

    inferences: float | None
    below: str | None
    above: str | None


class Extrapolation(NamedTuple):
    """The energy of a whole training, from its first epochs.

    joules        of all its epochs
    low, high     the 95 % prediction interval; never below what was spent
    total         how many epochs it will have
    seen          how many were measured
    window        how many of them the projection rests on: those that are stable
    window_start  which of them (from 0) is the first of these
    epoch_j       the mean of these
    spent_j       what the measured epochs used
    start_up_j    what those before the window used
    stable        False where no window was stable: then its figures are not to be trusted
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
        """Half of the interval as a share of the joules."""
        return (self.high - self.low) / 2 / self.joules if self.joules else math.inf


class Hypothetical(NamedTuple):
    """What a measurement would have come to elsewhere; never what was measured.

    by_kind_j   joules at the computer, by kind of domain
    facility_j  the same with what the data centre adds
    pue         by which it adds
    grams       CO2e of that, where the intensity is known
    factor      what the grams were made with
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
