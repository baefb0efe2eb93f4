"""Figures of the studies behind this project, each as a case with a known answer.

Layers and estimated networks (THOR, arXiv:2501.16397) have their own test modules.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks.extrapolation.recordings import after_start_up
from benchmarks.generative.points import net_of_idle
from pytest_greenops.insight.regions import factor_of
from pytest_greenops.insight.what_if.extrapolate import tdp_estimate
from pytest_greenops.insight.what_if.full_cycle import crossover, parity
from pytest_greenops.insight.what_if.hypothetical import what_if
from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.judgement import judge_measurement
from pytest_greenops.judge.summary import summarise
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.measurement import Domain, Measurement, Reading, by_kind
from pytest_greenops.model.pareto import front
from pytest_greenops.model.result import Result
from pytest_greenops.model.scenario import Crossover, Life
from pytest_greenops.model.units import GRAMS_PER_KWH, JOULES
from pytest_greenops.sensors.base import Sensor, difference
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.sampled_power import PowerSampler
from pytest_greenops.testing import FakeSensor
from tests.simulated_host.host import Host, Socket, why_impossible
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card
from tests.simulated_host.powercap_tree import INTEL_RANGE_UJ
from tests.simulated_host.simulated_clock import SimulatedClock
from tests.studies.test_extrapolate import RECORDED
from tests.unit.builders import key

SECONDS, SAMPLES = 10.0, 500
TRAINING_KWH, FINE_TUNING_KWH, INFERENCE_KWH = 51_686, 7_571, 1.0e-4
LOADING_WH, INFERENCE_J = 2.42, 8.3
ONCE = Plan(looks=(1,), once=True)


def measurement(
    sensor: Sensor | Instruments,
    work: Callable[[], object],
    units: dict[str, float] | None = None,
    before: Callable[[], object] = lambda: None,
    plan: Plan = ONCE,
) -> Measurement:
    """Return the measurement of some work; `before` runs before each window."""
    instruments = sensor if isinstance(sensor, Instruments) else Instruments([sensor])
    meter = Meter(instruments, plan, lambda known, look: False)
    for trip in meter.trips():
        before()
        with trip.window("call"):
            for _ in range(trip.iterations):
                work()
        trip.units = {unit: done * trip.iterations for unit, done in (units or {}).items()}
    return meter.measurements()["call"]


def result(of: Measurement, unit: str = "call") -> Result:
    """Return the result that a user gets."""
    verdict = judge_measurement(Case(of, Budget(), Reference(), Rules(), unit))
    return summarise(key(), of, verdict, domain="total", unit=unit, conditions={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Ten seconds of work for 500 samples on a simulated machine, measured by our sensors.

    A processor of 70 W whose counter is about to wrap, memory of 30 W, and two busy cards of 200 W
    and 100 W.
    """
    if why_not := why_impossible():
        pytest.skip(why_not)
    # It wraps ten seconds after the machine starts: within the window, unless that begins late.
    package = LiveZone(((0.0, 70.0),), start_uj=INTEL_RANGE_UJ - 700_000_000)
    host = Host(
        sockets=(Socket(package, LiveZone(((0.0, 30.0),))),),
        cards=(
            Card(power_w=((0.0, 200.0),), processes=(0,)),
            Card("GPU-2222bbbb-0000-0000-0000-000000000000", power_w=((0.0, 100.0),)),
        ),
    )
    folder = tmp_path_factory.mktemp("host")
    return msgspec.json.decode(host.run(_train, folder=folder), type=Result)


def _train() -> str:
    """Measure ten seconds in a child process, and return the result as JSON."""
    instruments, _ = discover(["powercap", "nvml"])
    found = measurement(instruments, lambda: time.sleep(SECONDS), {"sample": SAMPLES})
    return msgspec.json.encode(result(found, "sample")).decode()


def in_ten_seconds(of: Result) -> dict[str, float]:
    """Return joules by kind, scaled to ten seconds: a busy machine sleeps a little longer."""
    kinds = by_kind(of.by_domain, of.domains)
    return {kind: energy_j * SECONDS / of.seconds for kind, energy_j in kinds.items()}


def test_joules_of_a_sample(trained: Result) -> None:
    """Green GenOps: 70 W + 30 W for 10.0 s and 500 samples are 1,000 J, 2.0 J/sample."""
    kinds = in_ten_seconds(trained)
    joules = kinds["cpu"] + kinds["dram"]
    assert joules == pytest.approx(1000.0, rel=0.005)
    assert joules / SAMPLES == pytest.approx(2.0, rel=0.005)
    assert trained.per_unit["sample"] == pytest.approx(trained.joules / SAMPLES, rel=0.005)


def test_two_cards_are_summed(trained: Result) -> None:
    """Computing Within Limits: two GPUs of 200 W and 100 W draw 300 W, not the 150 W of a mean."""
    assert in_ten_seconds(trained)["gpu"] == pytest.approx(3000.0, rel=0.005)
    assert trained.by_domain["gpu:0"] == pytest.approx(2 * trained.by_domain["gpu:1"], rel=0.005)


def test_macs_mislead() -> None:
    """Green GenOps: two networks of 0.91 GMACs differ by a factor of 2.2 in joules."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    simple_dla, dense_net = (
        result(measurement(sensor, lambda j=joules: sensor.spend(j), {"GMAC": 0.91}), "GMAC")
        for joules in (1.0, 2.2)
    )
    assert dense_net.per_unit["GMAC"] / simple_dla.per_unit["GMAC"] == pytest.approx(2.2)
    assert dense_net.rounds[0].units == simple_dla.rounds[0].units == {"GMAC": 0.91}


def test_tokens_and_requests_with_and_without_idling() -> None:
    """Green GenOps: 300 W for 20 s, 50 W idle: 1.5 J/token, 1.25 net, 60 J/request."""
    sensor = FakeSensor(Domain("gpu:0", "gpu"))
    served = result(
        measurement(
            sensor,
            lambda: sensor.spend(300.0 * 20, "gpu:0", seconds=20.0),
            {"token": 4000, "request": 100},
        )
    )
    assert (served.watts, served.seconds) == pytest.approx((300.0, 20.0))
    assert served.per_unit == pytest.approx({"token": 1.5, "request": 60.0})
    split = net_of_idle(served.joules, served.seconds, idle_w=50.0)
    token, request = split.per(4000), split.per(100)
    assert (token.gross_j, token.net_j) == pytest.approx((1.5, 1.25))
    assert request.gross_j == pytest.approx(60.0)
    assert split.idle_share == pytest.approx(1 / 6)


def test_a_late_sampler_is_no_error(tmp_path: Path) -> None:
    """FROST: power is read half a period late each time, and the joules are off by under 1 %."""
    period_s, late = 0.1, 1.5
    clock = SimulatedClock(tmp_path / "clock", read_cost_ns=0)
    began_s = clock.time_s

    def watts() -> float:
        return 200.0 + 100.0 * math.sin(2 * math.pi * (clock.time_s - began_s) / 7)

    sampler = PowerSampler(watts, period_s, clock)
    begun = sampler.edge_now()
    samples = 200
    for _ in range(samples):
        clock.sleep(period_s * late)
        sampler.take()
    ended = sampler.edge()
    assert begun is not None
    assert ended is not None
    seconds = samples * period_s * late
    true_j = 200.0 * seconds + 100.0 * 7 / (2 * math.pi) * (1 - math.cos(2 * math.pi * seconds / 7))
    joules = (ended.count_uj - begun.count_uj) * 1e-6
    assert joules == pytest.approx(true_j, rel=0.01)
    assert joules / late != pytest.approx(true_j, rel=0.3)


def test_a_wrap_is_exact(trained: Result) -> None:
    """FROST: a counter that wraps once is exact to the microjoule."""
    domain = Domain("cpu:0", "cpu", range_uj=INTEL_RANGE_UJ)
    before, after = Reading(0, [INTEL_RANGE_UJ - 300_000_001]), Reading(10**10, [399_999_999])
    assert difference([domain], before, after).energy_uj == {"cpu:0": 700_000_000}
    assert in_ten_seconds(trained)["cpu"] == pytest.approx(700.0, rel=0.005)


def test_loading_is_in_no_inference() -> None:
    """Power Hungry Processing: 8.3 J each are 0.0023 kWh per 1,000, without loading."""
    sensor = FakeSensor(Domain("gpu:0", "gpu"))
    found = result(
        measurement(
            sensor,
            lambda: sensor.spend(INFERENCE_J, "gpu:0", 0.5),
            before=lambda: sensor.spend(LOADING_WH * JOULES["Wh"], "gpu:0", 60.0),
            plan=Plan(looks=(10,)),
        )
    )
    assert found.joules == pytest.approx(INFERENCE_J)
    assert round(1000 * found.joules / JOULES["kWh"], 4) == 0.0023


def test_cost_parity() -> None:
    """Power Hungry Processing: training and fine-tuning are 592,570,000 inferences."""
    training, fine_tuning, inference = (
        kwh * JOULES["kWh"] for kwh in (TRAINING_KWH, FINE_TUNING_KWH, INFERENCE_KWH)
    )
    assert 592_570_000 == pytest.approx(parity(training, inference, fine_tuning), rel=1e-12)


def test_five_stable_epochs_project_the_whole_training() -> None:
    """Training energy: the RMSE of five stable epochs is less than a tenth of TDP x time.

    The study has 7.3 kJ and 187 kJ. `test_extrapolate.py` tests the size of the error.
    """
    own, naive = [], []
    for recording in RECORDED:
        projected = after_start_up(recording.epochs_j)
        own.append(projected.joules - recording.joules)
        naive.append(tdp_estimate(4 * 3.75, recording.seconds) - recording.joules)
    assert 10 * math.hypot(*own) < math.hypot(*naive)


def test_a_point_that_is_worse_in_both_is_dominated() -> None:
    """Anomaly detection: of (0.95, 10 J), (0.94, 5 J), (0.93, 8 J) the third is dominated."""
    found = front([("first", 0.95, 10.0), ("second", 0.94, 5.0), ("third", 0.93, 8.0)])
    assert {point.name for point in found.best} == {"first", "second"}
    assert [(each.point.name, each.by[0].name) for each in found.dominated] == [("third", "second")]


def test_carbon_of_an_energy() -> None:
    """Counting Carbon: 115.2 kWh at 401.1 g/kWh are 46.21 kg."""
    grams = CarbonFactor(401.1).grams(115.2 * JOULES["kWh"])
    assert round(grams / 1000, 2) == 46.21


def test_an_unknown_region_has_no_carbon() -> None:
    """Counting Carbon: an unknown region is an error."""
    with pytest.raises(InsightError, match="no carbon intensity is known for region 'Atlantis'"):
        factor_of("Atlantis")


def test_crossover_of_two_models() -> None:
    """Full cycle: A of 100 kJ + 2 J and B of 300 kJ + 1 J cross at 200,000, A uses less below."""
    a, b = Life(100e3, 2.0), Life(300e3, 1.0)
    assert Crossover(200_000, "A", "B") == crossover(a, b)


@pytest.mark.parametrize(
    ("region", "lb_per_kwh", "kg"), [("US-GA", 0.6485, 0.4677), ("US-KY", 1.8376, 1.3253)]
)
def test_another_state(region: str, lb_per_kwh: float, kg: float) -> None:
    """EnergyVis: 1 kWh at a PUE of 1.59 is 0.4677 kg in Georgia and 1.3253 kg in Kentucky."""
    factor = factor_of(region)
    assert factor.grams_per_kwh == pytest.approx(lb_per_kwh * GRAMS_PER_KWH["lb/kWh"])
    grams = what_if({"cpu": JOULES["kWh"]}, factor=factor, pue=1.59).grams
    assert grams is not None
    assert round(grams / 1000, 4) == kg


def test_a_better_gpu_halves_the_gpu_alone() -> None:
    """EnergyVis: a GPU of twice the GFLOPS/W halves the joules of the GPU, and no others."""
    answer = what_if({"cpu": 100.0, "dram": 20.0, "gpu": 400.0}, gpu_efficiency=2.0)
    assert answer.by_kind_j == {"cpu": 100.0, "dram": 20.0, "gpu": 200.0}
    assert answer.computer_j == 320.0
