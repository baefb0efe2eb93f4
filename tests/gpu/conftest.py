"""Tests on a real NVIDIA card, skipped with NVML's reason without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.accuracy.gpu_loads import Matmul
from pytest_greenops.model.errors import GreenopsError, SensorUnavailable
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import NvmlSensor, open_sensor


@pytest.fixture(scope="session", autouse=True)
def sensor() -> Iterator[NvmlSensor]:
    """Open the sensor of the cards that this process may use."""
    try:
        opened = open_sensor()
    except SensorUnavailable as problem:
        pytest.skip(problem.reason)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def instruments(sensor: NvmlSensor) -> Instruments:
    """Return instruments with only this sensor."""
    return Instruments([sensor])


@pytest.fixture(scope="session")
def load(sensor: NvmlSensor) -> Matmul:
    """Return work for the first card that CUDA shows."""
    try:
        return Matmul()
    except GreenopsError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def domain(sensor: NvmlSensor, load: Matmul) -> str:
    """Return the counter of the card with the work."""
    import pynvml
    import torch

    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    index = pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetHandleByUUID(uuid))
    return f"gpu:{index}"
