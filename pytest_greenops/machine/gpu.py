"""NVIDIA cards: the settings that decide joules, of the cards that are measured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from pytest_greenops.machine.cpu import UNKNOWN
from pytest_greenops.sensors.instruments import Instruments


class _Cards(NamedTuple):
    """The NVML library, and handles of the cards that its sensor counts."""

    nvml: Any
    handles: list[Any]

    def each(self, ask: Callable[[Any], object]) -> str:
        """What each card answers, each answer once: `A` or `A + B`; unknown where none does."""
        answers: list[str] = []
        for handle in self.handles:
            with suppress(self.nvml.NVMLError):
                answers.append(str(ask(handle)))
        return " + ".join(dict.fromkeys(answers)) or UNKNOWN

    def one(self, ask: Callable[[], object]) -> str:
        """What the driver answers; unknown where it does not."""
        with suppress(self.nvml.NVMLError):
            return str(ask())
        return UNKNOWN


def matched(instruments: Instruments) -> dict[str, str]:
    """Facts on which two measurements must agree; empty where no card is measured through NVML."""
    cards = _cards(instruments)
    if cards is None:
        return {}
    nvml = cards.nvml
    driver = cards.one(nvml.nvmlSystemGetDriverVersion)
    return {
        "gpu": cards.each(nvml.nvmlDeviceGetName),
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
    """Facts for the reader: they differ between like machines, or from one minute to the next."""
    cards = _cards(instruments)
    if cards is None:
        return {}
    nvml = cards.nvml
    return {
        "gpu uuid": cards.each(nvml.nvmlDeviceGetUUID),
        "gpu driver": cards.one(nvml.nvmlSystemGetDriverVersion),
        "gpu temperature": cards.each(
            lambda card: f"{nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)} C"
        ),
        "gpu clock": cards.each(
            lambda card: f"{nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM)} MHz"
        ),
    }


def _cards(instruments: Instruments) -> _Cards | None:
    """The cards of the NVML sensor, which holds the library open and names them by NVML's index."""
    sensor = next((sensor for sensor in instruments.sensors if sensor.name == "nvml"), None)
    if sensor is None:
        return None
    import pynvml

    handles = []
    for domain in sensor.domains:
        with suppress(pynvml.NVMLError):
            handles.append(pynvml.nvmlDeviceGetHandleByIndex(int(domain.name.partition(":")[2])))
    return _Cards(pynvml, handles)


def _on_off(mode: int) -> str:
    return "on" if mode else "off"
