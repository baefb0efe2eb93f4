"""Interleaved comparisons on simulated machines, judged by the project's own code.

Both sides run in turns on one path of the machine: drift, warming and spikes go on over the pairs,
and what the session shifts is the same on both sides. A start of the two processes shifts all its
pairs, and nothing shares that shift.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.power.worlds import TAILS, Array, World
from pytest_greenops.judge.pair_decision import MOST_PAIRS, TO_EXCLUDE, Comparison, compare
from pytest_greenops.judge.pair_evidence import SMALL

REGRESSED, IMPROVED, PASSED = range(1, 4)


class Shares(NamedTuple):
    """The share of each outcome over many comparisons, and their mean number of pairs.

    missed  the share whose interval does not hold the true change where they end
    """

    regressed: float
    improved: float
    passed: float
    inconclusive: float
    missed: float
    pairs: float


@dataclass(frozen=True)
class Row:
    """One kind of noise, and how its comparisons are made.

    start_sd  standard deviation of the shift of a start, with the tails of Student's t5
    a_start   pairs of a start
    tails     degrees of freedom of Student's t for the scatter of a round; None is normal
    """

    name: str
    world: World
    start_sd: float = 0.0
    a_start: int = 1
    margin: float = 0.05
    tails: int | None = None

    def tried(self, change: float, repetitions: int) -> Shares:
        """Return the outcomes of comparisons of work with this true change."""
        rng = np.random.default_rng(zlib.crc32(f"{self}{change}".encode()))
        level = math.log1p(change)
        pairs = self._pairs(rng, repetitions) + level
        outcomes, counts = np.zeros(repetitions), np.zeros(repetitions)
        missed = np.zeros(repetitions, dtype=bool)
        open_ = np.arange(repetitions)
        for count in range(1, MOST_PAIRS + 1):
            found = compare(list(self._starts(pairs[open_, :count])), self.margin)
            over = np.broadcast_to(found.over, open_.shape)
            for called, outcome in (
                (found.regressed, REGRESSED),
                (found.improved, IMPROVED),
                (found.passed, PASSED),
            ):
                outcomes[open_[np.broadcast_to(called, open_.shape)]] = outcome
            if over.any():
                counts[open_[over]] = count
                missed[open_[over]] = excludes(found, level)[over]
                open_ = open_[~over]
            if not len(open_):
                break
        each = [float((outcomes == outcome).mean()) for outcome in (REGRESSED, IMPROVED, PASSED, 0)]
        return Shares._make([*each, float(missed.mean()), float(counts.mean())])

    def _starts(self, pairs: Array) -> Iterator[Array]:
        """Yield the pairs of each start; the last one may have fewer."""
        for first in range(0, pairs.shape[-1], self.a_start):
            yield pairs[..., first : first + self.a_start]

    def _pairs(self, rng: np.random.Generator, repetitions: int) -> Array:
        """Return ln(candidate / ref) of all pairs of unchanged work, in random order AB or BA."""
        world = replace(self.world, round_sd=0.0) if self.tails else self.world
        rounds = world.session(rng, (repetitions,), 2 * MOST_PAIRS)
        if self.tails:
            unit = math.sqrt(self.tails / (self.tails - 2))
            rounds += self.world.round_sd / unit * rng.standard_t(self.tails, rounds.shape)
        order = rng.choice([-1.0, 1.0], (repetitions, MOST_PAIRS))
        starts = -(-MOST_PAIRS // self.a_start)
        unit = math.sqrt(TAILS / (TAILS - 2))
        shifts = rng.standard_t(TAILS, (repetitions, starts)) * self.start_sd / unit
        shifted = np.repeat(shifts, self.a_start, axis=-1)[:, :MOST_PAIRS]
        pairs: Array = order * (rounds[:, 1::2] - rounds[:, ::2]) + shifted
        return pairs


def excludes(found: Comparison, change: float) -> Array:
    """Return whether the confidence interval of each comparison excludes a change.

    This asks for the evidence that the ends of the interval are solved for.
    """
    above, below = (found.pairs.evidence(change, side, SMALL) for side in (1, -1))
    excluded: Array = np.maximum(above, below) >= math.log(TO_EXCLUDE)
    return excluded
