"""NVIDIA GPUs: the settings that affect joules, for the measured GPUs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from pytest_greenops.machine.cpu import UNKNOWN
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.binding import loaded, text


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
