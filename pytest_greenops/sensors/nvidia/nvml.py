"""NVIDIA cards, by the total energy counter that NVML keeps of each (Volta and newer).

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded, in 64 bits: it
does not wrap. It moves in ticks, 10 to 500 ms apart depending on driver and card, and nothing
reports how far. So the tick is measured when the sensor is opened. A window begins after a tick,
and ends with the next one, less what the card drew between the end and it. The power of cards
without a counter is sampled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Reading, Source
from pytest_greenops.model.units import format_percent
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock, poll
from pytest_greenops.sensors.nvidia import binding, device_state
from pytest_greenops.sensors.nvidia.sampled_power import (
    PAUSE_S,
    SampledCounter,
    SampledEnd,
    SampledStart,
    SampledWindow,
)
from pytest_greenops.sensors.nvidia.tick_watch import watch_ticks
from pytest_greenops.sensors.nvidia.ticking_counter import Beginning, Ending, Opened, TickingCounter
from pytest_greenops.sensors.nvidia.visible_cards import Card, all_cards, visible_cards
from pytest_greenops.sensors.process_tree import ended_children
from pytest_greenops.sensors.ticks import POLL_S, POWER_ERROR, Edge
from pytest_greenops.system import before_tests

#: For how many ticks an edge is awaited before the counter counts as stuck.
PATIENCE = 3
#: How long before its moment an edge is computed, so that nothing is left to do at the moment.
_AHEAD_NS = 100_000

_Counter = TickingCounter | SampledCounter
_Awaited = Beginning | Ending | SampledStart | SampledEnd


class NvmlSensor:
    """Counts of the cards that this process may use; see `Sensor` for its attributes.

    doubts  cards whose counter disagrees with their power, and by how much
    notes   what a reader of its figures has to know
    uuids   of the cards that CUDA shows to this process
    named   the domain that is judged: its card counts as used, whichever process uses it
    """

    name = "nvml"
    source: Source = "sensed"
    uuids: tuple[str, ...] = ()

    def __init__(
        self,
        nvml: Any,
        counters: Sequence[_Counter],
        notes: Sequence[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._nvml = nvml
        self._clock = clock
        self.named = ""
        self._ended_children = ended_children()
        ticking = [counter for counter in counters if isinstance(counter, TickingCounter)]
        sampled = [counter for counter in counters if isinstance(counter, SampledCounter)]
        watched = watch_ticks(ticking, clock)
        self._counters = tuple(c for c in counters if c in watched.moving or c in sampled)
        stuck = [
            f"{name} does not move although the card draws {watts:.0f} W: not measured"
            for name, watts in watched.stuck_w.items()
        ]
        if not self._counters:
            raise SensorUnavailable(
                f"no card can be measured: {'; '.join(stuck)}", "reload the driver"
            )
        self._windows: list[Opened | SampledWindow] = []
        self.domains = tuple(counter.domain for counter in self._counters)
        self.update_period_s = max(counter.period_s for counter in self._counters)
        self.phase_period_s = max((counter.period_s for counter in sampled), default=0.0)
        self._poll_s = min([POLL_S, *(counter.period_s / 100 for counter in watched.moving)])
        self.doubts = watched.doubts
        self.notes = (*_sampled_note(sampled), *self.doubts.values(), *stuck, *notes)
        self.method = "; ".join([*watched.method, *self.notes])

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for a card that does not answer.

        The count of a card without a counter is what it used since the last window began.
        """
        now_ns = self._clock.now_ns()
        return self._reading(now_ns, [counter.count_now() for counter in self._counters])

    def begin(self, phase_s: float = 0.0) -> Reading:
        """Wait for a tick of each counter, then for `phase_s`; return the counts then."""
        starts = [counter.start() for counter in self._counters]
        self._await(starts)
        if phase_s:
            self._clock.sleep(phase_s)
        begin_ns = self._clock.now_ns() + _AHEAD_NS
        self._windows = [start.open(begin_ns) for start in starts]
        reading = self._reading(begin_ns, [window.edge for window in self._windows])
        while self._clock.now_ns() < begin_ns:
            pass
        return reading

    def end(self) -> Reading:
        """Return the counts at the call: wait for the next tick of each, less what came after.

        Clocks and what limits them are noted at once, before the card becomes idle.
        """
        end_ns = self._clock.now_ns()
        ends = [window.end(end_ns) for window in self._windows]
        for counter in self._counters:
            counter.clocks.note()
        self._await(ends)
        reading = self._reading(end_ns, [end.edge() for end in ends])
        sampled = [
            (counter.domain.name, end.curve())
            for counter, end in zip(self._counters, ends, strict=True)
            if isinstance(end, SampledEnd)
        ]
        return reading._replace(power={name: curve for name, curve in sampled if curve})

    def states(self) -> dict[str, DeviceState]:
        """Return the state of each card, with what was noted of it since the last call."""
        presences = device_state.presences(self._nvml, [c.handle for c in self._counters])
        before, self._ended_children = self._ended_children, ended_children()
        states = {}
        for counter, presence in zip(self._counters, presences, strict=True):
            if counter.domain.name == self.named and not presence.used:
                # It is judged by name: another process, such as a server, does the work there.
                presence = device_state.Presence(used=True)
            elif before != self._ended_children and not presence.used:
                presence = presence._replace(used=None)  # the child may have used any card
            states[counter.domain.name] = counter.state(presence)
        return states

    def resting(self) -> set[str]:
        """Return the cards that had no work a moment ago, and on which no process computes."""
        return {c.domain.name for c in self._counters if device_state.rests(self._nvml, c.handle)}

    def close(self) -> None:
        """Release NVML; a later reading has no counts."""
        for counter in self._counters:
            if isinstance(counter, SampledCounter):
                counter.close()
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _await(self, awaited: Sequence[_Awaited]) -> None:
        """Look at the cards until all are done, for at most some ticks."""

        def look() -> None:
            for each in awaited:
                each.look()

        patience_s = PATIENCE * self.update_period_s
        poll(look, lambda: all(e.done for e in awaited), self._clock, patience_s, self._poll_s)

    def _reading(self, time_ns: int, edges: Sequence[Edge | None]) -> Reading:
        counts = [edge.count_uj if edge else None for edge in edges]
        errors = [edge.error_uj if edge else 0.0 for edge in edges]
        why = {counter.domain.name: counter.why for counter in self._counters if counter.why}
        return Reading(time_ns, counts, errors, why)


@before_tests
def open_sensor(environ: Mapping[str, str] = os.environ, clock: Clock = SYSTEM_CLOCK) -> NvmlSensor:
    """Open the cards that CUDA shows to this process, according to `environ`.

    Raises `SensorUnavailable`: absent if there is no driver or no card, or if all are hidden.
    """
    nvml = binding.start()
    try:
        shown = all_cards(nvml)
        cards, notes = visible_cards(nvml, shown.cards, environ)
        notes += shown.lost
        counters, unmeasured = _open_counters(nvml, cards, clock)
        if not counters:
            raise SensorUnavailable(f"no card can be measured: {'; '.join(unmeasured)}")
        notes += [f"{reason}: not measured" for reason in unmeasured]
        notes += _mig_notes(nvml, counters)
        sensor = NvmlSensor(nvml, counters, notes, clock)
        sensor.uuids = tuple(card.uuid for card in cards)
        return sensor
    except BaseException:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
        raise


def _open_counters(
    nvml: Any, cards: Sequence[Card], clock: Clock
) -> tuple[list[_Counter], list[str]]:
    """Return counters of the cards that report energy or power, and why others have none."""
    counters: list[_Counter] = []
    reasons = []
    for card in cards:
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(card.uuid)
            counts = _has_energy_counter(nvml, handle)
            counter = TickingCounter if counts else SampledCounter
            counters.append(counter(nvml, card, handle, clock))
        except nvml.NVMLError as error:
            missing = error.value == nvml.NVML_ERROR_NOT_SUPPORTED
            none = "has neither an energy counter nor a power reading"
            reasons.append(f"{card} {none if missing else f'fails: {error}'}")
    return counters, reasons


def _has_energy_counter(nvml: Any, handle: Any) -> bool:
    """Return whether a card counts energy; raise `NVMLError` if it fails otherwise."""
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        return False
    return True


def _sampled_note(counters: Sequence[SampledCounter]) -> list[str]:
    names = ", ".join(counter.domain.name for counter in counters)
    note = (
        f"{names} without an energy counter: power sampled every {PAUSE_S * 1000:.0f} ms and "
        f"integrated; the card reports it to {format_percent(POWER_ERROR, False, digits=2)}"
    )
    return [note] * bool(counters)


def _mig_notes(nvml: Any, counters: Sequence[_Counter]) -> list[str]:
    split = []
    for counter in counters:
        with suppress(nvml.NVMLError):  # a card that cannot be split, or an old driver
            if nvml.nvmlDeviceGetMigMode(counter.handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE:
                split.append(counter.domain.name)
    return [f"{', '.join(split)}: energy of the whole card, not of one MIG instance"] * bool(split)
