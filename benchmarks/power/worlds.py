"""Scatter of energy on real machines, as arrays of logarithms with a known true change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

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

    round_sd    standard deviation of rounds within a session
    drift       share of that variance that is an AR(1) drift; the rest is white
    spikes      share of rounds in which something else ran
    spike       mean increase of such a round (exponential)
    creep       mean increase while the machine warms up
    session_sd  standard deviation of session levels, with Student's t5 tails if `tails`
    shared      share of that variance that all tests of a run share
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
        """Return sessions of work with a true change: an array (*shape, rounds).

        Args:
            rng: the random generator
            shape: shape of the sessions
            rounds: rounds per session
            change: the true relative change of the work
            machine: shift of each run, from `machine()`; for shape (runs, tests)
        """
        level = math.log1p(change) + math.sqrt(1 - self.shared) * self._levels(rng, shape)
        if machine is not None:
            level = level + machine[..., None]
        white = rng.standard_normal((*shape, rounds)) * math.sqrt(1 - self.drift)
        noise = white + self._drift(rng, shape, rounds)
        increase = np.log1p(rng.exponential(self.spike, (*shape, rounds)))
        spiked = rng.random((*shape, rounds)) < self.spikes
        rise = rng.normal(self.creep, self.creep / 2, (*shape, 1))
        warming = rise * (1 - np.exp(-np.arange(rounds) / WARM_UP))
        values: Array = level[..., None] + self.round_sd * noise + spiked * increase + warming
        return values

    def machine(self, rng: np.random.Generator, runs: int) -> Array:
        """Return the shift of the whole machine in each run."""
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
    """Return a world of white noise and only the named scatter; `tails=True` for heavy tails."""
    nothing: dict[str, Any] = {"drift": 0.0, "spikes": 0.0, "creep": 0.0, "tails": False}
    return World(round_sd, session_sd, **{**nothing, **scatter})


def unlike(rng: np.random.Generator, shape: tuple[int, ...], factor: float) -> Array:
    """Return the noise of each test relative to the usual: log-uniform, up to a factor."""
    reach = math.log(factor)
    return np.exp(rng.uniform(-reach, reach, shape))
