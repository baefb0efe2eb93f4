"""How wrong an estimator is about what it was not fitted to."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from benchmarks.estimator.estimate import HeldOut, LayerProfile, NetworkProfile
from benchmarks.estimator.layer_sum import LayerEnergies
from benchmarks.estimator.whole import Whole, learn_whole

#: Parts into which single layers are dealt, each held out once.
FOLDS = 5
#: No network is known better than this: so much do two measurements of one differ at the least.
SMALLEST_SD = 0.01


class Errors(NamedTuple):
    """What holding out has shown.

    unseen_sd  standard deviation of logarithms beyond what the processes see themselves
    """

    told: HeldOut
    unseen_sd: float


class _Miss(NamedTuple):
    """One thing held out: ln(estimated / true), and its deviation as the processes see it."""

    log: float
    log_sd: float


def hold_out_networks(
    profiles: Sequence[LayerProfile], networks: Sequence[NetworkProfile], seed: int
) -> Errors:
    """Leave out each network in turn, with all that is known of it."""

    def miss(held_out: NetworkProfile) -> _Miss:
        energies = LayerEnergies([p for p in profiles if p.network != held_out.name], seed)
        whole = learn_whole(energies, [n for n in networks if n.name != held_out.name])
        return _miss(energies, whole, held_out)

    return _errors(map(miss, networks), "networks")


def hold_out_sums(profiles: Sequence[LayerProfile], names: Iterable[str], seed: int) -> Errors:
    """Leave out each network in turn; its joules are taken for those of its profiled layers."""

    def miss(name: str) -> _Miss:
        energies = LayerEnergies([p for p in profiles if p.network != name], seed)
        own = [p for p in profiles if p.network == name]
        shapes = tuple(shape for p in own for shape in [p.shape] * p.calls)
        network = NetworkProfile(name, math.fsum(p.joules * p.calls for p in own), shapes)
        return _miss(energies, Whole(), network)

    return _errors(map(miss, names), "sums of layers")


def hold_out_layers(profiles: Sequence[LayerProfile], seed: int) -> Errors:
    """Leave out a part of the layers in turn; layers of one shape are in the same part."""
    shapes = sorted({p.shape for p in profiles}, key=lambda shape: (shape.kind, shape.sizes))
    random.Random(seed).shuffle(shapes)
    misses = []
    for fold in range(FOLDS):
        left_out = set(shapes[fold::FOLDS])
        energies = LayerEnergies([p for p in profiles if p.shape not in left_out], seed)
        for p in profiles:
            if p.shape in left_out:
                network = NetworkProfile("", p.joules, (p.shape,))
                misses.append(_miss(energies, Whole(), network))
    return _errors(misses, "layers")


def _miss(energies: LayerEnergies, whole: Whole, true: NetworkProfile) -> _Miss:
    found = energies.sum(true.shapes)
    return _Miss(math.log(whole.joules(found) / true.joules), whole.log_sd(found))


def _errors(misses: Iterable[_Miss], of: Literal["networks", "sums of layers", "layers"]) -> Errors:
    listed = list(misses)
    shares = [abs(math.expm1(miss.log)) for miss in listed]
    told = HeldOut(math.fsum(shares) / len(shares), max(shares), of, len(shares))
    return Errors(told, _unseen_sd(listed))


def _unseen_sd(misses: Sequence[_Miss]) -> float:
    """The deviation that, added to what the processes see, makes the misses as large as they are.

    After Paule and Mandel (J. Res. Natl. Bur. Stand. 87, 1982), about a mean of zero: that with
    which the mean of the squared, standardised misses is one.
    """

    def excess(unseen: float) -> float:
        variances = ((miss, miss.log_sd**2 + unseen**2) for miss in misses)
        return math.fsum(miss.log**2 / variance for miss, variance in variances) - len(misses)

    from scipy.optimize import brentq

    least = SMALLEST_SD
    most = least + math.sqrt(math.fsum(miss.log**2 for miss in misses))
    return float(brentq(excess, least, most)) if excess(least) > 0 > excess(most) else least
