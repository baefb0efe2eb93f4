"""What all NVIDIA cards have in common: an energy domain, a power reading, a state."""

from __future__ import annotations

from typing import Any

from pytest_greenops.model.measurement import DeviceState, Domain
from pytest_greenops.sensors.nvidia import device_state
from pytest_greenops.sensors.nvidia.binding import MOST_W
from pytest_greenops.sensors.nvidia.visible_cards import Card

#: Power peaks above the limit that the driver enforces, because it holds the limit on average only.
HEADROOM = 1.2
#: `NVML_FI_DEV_POWER_INSTANT` of nvml.h; older versions of nvidia-ml-py do not name it.
_POWER_INSTANT = 186


class CardCounter:
    """What the counter of one card has, whatever counts.

    why       why its energy was unknown at the last look, or None
    used      whether this process or a descendant used it at the last check; None: unknown
    clocks    what limited its clocks during a window
    period_s  how often its energy is renewed
    """

    period_s: float

    def __init__(self, nvml: Any, card: Card, handle: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self.power = CardPower(nvml, handle)
        self.domain = Domain(card.domain, "gpu", max_power_w=_max_power_w(nvml, handle))
        self.clocks = device_state.Clocks(nvml, handle)
        self.why: str | None = None
        self.used: bool | None = None

    def state(self, presence: device_state.Presence) -> DeviceState:
        """Return its state now, with what limited its clocks since the last call."""
        self.used = presence.used
        return device_state.state(self.nvml, self.handle, self.clocks, presence)

    def fail(self, error: Exception) -> None:
        """Record that its energy is unknown because of an error of NVML."""
        self.why = f"could not be read: {error} (nvidia-smi -q shows more)"


class CardPower:
    """The power that a card reports: `instant` if that of the moment, else a mean over a second."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        older = _is_older_than_ampere(nvml, handle)
        self._has_field = not older and _has_instant_field(nvml, handle)
        self.instant = self._has_field or older

    def watts(self) -> float:
        """Return the power of the moment, else the mean that it reports; raise `NVMLError`."""
        watts = self._milliwatts() / 1000
        if watts > MOST_W:
            raise self._nvml.NVMLError(self._nvml.NVML_ERROR_NOT_SUPPORTED)
        return watts

    def _milliwatts(self) -> float:
        if not self._has_field:
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle))
        value = self._nvml.nvmlDeviceGetFieldValues(self._handle, [_POWER_INSTANT])[0]
        if value.nvmlReturn != self._nvml.NVML_SUCCESS:
            raise self._nvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal)


def _has_instant_field(nvml: Any, handle: Any) -> bool:
    try:
        value = nvml.nvmlDeviceGetFieldValues(handle, [_POWER_INSTANT])[0]
    except (nvml.NVMLError, AttributeError):
        return False
    return bool(value.nvmlReturn == nvml.NVML_SUCCESS)


def _is_older_than_ampere(nvml: Any, handle: Any) -> bool:
    """Return whether the plain power of a card is that of the moment, not a mean over a second.

    "nvidia-smi --help-query-gpu" says so of power.draw.
    """
    try:
        return bool(nvml.nvmlDeviceGetArchitecture(handle) < nvml.NVML_DEVICE_ARCH_AMPERE)
    except (nvml.NVMLError, AttributeError):
        return False


def _max_power_w(nvml: Any, handle: Any) -> float:
    limit_w = device_state.power_limit_w(nvml, handle)
    return Domain("gpu", "gpu").max_power_w if limit_w is None else round(limit_w * HEADROOM, 1)
