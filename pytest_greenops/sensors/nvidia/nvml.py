"""NVIDIA cards, through the total energy counter that NVML keeps of each (Volta and newer).

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded, in 64 bits: it
does not wrap. It moves in ticks, 10 to 500 ms apart by driver and card, which nothing tells: so the
tick is measured when the sensor is opened, a window begins after one, and ends with the next, less
what the card drew between the end and it. Cards without the counter have their power sampled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Reading, Source
from pytest_greenops.sensors.nvidia import device_state as nvml_state
from pytest_greenops.sensors.nvidia.cards import Card, all_cards, visible
from pytest_greenops.sensors.nvidia.gauge import CountingGauge, Gauge, SampledGauge
from pytest_greenops.sensors.nvidia.power_integral import PAUSE_S
from pytest_greenops.sensors.nvidia.watch import stands_still, watch
from pytest_greenops.sensors.ticks import POWER_ERROR, Edge

#: How many ticks an edge waits for one, before the counter is said to be stuck.
PATIENCE = 3
#: Between two looks at the cards, or a hundredth of the tick where that is shorter.
_PAUSE_S = 0.0005
#: How far ahead an edge is computed, so that nothing is left to do when its moment comes.
_AHEAD_NS = 100_000


class NvmlSensor:
    """Counts of the cards that this process may use; see `Sensor` for its attributes.

    doubts  cards whose counter does not agree with their power, and by how much
    notes   what a reader of its figures has to know
    named   the domain that is judged: its card counts as used, whoever uses it
    """

    name = "nvml"
    source: Source = "sensed"

    def __init__(
        self,
        nvml: Any,
        gauges: Sequence[CountingGauge | SampledGauge],
        notes: Sequence[str] = (),
    ) -> None:
        self._nvml = nvml
        self.named = ""
        self._reaped = nvml_state.reaped()
        counting = [gauge for gauge in gauges if isinstance(gauge, CountingGauge)]
        words, self.doubts = watch(counting)
        stuck = [gauge for gauge in counting if stands_still(gauge)]
        gauges = _without(stuck, gauges)
        counting = [gauge for gauge in counting if gauge not in stuck]
        sampled = [gauge for gauge in gauges if isinstance(gauge, SampledGauge)]
        self._gauges = tuple(gauges)
        self.domains = tuple(gauge.domain for gauge in gauges)
        self.update_period_s = max(gauge.period_s for gauge in gauges)
        self.phase_period_s = max((gauge.period_s for gauge in sampled), default=0.0)
        self._pause_s = min([_PAUSE_S, *(gauge.period_s / 100 for gauge in counting)])
        self.notes = (*_sampled(sampled), *self.doubts.values(), *_stuck(stuck), *notes)
        self.method = "; ".join([*words, *self.notes])

    def read(self) -> Reading:
        """The counts now, in microjoules; None for a card that does not answer.

        That of a card without a counter is what it used since the last window began.
        """
        now_ns = time.monotonic_ns()
        return self._edges(now_ns, [gauge.stand() for gauge in self._gauges])

    def begin(self, phase_s: float = 0.0) -> Reading:
        """Wait for a tick of each counter, then for `phase_s`; the counts at the return."""
        for gauge in self._gauges:
            gauge.await_tick()
        self._poll(lambda gauge: gauge.ready)
        if phase_s:
            time.sleep(phase_s)
        edge_ns = time.monotonic_ns() + _AHEAD_NS
        edges = [gauge.begin(edge_ns) for gauge in self._gauges]
        reading = self._edges(edge_ns, edges)
        while time.monotonic_ns() < edge_ns:
            pass
        return reading

    def end(self) -> Reading:
        """The counts at the call: waits for the next tick of each, and takes off what came after.

        What holds the clocks down, and the clock, are noted at once, before the card rests.
        """
        end_ns = time.monotonic_ns()
        for gauge in self._gauges:
            gauge.stop()
        for gauge in self._gauges:
            gauge.note()
        self._poll(lambda gauge: gauge.settled)
        return self._edges(end_ns, [gauge.end(end_ns) for gauge in self._gauges])

    def states(self) -> dict[str, DeviceState]:
        """The state of each card, with what was noted of it since the last asking."""
        presences = nvml_state.presences(self._nvml, [gauge.handle for gauge in self._gauges])
        reaped = nvml_state.reaped()
        came_and_went, self._reaped = reaped != self._reaped, reaped
        states = {}
        for gauge, seen in zip(self._gauges, presences, strict=True):
            if gauge.domain.name == self.named and not seen.used:
                # It is judged by name: who is on it instead of us does the work, like a server.
                seen = nvml_state.Presence(used=True)
            elif came_and_went and not seen.used:  # a child may have used any card
                seen = seen._replace(used=None)
            states[gauge.domain.name] = gauge.state(seen)
        return states

    def resting(self) -> set[str]:
        """The cards that tell that nobody computes on them, and that nothing did a moment ago."""
        return {g.domain.name for g in self._gauges if nvml_state.rests(self._nvml, g.handle)}

    def close(self) -> None:
        """Give NVML back; a reading after this has no counts."""
        for gauge in self._gauges:
            if isinstance(gauge, SampledGauge):
                gauge.stop()
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _poll(self, done: Callable[[CountingGauge | SampledGauge], bool]) -> None:
        """Look at the cards until they are done, or as long as patience lasts."""
        patience_s = PATIENCE * self.update_period_s
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if all(done(gauge) for gauge in self._gauges):
                return
            time.sleep(self._pause_s)
            for gauge in self._gauges:
                gauge.look()

    def _edges(self, time_ns: int, edges: Sequence[Edge | None]) -> Reading:
        counts = [edge.count_uj if edge else None for edge in edges]
        errors = [edge.error_uj if edge else 0.0 for edge in edges]
        why = {gauge.domain.name: gauge.why for gauge in self._gauges if gauge.why}
        return Reading(time_ns, counts, errors, why)


def open_sensor(environ: Mapping[str, str] = os.environ) -> NvmlSensor:
    """Open the cards that CUDA shows to this process, as `environ` says.

    Raises `SensorUnavailable`: absent where there is no driver or no card, or where all are hidden.
    """
    nvml = _start()
    try:
        cards, notes = visible(nvml, all_cards(nvml), environ)
        gauges, unmeasured = _gauges(nvml, cards)
        if not gauges:
            raise SensorUnavailable(f"no card can be measured: {'; '.join(unmeasured)}")
        notes += [f"{reason}: not measured" for reason in unmeasured]
        notes += _mig_notes(nvml, gauges)
        return NvmlSensor(nvml, gauges, notes)
    except BaseException:
        nvml.nvmlShutdown()
        raise


def _start() -> Any:
    try:
        import pynvml
    except ImportError:
        raise SensorUnavailable(
            "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
        ) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise _no_driver(pynvml, error) from None
    return pynvml


def _no_driver(nvml: Any, error: Any) -> SensorUnavailable:
    if error.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return SensorUnavailable(
            "no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded", absent=True
        )
    if error.value == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return SensorUnavailable(
            "the NVIDIA driver is not loaded", "sudo modprobe nvidia", absent=True
        )
    if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return SensorUnavailable(
            "the NVIDIA driver in the kernel and its library have different versions",
            "reboot, or reload the driver",
        )
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        return SensorUnavailable(
            "this user may not use the NVIDIA driver", "give it access to /dev/nvidia*"
        )
    return SensorUnavailable(f"NVML does not start: {error}")


def _without(
    stuck: Sequence[CountingGauge], gauges: Sequence[CountingGauge | SampledGauge]
) -> list[CountingGauge | SampledGauge]:
    """The gauges whose counters move; raises `SensorUnavailable` where there are none."""
    left = [gauge for gauge in gauges if gauge not in stuck]
    if not left:
        raise SensorUnavailable(
            f"no card can be measured: {'; '.join(_stuck(stuck))}", "reload the driver"
        )
    return left


def _stuck(gauges: Sequence[CountingGauge]) -> list[str]:
    return [
        f"{gauge.domain.name} stands still although the card draws "
        f"{gauge.samples[-1].watts:.0f} W: not measured"
        for gauge in gauges
    ]


def _sampled(gauges: Sequence[SampledGauge]) -> list[str]:
    names = ", ".join(gauge.domain.name for gauge in gauges)
    note = (
        f"{names} without an energy counter: power sampled every {PAUSE_S * 1000:.0f} ms "
        f"and integrated, told by the card to {POWER_ERROR * 100:.0f} %"
    )
    return [note] * bool(gauges)


def _gauges(
    nvml: Any, cards: Sequence[Card]
) -> tuple[list[CountingGauge | SampledGauge], list[str]]:
    """Gauges of the cards that tell their energy, or at least their power; why others do not."""
    gauges: list[CountingGauge | SampledGauge] = []
    reasons = []
    for card in cards:
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(card.uuid)
            if _has_counter(nvml, handle):
                gauges.append(CountingGauge(nvml, card, handle))
            else:
                gauges.append(SampledGauge(nvml, card, handle))
        except nvml.NVMLError as error:
            missing = error.value == nvml.NVML_ERROR_NOT_SUPPORTED
            none = "has neither an energy counter nor a power reading"
            reasons.append(f"{card} {none if missing else f'fails: {error}'}")
    return gauges, reasons


def _has_counter(nvml: Any, handle: Any) -> bool:
    """Whether a card counts energy; raises `NVMLError` where it fails otherwise."""
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        return False
    return True


def _mig_notes(nvml: Any, gauges: Sequence[Gauge]) -> list[str]:
    split = []
    for gauge in gauges:
        with suppress(nvml.NVMLError):  # a card that cannot be split, or a driver that cannot
            if nvml.nvmlDeviceGetMigMode(gauge.handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE:
                split.append(gauge.domain.name)
    return [f"{', '.join(split)}: energy of the whole card, not of one MIG instance"] * bool(split)
