"""From the sum of its layers to the joules of a whole network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.estimator.estimate import NetworkProfile
from benchmarks.estimator.layer_sum import LayerEnergies, LayerSum
from benchmarks.estimator.shares import fitted


class Whole(NamedTuple):
    """What a network costs beside its layers: a multiple of them, and so much more for each.

    A layer that is replayed alone finds its weights, its memory and its code in the caches; in its
    network others ran meanwhile, and the network's own code runs between them.
    """

    times: float = 1.0
    per_layer_j: float = 0.0

    def joules(self, layers: LayerSum) -> float:
        """Of the whole network."""
        return self.times * layers.joules + self.per_layer_j * layers.layers

    def log_sd(self, layers: LayerSum) -> float:
        """Of the whole, for what is not known of its layers."""
        return layers.log_sd * self.times * layers.joules / self.joules(layers)


def learn_whole(energies: LayerEnergies, networks: Sequence[NetworkProfile]) -> Whole:
    """Both terms, fitted to relative errors; the plain sum where no networks are known."""
    import numpy as np

    if not networks:
        return Whole()
    sums = [energies.sum(network.shapes) for network in networks]
    wholes_j = np.array([[network.joules] for network in networks])
    terms = np.array([(each.joules, each.layers) for each in sums]) / wholes_j
    times, per_layer_j = fitted(terms)
    return Whole(float(times), float(per_layer_j))
