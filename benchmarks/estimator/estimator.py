"""The joules of a network that never ran, from profiles of layers, with their held-out error.

After THOR (Zhang et al., arXiv 2501.16397): the joules of a network are those of its layers, and
those of a layer follow from its sizes by a Gaussian process for each kind of layer. THOR finds a
layer's joules as the difference of small networks with and without it, and estimates training; here
a layer is replayed alone, and the work is whatever was replayed. What the sum of the layers leaves
out is learnt from whole networks, where their joules are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.estimator.estimate import (
    Estimate,
    HeldOut,
    LayerProfile,
    LayerShape,
    NetworkProfile,
)
from benchmarks.estimator.hold_out import (
    Errors,
    hold_out_layers,
    hold_out_networks,
    hold_out_sums,
)
from benchmarks.estimator.layer_sum import LayerEnergies
from benchmarks.estimator.whole import Whole, learn_whole
from pytest_greenops.judge.stats import t_quantile
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.units import counted

#: Fewer distinct layers say nothing of others.
LEAST_LAYERS = 10
#: Networks that tell an error over networks; where fewer are named, single layers are held out.
LEAST_NETWORKS = 4
#: Of the interval, above it and below it.
TAIL = 0.025


class Estimator:
    """Estimates joules from shapes; made by `fit`, which finds its error on what it left out."""

    def __init__(
        self, energies: LayerEnergies, whole: Whole, errors: Errors, estimated: bool
    ) -> None:
        self._energies = energies
        self._whole = whole
        self._errors = errors
        self._estimated = estimated

    @classmethod
    def fit(
        cls,
        profiles: Sequence[LayerProfile],
        networks: Sequence[NetworkProfile] = (),
        *,
        seed: int = 0,
    ) -> Estimator:
        """Learn from the layers of networks that ran: all the same work, on the same machine.

        networks  their joules as a whole: errors are then told against them, and what the sum of
                  the layers leaves out is learnt

        Raises `GreenopsError` for too few profiles or networks, for a network without profiles, and
        where scikit-learn is missing.
        """
        _check(profiles, networks)
        names = sorted({profile.network for profile in profiles} - {""})
        if networks:
            errors = hold_out_networks(profiles, networks, seed)
        elif len(names) >= LEAST_NETWORKS:
            errors = hold_out_sums(profiles, names, seed)
        else:
            errors = hold_out_layers(profiles, seed)
        energies = LayerEnergies(profiles, seed)
        estimated = any(profile.estimated for profile in profiles)
        return cls(energies, learn_whole(energies, networks), errors, estimated)

    @property
    def held_out(self) -> HeldOut:
        """How wrong it was about what it had not seen."""
        return self._errors.told

    @property
    def whole(self) -> Whole:
        """What it adds to the sum of the layers."""
        return self._whole

    def estimate(self, shapes: Iterable[LayerShape]) -> Estimate:
        """The joules of a network of these layers, as `shapes_of` lists them.

        The 95 % interval is of Student's t over as many things as were held out, on logarithms.
        Raises `GreenopsError` where there are none.
        """
        found = self._energies.sum(_some(shapes))
        sd = math.hypot(self._whole.log_sd(found), self._errors.unseen_sd)
        reach = math.exp(t_quantile(1 - TAIL, self.held_out.number) * sd)
        joules = self._whole.joules(found)
        return Estimate(
            joules=joules,
            low=joules / reach,
            high=joules * reach,
            held_out=self.held_out,
            unknown=found.unknown,
            extrapolated=found.extrapolated,
            guessed=found.guessed,
            layers=found.layers,
            estimated=self._estimated,
        )


def _some(shapes: Iterable[LayerShape]) -> tuple[LayerShape, ...]:
    listed = tuple(shapes)
    if not listed:
        raise GreenopsError(
            "estimate: no layers; give those of a network: "
            "estimator.estimate(shapes_of(model, inputs))"
        )
    return listed


def _check(profiles: Sequence[LayerProfile], networks: Sequence[NetworkProfile]) -> None:
    for joules in (*(p.joules for p in profiles), *(n.joules for n in networks)):
        if not 0 < joules < math.inf:
            raise GreenopsError(
                f"estimator: {joules:g} J are none of a call; measure it in a longer window, or "
                "leave it out"
            )
    distinct = len({profile.shape for profile in profiles})
    if distinct < LEAST_LAYERS:
        raise GreenopsError(
            f"estimator: {counted(distinct, 'distinct layer')} profiled; profile at least "
            f"{LEAST_LAYERS}, of several sizes of each kind"
        )
    if 0 < len(networks) < LEAST_NETWORKS:
        raise GreenopsError(
            f"estimator: the joules of {counted(len(networks), 'whole network')}; measure at least "
            f"{LEAST_NETWORKS}, or leave them out"
        )
    profiled = {profile.network for profile in profiles}
    for network in networks:
        if network.name not in profiled:
            raise GreenopsError(
                f"estimator: no layer of the network {network.name!r} was profiled; give its "
                f"profiles network={network.name!r}"
            )
