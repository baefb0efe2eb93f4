"""Estimate the joules of networks from the layers of other networks, then measure them.

    OMP_NUM_THREADS=1 python -m benchmarks.estimator [networks] [seed] [forward|training]

Makes small random CNNs and perceptrons. Measures some of them, whole and layer by layer, and fits
the estimator to these. The others are estimated first and then measured. Prints both figures, the
held-out error of the estimator, and for comparison joules proportional to MACs. Takes some minutes.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch

from benchmarks.estimator.estimate import Estimate, HeldOut, LayerProfile, NetworkProfile
from benchmarks.estimator.estimator import Estimator
from benchmarks.estimator.profiling import profile_network
from benchmarks.estimator.random_networks import Network, random_networks
from benchmarks.markdown import table
from pytest_greenops.machine import LoadProbe
from pytest_greenops.model.units import format_energy, format_percent
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments

#: Networks with profiled layers; half as many more are estimated.
NETWORKS, SEED = 12, 1
#: How often each network is measured as a whole, at some distance; the median counts, so that other
#: load of some seconds does not. Layers are measured in one of the sweeps.
SWEEPS = 3
HEADING = [
    *("network", "layers", "MACs", "measured", "estimated", "95 % interval", "inside", "error"),
    *("of kinds or sizes not profiled", "by MACs alone", "its error"),
]


def forward(network: Network) -> None:
    """Run inference."""
    with torch.inference_mode():
        network.model(network.batch)


def training(network: Network) -> None:
    """Run forward and backward, without an optimizer step."""
    network.model(network.batch).sum().backward()
    network.model.zero_grad()


#: Work of the networks, and whether they are in training mode.
WORKS = {"forward": (forward, False), "training": (training, True)}


class Case(NamedTuple):
    """A network that the estimator never saw.

    macs        of one forward pass
    by_macs_j   joules proportional to MACs, fitted to the same networks
    measured_j  measured afterwards
    """

    network: str
    macs: int
    measured_j: float
    estimate: Estimate
    by_macs_j: float

    @property
    def inside(self) -> bool:
        """Return whether the interval contains the measured joules."""
        return self.estimate.low <= self.measured_j <= self.estimate.high

    @property
    def error(self) -> float:
        """Return the relative error of the estimate."""
        return self.estimate.joules / self.measured_j - 1

    @property
    def error_by_macs(self) -> float:
        """Return the relative error of joules proportional to MACs."""
        return self.by_macs_j / self.measured_j - 1


class Experiment(NamedTuple):
    """Results for all unseen networks.

    held_out  the estimator's own error, on the networks that it was fitted to
    sums      summed joules of the layers as a share of the whole, for each fitted network
    """

    held_out: HeldOut
    sums: list[float]
    cases: list[Case]


def run(fitted: int, unseen: int, seed: int, work: str, instruments: Instruments) -> Experiment:
    """Fit to some networks, and estimate the others."""
    made = random_networks(fitted + unseen, random.Random(seed))
    random.Random(seed).shuffle(made)
    known, others = made[:fitted], made[fitted:]
    profiled, profiles = {network.name for network in known}, list[LayerProfile]()
    wholes: dict[str, list[NetworkProfile]] = {network.name: [] for network in made}
    function, trains = WORKS[work]
    for sweep in range(SWEEPS):
        for network in made:
            layers, whole = profile_network(
                network.name,
                network.model.train(trains),
                network.batch,
                work=partial(function, network),
                instruments=instruments,
                only_whole=sweep != SWEEPS // 2 or network.name not in profiled,
            )
            profiles += layers
            wholes[network.name].append(whole)
    seen = [_median(wholes[network.name]) for network in known]
    estimator = Estimator.fit(profiles, seen, seed=seed)
    per_mac_j = statistics.geometric_mean(each.joules / _macs(each) for each in seen)
    cases = []
    for network in others:
        true = _median(wholes[network.name])
        estimate, macs = estimator.estimate(true.shapes), _macs(true)
        cases.append(Case(network.name, macs, true.joules, estimate, macs * per_mac_j))
    return Experiment(estimator.held_out, [_sum(whole, profiles) for whole in seen], cases)


def _median(profiles: Sequence[NetworkProfile]) -> NetworkProfile:
    return sorted(profiles, key=lambda each: each.joules)[len(profiles) // 2]


def _macs(network: NetworkProfile) -> int:
    return sum(shape.macs for shape in network.shapes)


def _sum(whole: NetworkProfile, profiles: Sequence[LayerProfile]) -> float:
    own = (each for each in profiles if each.network == whole.name)
    return math.fsum(each.joules * each.calls for each in own) / whole.joules


# --- the report ----------------------------------------------------------------------------------


def row(case: Case) -> list[str]:
    """Return the cells of one network."""
    estimate = case.estimate
    return [
        case.network,
        str(estimate.layers),
        f"{case.macs / 1e6:.1f} M",
        format_energy(case.measured_j),
        format_energy(estimate.joules),
        f"{format_energy(estimate.low)} … {format_energy(estimate.high)}",
        "yes" if case.inside else "**no**",
        format_percent(case.error),
        format_percent(estimate.guessed, signed=False),
        format_energy(case.by_macs_j),
        format_percent(case.error_by_macs),
    ]


def summary(experiment: Experiment) -> Iterator[str]:
    """Yield the lines below the table."""
    cases = experiment.cases
    yield f"MAPE over {len(cases)} unseen networks: {mape(case.error for case in cases)}"
    yield f"the estimator's own error: {experiment.held_out}"
    yield f"intervals that contain the measurement: {sum(c.inside for c in cases)} of {len(cases)}"
    yield f"MAPE of joules proportional to MACs: {mape(case.error_by_macs for case in cases)}"
    low, middle, high = (f(experiment.sums) for f in (min, statistics.median, max))
    yield (
        "sum of the layers, replayed alone, as a share of their network: "
        f"{low:.0%} … {middle:.0%} … {high:.0%}"
    )


def mape(errors: Iterable[float]) -> str:
    """Return the mean absolute percentage error."""
    return format_percent(statistics.fmean(map(abs, errors)), signed=False)


def main() -> None:
    """Measure, estimate, print."""
    fitted, seed = [int(n) for n in sys.argv[1:3]] + [NETWORKS, SEED][len(sys.argv[1:3]) :]
    work = sys.argv[3] if len(sys.argv) > 3 else "forward"
    if work not in WORKS:
        sys.exit(f"work {work!r}: expected one of: {', '.join(WORKS)}")
    instruments, _ = discover(["auto"])
    probe, begun_s = LoadProbe(), time.monotonic()
    probe.start()
    experiment = run(fitted, fitted // 2, seed, work, instruments)
    others = probe.stop().others
    sensors = ", ".join(dict.fromkeys(instruments.sensor_of.values()))
    print(f"{work}; {fitted} networks profiled; seed {seed}; sensors: {sensors}; other processes")
    print(f"used {others:.0%} of the CPUs; {time.monotonic() - begun_s:.0f} s", end="\n\n")
    print("\n".join(table(HEADING, list(map(row, experiment.cases)))), end="\n\n")
    print("\n".join(f"* {line}" for line in summary(experiment)))


if __name__ == "__main__":
    main()
