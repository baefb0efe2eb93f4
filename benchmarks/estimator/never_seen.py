"""Networks that are estimated from the layers of others, and then measured."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch

from benchmarks.estimator.estimate import Estimate, HeldOut, LayerProfile, NetworkProfile
from benchmarks.estimator.estimator import Estimator
from benchmarks.estimator.networks import Network, networks
from benchmarks.estimator.profiling import profile_network
from pytest_greenops.sensors.instruments import Instruments


def forward(network: Network) -> None:
    """Inference."""
    with torch.inference_mode():
        network.model(network.batch)


def training(network: Network) -> None:
    """Forward and backward, without a step of an optimiser."""
    network.model(network.batch).sum().backward()
    network.model.zero_grad()


#: How often each network is measured as a whole, at some distance; the middle counts. What else
#: runs for some seconds must not pass for the truth. Layers are measured in one of the sweeps.
SWEEPS = 3
#: What networks do, and whether they are in training mode meanwhile.
WORKS = {"forward": (forward, False), "training": (training, True)}


class Guess(NamedTuple):
    """A network that the estimator never saw.

    macs        of one forward pass
    by_macs_j   what joules proportional to MACs would be, fitted to the same networks
    measured_j  what it was found to use, afterwards
    """

    network: str
    macs: int
    measured_j: float
    estimate: Estimate
    by_macs_j: float


class Trial(NamedTuple):
    """What came of it.

    held_out  the estimator's own error, found on the networks that it was fitted to
    parts     joules of their layers, summed, as a share of the whole: of each network
    """

    held_out: HeldOut
    parts: list[float]
    guesses: list[Guess]


def try_out(fitted: int, unseen: int, seed: int, work: str, instruments: Instruments) -> Trial:
    """Fit to so many networks, estimate so many others."""
    made = networks(fitted + unseen, random.Random(seed))
    random.Random(seed).shuffle(made)
    known, others = made[:fitted], made[fitted:]
    profiled, profiles = {network.name for network in known}, list[LayerProfile]()
    seen: dict[str, list[NetworkProfile]] = {network.name: [] for network in made}
    for sweep in range(SWEEPS):
        for network in made:
            only_whole = sweep != SWEEPS // 2 or network.name not in profiled
            layers, whole = _measured(network, work, instruments, only_whole)
            profiles += layers
            seen[network.name].append(whole)
    wholes = [_middle(seen[network.name]) for network in known]
    estimator = Estimator.fit(profiles, wholes, seed=seed)
    per_mac_j = _per_mac_j(wholes)
    guesses = []
    for network in others:
        true = _middle(seen[network.name])
        estimate, macs = estimator.estimate(true.shapes), _macs(true)
        guesses.append(Guess(network.name, macs, true.joules, estimate, macs * per_mac_j))
    return Trial(estimator.held_out, [_parts(whole, profiles) for whole in wholes], guesses)


def _measured(
    network: Network, work: str, instruments: Instruments, only_whole: bool
) -> tuple[list[LayerProfile], NetworkProfile]:
    does, trains = WORKS[work]
    return profile_network(
        network.name,
        network.model.train(trains),
        network.batch,
        work=partial(does, network),
        instruments=instruments,
        only_whole=only_whole,
    )


def _middle(profiles: Sequence[NetworkProfile]) -> NetworkProfile:
    return sorted(profiles, key=lambda each: each.joules)[len(profiles) // 2]


def _parts(whole: NetworkProfile, profiles: Sequence[LayerProfile]) -> float:
    own = (each for each in profiles if each.network == whole.name)
    return math.fsum(each.joules * each.calls for each in own) / whole.joules


def _macs(network: NetworkProfile) -> int:
    return sum(shape.macs for shape in network.shapes)


def _per_mac_j(networks: Sequence[NetworkProfile]) -> float:
    """Joules of a MAC: the geometric mean, which serves relative errors best."""
    logs = [math.log(each.joules / _macs(each)) for each in networks]
    return math.exp(math.fsum(logs) / len(logs))
