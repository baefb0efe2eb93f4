"""Requirements on any NVIDIA card with an energy counter; the work needs torch with CUDA.

`python -m benchmarks.accuracy.on_gpu --out FOLDER` measures how well a card meets them.
"""

from __future__ import annotations

import math
import time

import pytest

from benchmarks.accuracy.gpu_figures import agreement, settled
from benchmarks.accuracy.gpu_loads import Matmul, Part, play
from benchmarks.accuracy.gpu_trace import Probe, record
from benchmarks.accuracy.gpu_windows import Windows
from pytest_greenops.measure import self_checks
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import NvmlSensor

WORK_S = 1.5
MARGIN = 0.05


def test_opens_and_reads(sensor: NvmlSensor) -> None:
    """Every visible card has a count in microjoules."""
    assert sensor.domains
    counts = sensor.read().energy_uj
    assert [type(count) for count in counts] == [int] * len(sensor.domains)


def test_tick_is_plausible(sensor: NvmlSensor) -> None:
    """The measured tick is within the range of known drivers."""
    assert 0.005 <= sensor.update_period_s <= 0.6


def test_begin_states_a_finite_error(sensor: NvmlSensor) -> None:
    """The edge of a window has a count and an error."""
    reading = sensor.begin()
    sensor.end()
    assert None not in reading.energy_uj
    assert len(reading.error_uj) == len(sensor.domains)
    assert all(math.isfinite(error_uj) for error_uj in reading.error_uj)


def test_work_uses_more_than_rest(instruments: Instruments, domain: str, load: Matmul) -> None:
    """More than a second of work uses more energy than the same idle time."""
    windows = Windows(instruments, domain)
    time.sleep(1.0)
    rest = windows.take(lambda: time.sleep(WORK_S))
    work = windows.take(lambda: load.until(time.monotonic() + WORK_S))
    assert work.joules / work.seconds > 1.2 * rest.joules / rest.seconds


def test_counter_agrees_with_power(sensor: NvmlSensor, domain: str, load: Matmul) -> None:
    """Under steady load the counter is within 15 % of integrated power, or the sensor doubts it."""
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(int(domain.partition(":")[2]))
    trace = record(Probe(pynvml, handle), lambda: play(load, [Part(4.0, 1.0)]))
    found = agreement("steady load", settled(trace, trace.phases[0]))
    if found.seconds == 0:
        pytest.skip(f"{domain} has no counter that moves: the sensor integrates power")
    assert domain in sensor.doubts or abs(found.ratio - 1) <= 0.15, found


def test_only_the_card_with_the_work_is_used(sensor: NvmlSensor, domain: str, load: Matmul) -> None:
    """No other card is in use."""
    load.calls(1)
    used = {name: state.used for name, state in sensor.states().items()}
    if used[domain] is None:
        pytest.skip("the driver knows this process by another id, as in a container")
    assert used == {name: name == domain for name in used}


def test_meter_makes_rounds_long_enough(
    instruments: Instruments, domain: str, load: Matmul
) -> None:
    """The meter repeats work until the error of its edges fits the margin."""
    meter = Meter(
        instruments,
        Plan(looks=(5,), margin=MARGIN),
        lambda measurements, look: True,
        synchronize=synchronize,
    )
    for trip in meter.trips():
        for calls in trip.batches():
            with trip.window("matmul"):
                load.calls(calls)
    measurement = meter.measurements()["matmul"]
    assert len(measurement.rounds) == 5
    assert domain in measurement.selected("gpu")
    errors = [self_checks.edge_error(one, measurement.domains) for one in measurement.rounds]
    assert max(errors) <= self_checks.edge_limit(MARGIN) * 1.5
    assert "too short" not in [check.name for check in measurement.checks]
