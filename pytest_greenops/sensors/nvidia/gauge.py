"""One NVIDIA card: its counter followed from tick to tick, or its power where it has no counter."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from pytest_greenops.model.measurement import DeviceState, Domain
from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.nvidia import device_state as nvml_state
from pytest_greenops.sensors.nvidia.cards import Card
from pytest_greenops.sensors.nvidia.power_integral import PowerIntegral
from pytest_greenops.sensors.ticks import (
    POWER_ERROR,
    RESOLUTION_UJ,
    Edge,
    PowerSample,
    Tick,
    Ticker,
    count_after,
    count_at_rest,
    count_between,
)

#: Power peaks above the limit that the driver enforces, which it holds on average only.
HEADROOM = 1.2
#: A tick is sharp when it is known to this share of the period.
SHARP = 0.05
#: Power before a window is that of a resting card if it is at most this share of the window's.
RESTING = 0.7
#: How often a card renews what it says of its power, unless a watch has shown it: usual for NVIDIA.
USUAL_PERIOD_S = 0.1
_STUCK = "it is stuck (reload the driver)"
_UJ_PER_MJ = 1000
#: `NVML_FI_DEV_POWER_INSTANT` of nvml.h; older versions of nvidia-ml-py do not name it.
_POWER_INSTANT = 186


class Gauge:
    """What all cards have: a handle, a domain, a power, a state.

    why   why its energy was not known at the last look, or None
    used  whether this process or a descendant had work on it at the last asking; None: not known
    """

    def __init__(self, nvml: Any, card: Card, handle: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self.domain = Domain(card.domain, "gpu", max_power_w=_max_power_w(nvml, handle))
        self._field = _has_instant_field(nvml, handle)
        self.instant = self._field or _is_older(nvml, handle)
        self.why: str | None = None
        self.used: bool | None = None
        self._reasons: tuple[str, ...] = ()
        self._clock_mhz: int | None = None

    def power_w(self) -> float:
        """Its power at the instant, else the mean that it tells; raises `NVMLError`."""
        if self._field:
            value = self.nvml.nvmlDeviceGetFieldValues(self.handle, [_POWER_INSTANT])[0]
            if value.nvmlReturn != self.nvml.NVML_SUCCESS:
                raise self.nvml.NVMLError(value.nvmlReturn)
            return float(value.value.uiVal) / 1000
        return float(self.nvml.nvmlDeviceGetPowerUsage(self.handle)) / 1000

    def note(self) -> None:
        """Note what holds its clocks down now, and its clock."""
        more = nvml_state.throttle_reasons(self.nvml, self.handle)
        self._reasons = tuple(dict.fromkeys((*self._reasons, *more)))
        self._clock_mhz = nvml_state.clock_mhz(self.nvml, self.handle)

    def state(self, presence: nvml_state.Presence) -> DeviceState:
        """Its state, with what was noted since the last asking."""
        self.used = presence.used
        self._reasons, reasons = (), self._reasons
        return nvml_state.state(self.nvml, self.handle, reasons, self._clock_mhz, presence)

    def failed(self, error: Exception) -> None:
        """Its energy is not known, because of an error of NVML."""
        self.why = f"could not be read: {error} (nvidia-smi -q tells more)"


class CountingGauge(Gauge):
    """A card with an energy counter.

    ticker    follows the counter
    period_s  its tick
    ticks, samples  what was seen of the counter and of its power since `await_tick`
    """

    def __init__(self, nvml: Any, card: Card, handle: Any) -> None:
        super().__init__(nvml, card, handle)
        self.ticker = Ticker()
        self.period_s = USUAL_PERIOD_S
        self._watts: float | None = None
        self._resting_w: float | None = None
        self._began: Tick | None = None
        self._waits = True
        self.samples: list[PowerSample] = []
        self.ticks: list[Tick] = []

    def look(self) -> None:
        """Read the counter and the power, and note a tick."""
        asked_ns = time.monotonic_ns()
        try:
            count_mj = self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)
        except self.nvml.NVMLError as error:
            self.failed(error)
            return
        self.why = None
        moved = self.ticker.see(asked_ns, time.monotonic_ns(), count_mj * _UJ_PER_MJ)
        if moved and self.ticker.tick:
            self.ticks.append(self.ticker.tick)
        self._watts = None
        with suppress(self.nvml.NVMLError):
            self._watts = self.power_w()
            self.samples.append(PowerSample(time.monotonic_ns(), self._watts))

    def stand(self) -> Edge | None:
        """The count as it stands, late by up to a tick; None where it cannot be read."""
        self.look()
        return None if self.why else self._as_it_stands()

    def await_tick(self) -> None:
        """From now on only ticks to come are of use; what moved until now did so unseen.

        A card without work is not worth a wait.
        """
        self._waits = self.used is not False
        self.samples.clear()
        self.look()
        self.ticks.clear()

    @property
    def ready(self) -> bool:
        """Whether a window may begin: a sharp tick was seen, or none is waited for."""
        done = self.why is not None or not self._waits
        return done or bool(self.ticks and self._sharp(self.ticks[-1]))

    def begin(self, edge_ns: int) -> Edge | None:
        """The count at the beginning of a window."""
        self._resting_w = self._watts
        self._began = None
        if not (self.why or self._waits):
            return self._as_it_stands()
        if self.why or not self.ticks:
            return self._without_tick()
        edge = count_after(self.ticks[-1], edge_ns, self._known_power(edge_ns))
        self._began = Tick(edge_ns, 0, edge.count_uj)
        return edge

    def stop(self) -> None:
        """A window has ended: the next tick tells its energy."""
        self.await_tick()

    @property
    def settled(self) -> bool:
        """Whether the ticks since the end of a window are enough.

        One is, where the card is known to rest since then. Else the next tick tells what it drew.
        """
        if self.why is not None or not self._waits or len(self.ticks) > 1:
            return True
        return bool(self.ticks) and self._rests

    def end(self, end_ns: int) -> Edge | None:
        """The count at the end of a window, by the ticks after it."""
        if not (self.why or self._waits):
            return self._as_it_stands()
        if self.why or not self.ticks:
            return self._without_tick()
        first, samples = self.ticks[0], self._known_power(end_ns)
        if len(self.ticks) > 1 and not self._rests:
            told_w = samples[-1].watts if self.instant else None
            return count_between(first, self.ticks[1], end_ns, told_w)
        edge = count_at_rest(first, end_ns, samples)
        doubt_uj = 0 if self._rests else first.count_uj - edge.count_uj
        return Edge(edge.count_uj, edge.error_uj + abs(doubt_uj))

    @property
    def _rests(self) -> bool:
        """Whether the card tells again what it drew before the window, and more was drawn in it.

        Else both readings may be late, and of the same work.
        """
        if not (self.instant and self.samples and self._began and self._resting_w):
            return False
        first, began = self.ticks[0], self._began
        since_w = (first.count_uj - began.count_uj) / (first.time_ns - began.time_ns) * 1e3
        back = abs(self.samples[-1].watts - self._resting_w) <= 2 * POWER_ERROR * self._resting_w
        return back and self._resting_w <= RESTING * since_w

    def _known_power(self, time_ns: int) -> list[PowerSample]:
        """What power was told since `await_tick`; nothing drawn, where the card tells none."""
        return self.samples or [PowerSample(time_ns, 0.0)]

    def _as_it_stands(self) -> Edge:
        """The count without a wait: late by up to a tick, of whatever the card may have drawn."""
        late_uj = self.domain.max_power_w * self.period_s * 1e6
        return Edge(self.ticker.count_uj or 0, EDGE_ERROR * late_uj)

    def _without_tick(self) -> Edge | None:
        """The count of a card that draws next to nothing; of any other its counter is stuck."""
        if self.why is None and self._watts is not None:
            if self._watts * self.period_s * 1e6 < RESOLUTION_UJ:
                return Edge(self.ticker.count_uj or 0, RESOLUTION_UJ)
            self.why = f"stands still although the card draws {self._watts:.0f} W: {_STUCK}"
        self.why = self.why or f"stands still: {_STUCK}"
        return None

    def _sharp(self, tick: Tick) -> bool:
        return tick.half_ns <= SHARP * self.period_s * 1e9


class SampledGauge(Gauge):
    """A card without an energy counter: its power is sampled while a window is open.

    Raises `NVMLError` where it does not tell its power either.
    """

    period_s = USUAL_PERIOD_S
    ready = settled = True

    def __init__(self, nvml: Any, card: Card, handle: Any) -> None:
        super().__init__(nvml, card, handle)
        self.power_w()
        self._integral = PowerIntegral(self._sample, self.period_s)
        self._ended: Edge | None = None

    def stand(self) -> Edge | None:
        """The energy since the last window began; None where its power could not be read."""
        self._integral.take()
        return self._integral.edge()

    def await_tick(self) -> None:
        """It has none."""

    def look(self) -> None:
        """Nothing is to be followed: a thread does."""

    def begin(self, edge_ns: int) -> Edge:
        """Nothing yet: energy is counted from here."""
        self.why = None
        self._integral.begin()
        return Edge(0, 0.0)

    def stop(self) -> None:
        """A window has ended: take its last sample."""
        self._ended = self._integral.end()

    def end(self, end_ns: int) -> Edge | None:
        """The energy since the beginning."""
        return self._ended

    def _sample(self) -> float | None:
        try:
            return self.power_w()
        except self.nvml.NVMLError as error:
            self.failed(error)
            return None


def _has_instant_field(nvml: Any, handle: Any) -> bool:
    """Whether the card has a reading of its power at the instant, and needs one."""
    if _is_older(nvml, handle):
        return False
    try:
        value = nvml.nvmlDeviceGetFieldValues(handle, [_POWER_INSTANT])[0]
    except (nvml.NVMLError, AttributeError):
        return False
    return bool(value.nvmlReturn == nvml.NVML_SUCCESS)


def _is_older(nvml: Any, handle: Any) -> bool:
    """Whether the card is older than Ampere: its plain power is no mean of a second there.

    As "nvidia-smi --help-query-gpu" says of power.draw.
    """
    try:
        return bool(nvml.nvmlDeviceGetArchitecture(handle) < nvml.NVML_DEVICE_ARCH_AMPERE)
    except (nvml.NVMLError, AttributeError):
        return False


def _max_power_w(nvml: Any, handle: Any) -> float:
    try:
        return round(float(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1000 * HEADROOM, 1)
    except nvml.NVMLError:
        return Domain("gpu", "gpu").max_power_w
