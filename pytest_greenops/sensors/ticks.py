"""A counter that ticks seldom, known to the moment: pure functions of what polls have seen.

Between two ticks a counter stands still while its device draws power. So a count is exact only at a
tick; to any other moment power has to be followed: from the last tick before a window to its
beginning, and from its end to the next tick after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

#: How far a power reading may be off: NVIDIA says 5 % of Fermi and Kepler (NVML's documentation of
#: nvmlDeviceGetPowerUsage), and nothing as a share of later cards.
POWER_ERROR = 0.05
#: How far the power after a tick may differ from that before it, of a device that rests.
NEXT_TICK_ERROR = 0.25
#: How long a device may take to rest after its work: a guess, until real ones were measured.
SETTLING_NS = 1_000_000
#: A counter that ends on a millijoule.
RESOLUTION_UJ = 1000.0
_UJ_PER_WATT_NS = 1e-3


class Tick(NamedTuple):
    """When a counter moved, to which count: `time_ns` is known to `half_ns` either way."""

    time_ns: int
    half_ns: int
    count_uj: int


class PowerSample(NamedTuple):
    """What a device said it drew, and when."""

    time_ns: int
    watts: float


class Edge(NamedTuple):
    """A count at the edge of a window, and how far it may be off (95 %), in microjoules."""

    count_uj: int
    error_uj: float


class Ticker:
    """Follows a counter from poll to poll."""

    def __init__(self) -> None:
        self.tick: Tick | None = None
        self.count_uj: int | None = None
        self._asked_ns = 0

    def see(self, asked_ns: int, answered_ns: int, count_uj: int) -> bool:
        """Take note of a poll; whether the counter has moved since the one before."""
        moved = self.count_uj not in (None, count_uj)
        if moved:
            half_ns = (answered_ns - self._asked_ns + 1) // 2
            self.tick = Tick(answered_ns - half_ns, half_ns, count_uj)
        self.count_uj, self._asked_ns = count_uj, asked_ns
        return moved


def count_after(tick: Tick, time_ns: int, samples: Sequence[PowerSample]) -> Edge:
    """The count at a time after a tick, from the power that was sampled since.

    samples  in their order, at least one; older ones than the tick do not count, but for the last
    """
    since = [sample.watts for sample in samples if sample.time_ns >= tick.time_ns]
    since = since or [samples[-1].watts]
    seconds_ns = time_ns - tick.time_ns
    head_uj = fmean(since) * seconds_ns * _UJ_PER_WATT_NS
    doubt_uj = (max(since) - min(since)) / 2 * seconds_ns * _UJ_PER_WATT_NS
    return _edge(tick, -head_uj, since[0], doubt_uj)


def count_at_rest(tick: Tick, time_ns: int, samples: Sequence[PowerSample]) -> Edge:
    """The count at a time before a tick, of a device that rests from that time on.

    samples  at least one since that time, up to one at which it rested

    What it told first may still be the power of its work, told late or settling; what it tells last
    is what it rests at.
    """
    watts = samples[-1].watts
    tail_uj = watts * max(0, tick.time_ns - time_ns) * _UJ_PER_WATT_NS
    settling_uj = abs(samples[0].watts - watts) * SETTLING_NS * _UJ_PER_WATT_NS
    return _edge(tick, tail_uj, watts, settling_uj)


def count_between(tick: Tick, later: Tick, time_ns: int, told_w: float | None = None) -> Edge:
    """The count at a time before a tick, from what the counter moved by until a later one.

    The device is taken to have drawn as much just before the tick as after it.

    told_w  the power that it told meanwhile, where that means anything
    """
    watts = (later.count_uj - tick.count_uj) / (later.time_ns - tick.time_ns) / _UJ_PER_WATT_NS
    tail_uj = watts * (tick.time_ns - time_ns) * _UJ_PER_WATT_NS
    told_uj = tail_uj if told_w is None else told_w * (tick.time_ns - time_ns) * _UJ_PER_WATT_NS
    doubt_uj = max(NEXT_TICK_ERROR * abs(tail_uj), abs(told_uj - tail_uj))
    return _edge(tick, tail_uj, watts, doubt_uj)


def _edge(tick: Tick, tail_uj: float, watts: float, doubt_uj: float) -> Edge:
    """What is left of a tick's count without a tail; errors of unlike causes are independent."""
    timing_uj = watts * tick.half_ns * _UJ_PER_WATT_NS
    error_uj = math.hypot(timing_uj, POWER_ERROR * tail_uj, doubt_uj, RESOLUTION_UJ)
    return Edge(tick.count_uj - round(tail_uj), error_uj)
