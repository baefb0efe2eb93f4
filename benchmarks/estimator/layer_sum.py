"""The joules of a network as the sum of its layers, each estimated by what is known of its kind."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from benchmarks.estimator.estimate import LayerProfile, LayerShape
from benchmarks.estimator.layer_energy import LayerEnergy, trend

#: Profiles of one kind that a process of its own needs, of distinct shapes.
LEAST_PROFILES = 5
#: Of all kinds together, so many profiles are used at the most: a process costs their cube.
MOST_POOLED = 150


class LayerSum(NamedTuple):
    """A sum of layers.

    layers   how many it sums
    log_sd   standard deviation of the logarithm of its joules, as the processes see it
    guessed  share of the joules that unknown and extrapolated layers make up
    """

    joules: float
    layers: int
    log_sd: float
    unknown: tuple[LayerShape, ...]
    extrapolated: tuple[LayerShape, ...]
    guessed: float


class LayerEnergies:
    """What profiles tell of layers: a process for each kind, and one of all for those without."""

    def __init__(self, profiles: Sequence[LayerProfile], seed: int) -> None:
        self._profiles, self._seed = profiles, seed
        self._usual = trend(profiles)
        by_kind: dict[str, list[LayerProfile]] = defaultdict(list)
        for profile in profiles:
            by_kind[profile.shape.kind].append(profile)
        self._by_kind = {
            kind: LayerEnergy(of_kind, self._usual, seed)
            for kind, of_kind in by_kind.items()
            if len({profile.shape for profile in of_kind}) >= LEAST_PROFILES
        }

    @cached_property
    def _of_any_kind(self) -> LayerEnergy:
        drawn = random.Random(self._seed).sample(
            list(self._profiles), min(MOST_POOLED, len(self._profiles))
        )
        return LayerEnergy(drawn, self._usual, self._seed)

    def sum(self, shapes: Iterable[LayerShape]) -> LayerSum:
        """The joules of these layers together.

        Their logarithms are normal, and a sum of such is taken for log-normal with the same mean
        and variance (Fenton, IRE Trans. Commun. Syst. 8, 1960). Layers of unknown kinds err all to
        the same side, the others as their process says.
        """
        import numpy as np

        calls = Counter(shapes)
        by_kind: dict[str, list[LayerShape]] = defaultdict(list)
        for shape in calls:
            by_kind[shape.kind if shape.kind in self._by_kind else ""].append(shape)
        mean_j = variance_j2 = guessed_j = 0.0
        extrapolated: list[LayerShape] = []
        for kind, of_kind in by_kind.items():
            energy = self._by_kind[kind] if kind else self._of_any_kind
            means, covariance = energy.logs(of_kind)
            deviations = np.sqrt(np.diag(covariance))
            if not kind:
                covariance = np.outer(deviations, deviations)
            joules = np.exp(means + deviations**2 / 2) * [calls[shape] for shape in of_kind]
            mean_j += float(joules.sum())
            variance_j2 += float(joules @ np.expm1(covariance) @ joules)
            for shape, joules_of_shape in zip(of_kind, joules, strict=True):
                beyond = bool(kind) and energy.extrapolates(shape)
                extrapolated += [shape] * (calls[shape] * beyond)
                guessed_j += float(joules_of_shape) * (beyond or not kind)
        log_variance = math.log1p(variance_j2 / mean_j**2)
        return LayerSum(
            joules=mean_j * math.exp(-log_variance / 2),
            layers=calls.total(),
            log_sd=math.sqrt(log_variance),
            unknown=tuple(shape for shape in by_kind[""] for _ in range(calls[shape])),
            extrapolated=tuple(extrapolated),
            guessed=guessed_j / mean_j,
        )
