"""How energy scatters on real machines, as arrays of logarithms whose true change is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

#: Correlation of a drift from one round to the next.
DRIFT = 0.8
#: Degrees of freedom of heavy tails.
TAILS = 5
#: Rounds over which a machine warms up.
WARM_UP = 5


@dataclass(frozen=True)
class World:
    """Scatter of one test, in logarithms: 0.03 is 3 %.

    round_sd    of a round within its session, and
    drift       the share of its variance that is an AR(1) drift; the rest is white
    spikes      share of rounds beside which something else ran, and
    spike       by how much such a round is dearer, in the mean (exponential)
    creep       by how much a machine gets dearer while it warms up, in the mean
    session_sd  of the level of a session, with Student's t5 tails or without
    shared      the share of its variance that all tests of a run have in common
    """

    round_sd: float = 0.03
    session_sd: float = 0.01
    drift: float = 0.25
    spikes: float = 0.05
    spike: float = 0.10
    creep: float = 0.01
    tails: bool = True
    shared: float = 0.0

    def session(
        self,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        rounds: int,
        change: float = 0.0,
        machine: Array | None = None,
    ) -> Array:
        """Sessions of so many rounds each, of work that truly changed by so much: (*shape, n).

        machine  what all tests of a run share, as `machine` draws it; for shape (runs, tests)
        """
        level = math.log1p(change) + math.sqrt(1 - self.shared) * self._levels(rng, shape)
        if machine is not None:
            level = level + machine[..., None]
        white = rng.standard_normal((*shape, rounds)) * math.sqrt(1 - self.drift)
        noise = white + self._drift(rng, shape, rounds)
        dearer = np.log1p(rng.exponential(self.spike, (*shape, rounds)))
        spiked = rng.random((*shape, rounds)) < self.spikes
        rise = rng.normal(self.creep, self.creep / 2, (*shape, 1))
        warming = rise * (1 - np.exp(-np.arange(rounds) / WARM_UP))
        values: Array = level[..., None] + self.round_sd * noise + spiked * dearer + warming
        return values

    def machine(self, rng: np.random.Generator, runs: int) -> Array:
        """By how much the whole machine is dearer in each of so many runs."""
        return math.sqrt(self.shared) * self._levels(rng, (runs,))

    def _levels(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        if not self.tails:
            return rng.normal(0.0, self.session_sd, shape)
        return rng.standard_t(TAILS, shape) * self.session_sd / math.sqrt(TAILS / (TAILS - 2))

    def _drift(self, rng: np.random.Generator, shape: tuple[int, ...], rounds: int) -> Array:
        steps = rng.standard_normal((*shape, rounds)) * math.sqrt(self.drift)
        for i in range(1, rounds):
            steps[..., i] *= math.sqrt(1 - DRIFT**2)
            steps[..., i] += DRIFT * steps[..., i - 1]
        return steps


def only(round_sd: float = 0.03, session_sd: float = 0.01, **scatter: float) -> World:
    """A world of white noise, and no more than what is named; `tails=True` for heavy ones."""
    nothing = {"drift": 0.0, "spikes": 0.0, "creep": 0.0, "tails": False}
    return World(round_sd, session_sd, **{**nothing, **scatter})  # type: ignore[arg-type]


def unlike(rng: np.random.Generator, shape: tuple[int, ...], factor: float) -> Array:
    """How much noisier each test of a suite is than the usual one: log-uniform, up to a factor."""
    reach = math.log(factor)
    return np.exp(rng.uniform(-reach, reach, shape))
