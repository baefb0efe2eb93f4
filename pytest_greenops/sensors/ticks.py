"""A counter that ticks seldom: when it ticks, and its count at any moment between two ticks.

Between two ticks a counter does not move while its device draws power, so a count is exact only at
a tick. For any other moment power is followed: from the last tick before a window to its beginning,
and from its end to the next tick after it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from pytest_greenops.sensors.clock import NANOSECONDS, Clock

#: How far a power reading may be off: NVIDIA states 5 % for Fermi and Kepler (NVML's documentation
#: of nvmlDeviceGetPowerUsage), and no share for later cards.
POWER_ERROR = 0.05
#: How far the power after a tick may differ from that before it, for an idle device.
NEXT_TICK_ERROR = 0.25
#: How long a device may take to become idle after its work: a guess until real ones are measured.
SETTLING_NS = 1_000_000
#: The resolution of a counter in millijoules.
RESOLUTION_UJ = 1000.0
#: For how long a counter is watched for ticks, and how often it is read meanwhile.
WATCH_S = 1.0
POLL_S = 0.0005
#: How often a counter is assumed to tick if none of its ticks was seen: usual for NVIDIA.
USUAL_PERIOD_S = 0.1
_UJ_PER_WATT_NS = 1e-3


class Tick(NamedTuple):
    """When a counter moved, and to which count: `time_ns` is known to `half_ns` either way."""

    time_ns: int
    half_ns: int
    count_uj: int


class PowerSample(NamedTuple):
    """The power that a device reported, and when."""

    time_ns: int
    watts: float


class Edge(NamedTuple):
    """A count at the edge of a window, and how far it may be off (95 %), in microjoules."""

    count_uj: int
    error_uj: float


class Ticker:
    """Follows a counter from poll to poll; `count_uj` is the last count, or None."""

    def __init__(self) -> None:
        self.count_uj: int | None = None
        self._asked_ns = 0

    def look(self, read_uj: Callable[[], int], clock: Clock) -> Tick | None:
        """Read the counter, and return its tick if it moved since the last look."""
        asked_ns = clock.now_ns()
        count_uj = read_uj()
        return self.see(asked_ns, clock.now_ns(), count_uj)

    def see(self, asked_ns: int, answered_ns: int, count_uj: int) -> Tick | None:
        """Record a poll, and return a tick if the counter moved since the poll before."""
        tick = None
        if self.count_uj not in (None, count_uj):
            half_ns = (answered_ns - self._asked_ns + 1) // 2
            tick = Tick(answered_ns - half_ns, half_ns, count_uj)
        self.count_uj, self._asked_ns = count_uj, asked_ns
        return tick


def period_s(ticks: Sequence[Tick]) -> float:
    """Return the time between the ticks that were seen in `WATCH_S`, in seconds."""
    if len(ticks) > 1:
        spans_ns = [later.time_ns - tick.time_ns for tick, later in pairwise(ticks)]
        return statistics.median(spans_ns) * NANOSECONDS
    # After one tick in all that time, ticks are further apart than half of it.
    return WATCH_S if ticks else USUAL_PERIOD_S


def count_after(tick: Tick, time_ns: int, samples: Sequence[PowerSample]) -> Edge:
    """Return the count at a time after a tick, from the power that was sampled since.

    Of the samples, at least one, those older than the tick are ignored if one is newer.
    """
    since = [sample.watts for sample in samples if sample.time_ns >= tick.time_ns]
    since = since or [samples[-1].watts]
    seconds_ns = time_ns - tick.time_ns
    head_uj = statistics.fmean(since) * seconds_ns * _UJ_PER_WATT_NS
    doubt_uj = (max(since) - min(since)) / 2 * seconds_ns * _UJ_PER_WATT_NS
    return _edge(tick, -head_uj, since[0], doubt_uj)


def count_at_rest(tick: Tick, time_ns: int, samples: Sequence[PowerSample]) -> Edge:
    """Return the count at a time before a tick, of a device that is idle from that time on.

    The first samples since then may still be the power of its work, reported late or settling. The
    last one is its idle power.
    """
    watts = samples[-1].watts
    tail_uj = watts * max(0, tick.time_ns - time_ns) * _UJ_PER_WATT_NS
    settling_uj = abs(samples[0].watts - watts) * SETTLING_NS * _UJ_PER_WATT_NS
    return _edge(tick, tail_uj, watts, settling_uj)


def count_between(tick: Tick, later: Tick, time_ns: int, reported_w: float | None = None) -> Edge:
    """Return the count at a time before a tick, from how much the counter moved until a later one.

    The device is assumed to have drawn the same power just before the tick as after it.
    `reported_w` is the power that it reported meanwhile, if that is not a mean over a time.
    """
    watts = (later.count_uj - tick.count_uj) / (later.time_ns - tick.time_ns) / _UJ_PER_WATT_NS
    tail_uj = watts * (tick.time_ns - time_ns) * _UJ_PER_WATT_NS
    doubt_uj = NEXT_TICK_ERROR * abs(tail_uj)
    if reported_w is not None:
        reported_uj = reported_w * (tick.time_ns - time_ns) * _UJ_PER_WATT_NS
        doubt_uj = max(doubt_uj, abs(reported_uj - tail_uj))
    return _edge(tick, tail_uj, watts, doubt_uj)


def _edge(tick: Tick, tail_uj: float, watts: float, doubt_uj: float) -> Edge:
    """Return a tick's count less a tail; the errors have different causes and are independent."""
    timing_uj = watts * tick.half_ns * _UJ_PER_WATT_NS
    error_uj = math.hypot(timing_uj, POWER_ERROR * tail_uj, doubt_uj, RESOLUTION_UJ)
    return Edge(tick.count_uj - round(tail_uj), error_uj)
