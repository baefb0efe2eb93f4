"""NVIDIA GPUs: the settings that affect joules, for the measured GPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pytest_greenops.machine.cpu import UNKNOWN
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.binding import loaded, text
from pytest_greenops.system import SYSTEM


class _Cards(NamedTuple):
    """The NVML library, and handles of the GPUs that its sensor measures."""

    nvml: Any
    handles: list[Any]

    def each(self, ask: Callable[[Any], object]) -> str:
        """Return the distinct answers of all GPUs, `A` or `A + B`; unknown if there are none."""
        answers: list[str] = []
        for handle in self.handles:
            with suppress(Exception):  # a driver may answer with any value
                answers.append(str(ask(handle)))
        return " + ".join(dict.fromkeys(answers)) or UNKNOWN

    def one(self, ask: Callable[[], object]) -> str:
        """Return the answer of the driver; unknown if there is none."""
        with suppress(Exception):
            return str(ask())
        return UNKNOWN


def matched(instruments: Instruments) -> dict[str, str]:
    """Return the facts that comparable measurements must share; empty without a measured GPU."""
    cards = _cards(instruments)
    if cards is None:
        return {}
    nvml = cards.nvml
    driver = cards.one(lambda: text(nvml.nvmlSystemGetDriverVersion))
    return {
        "gpu": cards.each(lambda card: text(nvml.nvmlDeviceGetName, card)),
        "gpus": str(len(cards.handles)),
        "gpu power limit": cards.each(
            lambda card: f"{nvml.nvmlDeviceGetPowerManagementLimit(card) / 1000:.0f} W"
        ),
        "mig": cards.each(lambda card: _on_off(nvml.nvmlDeviceGetMigMode(card)[0])),
        "ecc": cards.each(lambda card: _on_off(nvml.nvmlDeviceGetEccMode(card)[0])),
        "driver": driver.partition(".")[0],
        "cuda": cards.one(lambda: nvml.nvmlSystemGetCudaDriverVersion_v2() // 1000),
    }


def recorded(instruments: Instruments) -> dict[str, str]:
    """Return facts that differ between equal machines, or vary from minute to minute."""
    cards = _cards(instruments)
    if cards is None:
        return {}
    nvml = cards.nvml
    return {
        "gpu uuid": cards.each(lambda card: text(nvml.nvmlDeviceGetUUID, card)),
        "gpu driver": cards.one(lambda: text(nvml.nvmlSystemGetDriverVersion)),
        "gpu temperature": cards.each(
            lambda card: f"{nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)} C"
        ),
        "gpu clock": cards.each(
            lambda card: f"{nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM)} MHz"
        ),
    }


def _cards(instruments: Instruments) -> _Cards | None:
    """Return the GPUs of the NVML sensor, which keeps the library open and uses NVML's indices."""
    sensor = next((sensor for sensor in instruments.sensors if sensor.name == "nvml"), None)
    if sensor is None:
        return None
    nvml = loaded()
    if nvml is None:  # the sensor of a plugin, which has the name of ours
        return None
    handles = []
    for domain in sensor.domains:
        with suppress(nvml.NVMLError, ValueError):
            handles.append(nvml.nvmlDeviceGetHandleByIndex(int(domain.name.partition(":")[2])))
    return _Cards(nvml, handles)


def _on_off(mode: int) -> str:
    return "on" if mode else "off"


#: What a process needs of a GPU before its first tensor: about half a gigabyte, with a reserve.
_CONTEXT_BYTES = 1 << 30


def no_space_for(copies: int, modules: Mapping[str, Any] = SYSTEM.modules) -> str | None:
    """Return which GPU cannot hold this process's tensors `copies` more times, or None.

    It knows the tensors of torch alone, by the most that this process has reserved.
    """
    cuda = getattr(modules.get("torch"), "cuda", None)
    with suppress(Exception):  # a test may have replaced torch
        if cuda is None or not cuda.is_initialized():
            return None
        for device in range(cuda.device_count()):
            used = cuda.max_memory_reserved(device)
            free, _ = cuda.mem_get_info(device)
            if used and free < copies * (used + _CONTEXT_BYTES):
                return f"gpu:{device} has {_gigabytes(free)} free, the test uses {_gigabytes(used)}"
    return None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
