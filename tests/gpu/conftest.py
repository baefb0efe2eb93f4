"""Tests on a real NVIDIA card: if NVML finds none, all are skipped with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.accuracy.gpu_loads import Matmul
from pytest_greenops.model.errors import GreenopsError, SensorUnavailable
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import NvmlSensor, open_sensor


@pytest.fixture(scope="session", autouse=True)
def sensor() -> Iterator[NvmlSensor]:
    """The sensor of the cards that this process may use."""
    try:
        opened = open_sensor()
    except SensorUnavailable as problem:
        pytest.skip(problem.reason)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def instruments(sensor: NvmlSensor) -> Instruments:
    """The instruments with this sensor alone."""
    return Instruments([sensor])


@pytest.fixture(scope="session")
def load(sensor: NvmlSensor) -> Matmul:
    """Work for the first card that CUDA shows."""
    try:
        return Matmul()
    except GreenopsError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def domain(sensor: NvmlSensor, load: Matmul) -> str:
    """The counter of the card that the work is on."""
    import pynvml
    import torch

    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    index = pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetHandleByUUID(uuid))
    return f"gpu:{index}"
