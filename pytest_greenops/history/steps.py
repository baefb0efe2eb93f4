"""Steps in a trend: where its level changes by more than its noise explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_greenops.model.trend import LEAST_RUNS, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The probability of a step in a trend without one, if its noise is normal.
FALSE_STEP = 0.01
#: Noise is at least this share: figures in files have six digits.
_LEAST_NOISE = 1e-5
#: The median of the absolute value of a standard normal variable.
_MAD = 0.6744897501960817
_CONFIDENCE, _PLACE = 0.95, 0.95


def find_steps(values: Sequence[float]) -> tuple[Step, ...]:
    """Return the steps in the values of runs; none in fewer than six, or where one is not positive.

    Candidates are those of PELT (Killick, Fearnhead, Eckley 2012, JASA 107) on logarithms with a
    quadratic cost and the penalty 2 s^2 ln n for each step, the BIC of a mean and its place (Yao
    1988, Statistics & Probability Letters 6). The noise s is the median absolute difference of
    neighbors, divided by sqrt(2) x 0.6745, which steps hardly change.

    A candidate remains if its t statistic, with the standard deviation within all levels, exceeds
    the quantile for `FALSE_STEP`, divided by the n - 1 places where a step could be (Bonferroni).
    The 95 % interval of its size is widened in the same way. Its place is known as far as the
    likelihood tells: `after` and `until` enclose 95 % of it, with every place equally likely
    before.
    """
    if len(values) < 2 * LEAST_RUNS or min(values) <= 0:
        return ()
    logs = np.log(np.asarray(values, dtype=float))
    noise = max(float(np.median(np.abs(np.diff(logs)))) / (_MAD * math.sqrt(2)), _LEAST_NOISE)
    places, spread = _lasting(logs, _candidates(logs, noise))
    edges = [0, *places, len(logs)]
    steps = []
    for before, at, end in zip(edges, edges[1:], edges[2:], strict=False):
        change = float(np.mean(logs[at:end]) - np.mean(logs[before:at]))
        error = _quantile(1 - _CONFIDENCE, len(logs), len(places)) * _error(before, at, end, spread)
        after, until = _likely_places(logs, before, end, spread)
        shares = (math.expm1(change), math.expm1(change - error), math.expm1(change + error))
        steps.append(Step(at, min(after, at - 1), max(until, at), *shares))
    return tuple(steps)


def changes(values: Sequence[float]) -> tuple[Step, ...]:
    """Return every change of counted work, which has no noise."""
    found = []
    for at, (old, new) in enumerate(pairwise(values), start=1):
        if old > 0 and not math.isclose(old, new, rel_tol=1e-9):
            found.append(Step(at, at - 1, at, new / old - 1))
    return tuple(found)


def _candidates(logs: Floats, noise: float) -> list[int]:
    import ruptures

    # Its linear kernel has the quadratic cost, and searches by PELT in C.
    search: Any = ruptures.KernelCPD(kernel="linear", min_size=LEAST_RUNS)
    penalty = 2 * noise**2 * math.log(len(logs))
    found = search.fit(logs.reshape(-1, 1)).predict(pen=penalty)
    return [int(place) for place in found[:-1]]


def _lasting(logs: Floats, places: list[int]) -> tuple[list[int], float]:
    """Return the places without those that noise may explain, and the noise within levels."""
    kept = list(places)
    while True:
        edges = [0, *kept, len(logs)]
        rest = np.concatenate([logs[b:e] - logs[b:e].mean() for b, e in pairwise(edges)])
        spread = _spread(rest, len(edges) - 1)
        if not kept:
            return kept, spread
        scores = [
            abs(float(np.mean(logs[at:end]) - np.mean(logs[before:at])))
            / _error(before, at, end, spread)
            for before, at, end in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        weakest = min(range(len(kept)), key=scores.__getitem__)
        if scores[weakest] > _quantile(FALSE_STEP, len(logs), len(kept)):
            return kept, spread
        del kept[weakest]


def _spread(rest: Floats, levels: int) -> float:
    """Return the standard deviation within levels, as large as it acts on means of several runs.

    Runs that resemble their neighbors are fewer than they seem: with a correlation r of neighbors,
    the variance of a mean is (1 + r) / (1 - r) times as large (an autoregression of first order).
    """
    squares = float(np.sum(rest**2))
    spread = math.sqrt(squares / max(len(rest) - levels, 1))
    alike = float(np.sum(rest[1:] * rest[:-1])) / squares if squares else 0.0
    alike += levels / len(rest)  # the mean of each level makes it seem smaller
    alike = min(max(alike, 0.0), 0.9)
    return max(spread * math.sqrt((1 + alike) / (1 - alike)), _LEAST_NOISE)


def _error(before: int, at: int, end: int, spread: float) -> float:
    """Return the standard error of the difference of two levels."""
    return spread * math.sqrt(1 / (at - before) + 1 / (end - at))


def _quantile(probability: float, runs: int, steps: int) -> float:
    """Return the quantile of Student's t for two sides and one of `runs - 1` places."""
    from scipy.special import stdtrit

    return float(stdtrit(max(runs - steps - 1, 1), 1 - probability / 2 / (runs - 1)))


def _likely_places(logs: Floats, before: int, end: int, spread: float) -> tuple[int, int]:
    """Return the last point surely before a step, and the first one surely behind it."""
    part = logs[before:end] - logs[before:end].mean()
    left = np.arange(1, len(part))
    sums = np.cumsum(part)
    # What the squares within two levels are less than those within one, for each place.
    gains = sums[:-1] ** 2 / left + (sums[-1] - sums[:-1]) ** 2 / (len(part) - left)
    weights = np.exp((gains - gains.max()) / (2 * spread**2))
    order = np.argsort(-weights, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weights[order]), _PLACE * weights.sum())) + 1
    likely = before + left[order[:enough]]
    return int(likely.min()) - 1, int(likely.max())
