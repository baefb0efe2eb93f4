"""Joules of a network that never ran, from profiles of layers, with the held-out error.

After THOR (Zhang et al., arXiv 2501.16397): the joules of a network are those of its layers, and
those of a layer follow from its sizes by a Gaussian process for each kind of layer. THOR measures a
layer as the difference of small networks with and without it, and estimates training; here each
layer is replayed alone, in the work that was captured. Whole networks, where they were measured,
correct for what the sum of the layers leaves out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from benchmarks.estimator.estimate import (
    Estimate,
    HeldOut,
    LayerProfile,
    LayerShape,
    NetworkProfile,
)
from benchmarks.estimator.layer_energy import LayerEnergies, LayerSum, fit_relative
from pytest_greenops.judge.stats import t_quantile
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.units import counted

#: Smallest number of distinct layers for a fit.
MIN_LAYERS = 10
#: Smallest number of networks for errors of networks; with fewer, single layers are held out.
MIN_NETWORKS = 4
#: Parts into which single layers are divided, each held out once.
FOLDS = 5
#: Smallest standard deviation between estimate and truth: two measurements of one network differ
#: by this much.
MIN_SD = 0.01
#: Probability above the 95 % interval, and below it.
TAIL = 0.025


class Estimator:
    """Estimates joules from shapes; `Estimator.fit` makes one, with its held-out error."""

    def __init__(self, model: NetworkEnergy, errors: _Errors, estimated: bool) -> None:
        self._model = model
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

        networks  measured whole networks: errors are then relative to these joules, and the fit
                  corrects for what the sum of the layers leaves out

        Raises `GreenopsError` for too few profiles or networks, for a network without profiles, and
        where scikit-learn is missing.
        """
        _check(profiles, networks)
        names = sorted({profile.network for profile in profiles} - {""})
        if networks:
            errors = _hold_out_networks(profiles, networks, seed)
        elif len(names) >= MIN_NETWORKS:
            errors = _hold_out_sums(profiles, names, seed)
        else:
            errors = _hold_out_layers(profiles, seed)
        estimated = any(profile.estimated for profile in profiles)
        return cls(NetworkEnergy.fit(profiles, networks, seed), errors, estimated)

    @property
    def held_out(self) -> HeldOut:
        """Return the errors on held-out data."""
        return self._errors.held_out

    def estimate(self, shapes: Iterable[LayerShape]) -> Estimate:
        """Return the joules of a network of these layers, as `shapes_of` lists them.

        The 95 % interval is that of Student's t on logarithms, with as many degrees of freedom as
        things were held out. Raises `GreenopsError` for no layers.
        """
        listed = tuple(shapes)
        if not listed:
            raise GreenopsError(
                "estimate: no layers; expected those of a network: "
                "estimator.estimate(shapes_of(model, inputs))"
            )
        joules, log_sd, layers = self._model.predict(listed)
        sd = math.hypot(log_sd, self._errors.unexplained_sd)
        reach = math.exp(t_quantile(1 - TAIL, self.held_out.number) * sd)
        return Estimate(
            joules=joules,
            low=joules / reach,
            high=joules * reach,
            held_out=self.held_out,
            unknown=layers.unknown,
            extrapolated=layers.extrapolated,
            guessed=layers.guessed,
            layers=layers.layers,
            estimated=self._estimated,
        )


class NetworkEnergy(NamedTuple):
    """Energy of whole networks: a multiple of the sum of their layers, plus joules per layer.

    A layer that is replayed alone finds its weights, memory and code in the caches. In its network,
    other layers run in between, and so does the code of the network.
    """

    layers: LayerEnergies
    factor: float = 1.0
    per_layer_j: float = 0.0

    @classmethod
    def fit(
        cls, profiles: Sequence[LayerProfile], networks: Sequence[NetworkProfile], seed: int
    ) -> NetworkEnergy:
        """Fit both terms to relative errors; without networks, take the plain sum."""
        import numpy as np

        layers = LayerEnergies(profiles, seed)
        if not networks:
            return cls(layers)
        sums = [layers.sum(network.shapes) for network in networks]
        wholes_j = np.array([[network.joules] for network in networks])
        terms = np.array([(each.joules, each.layers) for each in sums]) / wholes_j
        factor, per_layer_j = fit_relative(terms)
        return cls(layers, float(factor), float(per_layer_j))

    def predict(self, shapes: Sequence[LayerShape]) -> tuple[float, float, LayerSum]:
        """Return joules, the standard deviation of their logarithm, and the sum of the layers."""
        layers = self.layers.sum(shapes)
        from_layers_j = self.factor * layers.joules
        joules = from_layers_j + self.per_layer_j * layers.layers
        return joules, layers.log_sd * from_layers_j / joules, layers


# --- held-out errors -----------------------------------------------------------------------------


class _Errors(NamedTuple):
    """Held-out errors; `unexplained_sd` of logarithms is in addition to what the model predicts."""

    held_out: HeldOut
    unexplained_sd: float


class _Miss(NamedTuple):
    """One held-out case: ln(estimated / true), and the standard deviation that was predicted."""

    log: float
    log_sd: float


def _hold_out_networks(
    profiles: Sequence[LayerProfile], networks: Sequence[NetworkProfile], seed: int
) -> _Errors:
    """Hold out each network in turn, with its layers."""

    def miss(held_out: NetworkProfile) -> _Miss:
        others = [n for n in networks if n.name != held_out.name]
        model = NetworkEnergy.fit(_without(profiles, held_out.name), others, seed)
        return _miss(model, held_out.shapes, held_out.joules)

    return _errors(map(miss, networks), "networks")


def _hold_out_sums(profiles: Sequence[LayerProfile], names: Iterable[str], seed: int) -> _Errors:
    """Hold out each network in turn; the sum of its profiled layers counts as its joules."""

    def miss(name: str) -> _Miss:
        own = [p for p in profiles if p.network == name]
        shapes = [shape for p in own for shape in [p.shape] * p.calls]
        model = NetworkEnergy.fit(_without(profiles, name), (), seed)
        return _miss(model, shapes, math.fsum(p.joules * p.calls for p in own))

    return _errors(map(miss, names), "sums of layers")


def _hold_out_layers(profiles: Sequence[LayerProfile], seed: int) -> _Errors:
    """Hold out parts of the layers in turn; layers of one shape are in the same part."""
    shapes = sorted({p.shape for p in profiles}, key=lambda shape: (shape.kind, shape.sizes))
    random.Random(seed).shuffle(shapes)
    misses = []
    for fold in range(FOLDS):
        held_out = set(shapes[fold::FOLDS])
        kept = [p for p in profiles if p.shape not in held_out]
        model = NetworkEnergy.fit(kept, (), seed)
        misses += [_miss(model, [p.shape], p.joules) for p in profiles if p.shape in held_out]
    return _errors(misses, "layers")


def _without(profiles: Sequence[LayerProfile], network: str) -> list[LayerProfile]:
    return [p for p in profiles if p.network != network]


def _miss(model: NetworkEnergy, shapes: Sequence[LayerShape], true_j: float) -> _Miss:
    joules, log_sd, _ = model.predict(shapes)
    return _Miss(math.log(joules / true_j), log_sd)


def _errors(
    misses: Iterable[_Miss], of: Literal["networks", "sums of layers", "layers"]
) -> _Errors:
    listed = list(misses)
    shares = [abs(math.expm1(miss.log)) for miss in listed]
    held_out = HeldOut(math.fsum(shares) / len(shares), max(shares), of, len(shares))
    return _Errors(held_out, _unexplained_sd(listed))


def _unexplained_sd(misses: Sequence[_Miss]) -> float:
    """Return the deviation that, added to the predicted one, explains the size of the misses.

    After Paule and Mandel (J. Res. Natl. Bur. Stand. 87, 1982), with a mean of zero: the mean of
    the squared standardised misses is then one.
    """
    from scipy.optimize import brentq

    def excess(unexplained: float) -> float:
        variances = ((miss, miss.log_sd**2 + unexplained**2) for miss in misses)
        return math.fsum(miss.log**2 / variance for miss, variance in variances) - len(misses)

    least = MIN_SD
    most = least + math.sqrt(math.fsum(miss.log**2 for miss in misses))
    return float(brentq(excess, least, most)) if excess(least) > 0 > excess(most) else least


def _check(profiles: Sequence[LayerProfile], networks: Sequence[NetworkProfile]) -> None:
    for joules in (*(p.joules for p in profiles), *(n.joules for n in networks)):
        if not 0 < joules < math.inf:
            raise GreenopsError(
                f"estimator: {joules:g} J per call, expected a finite number > 0: measure it in a "
                "longer window, or omit it"
            )
    distinct = len({profile.shape for profile in profiles})
    if distinct < MIN_LAYERS:
        raise GreenopsError(
            f"estimator: {counted(distinct, 'distinct layer')} profiled: profile at least "
            f"{MIN_LAYERS}, of several sizes of each kind"
        )
    if 0 < len(networks) < MIN_NETWORKS:
        raise GreenopsError(
            f"estimator: joules of {counted(len(networks), 'whole network')}: measure at least "
            f"{MIN_NETWORKS}, or omit them"
        )
    profiled = {profile.network for profile in profiles}
    for network in networks:
        if network.name not in profiled:
            raise GreenopsError(
                f"estimator: no layer of the network {network.name!r} was profiled: give its "
                f"profiles network={network.name!r}"
            )
