"""Counters that wrap, read now and then while a window is open long enough for two wraps.

A window that ends before a quarter of the fastest counter's range could be used up is never
disturbed. In a longer one a thread reads the counters that often, and the parts are added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors.base import Sensor
from pytest_greenops.sensors.clock import NANOSECONDS, SYSTEM_CLOCK, Clock
from pytest_greenops.system import SYSTEM

#: How often a counter is read in a long window, as a share of the time in which it may wrap.
SHARE = 0.25
#: No counter wraps so soon that it has to be read more often.
LEAST_PERIOD_S = 1.0


class WrapWatch:
    """Reads the sensors whose counters wrap, often enough that no wrap is missed.

    period_s   time between two readings; None where no counter wraps
    opened_ns  when the last window was opened, by the clock
    lock       held for a reading, from its time to its last count, so that none overtakes another
    """

    def __init__(self, sensors: Sequence[Sensor], clock: Clock = SYSTEM_CLOCK) -> None:
        wrapping = {
            place: [d.range_uj / d.max_power_w * 1e-6 for d in sensor.domains if d.range_uj]
            for place, sensor in enumerate(sensors)
        }
        self._sensors = {place: sensors[place] for place, spans in wrapping.items() if spans}
        spans_s = [span for spans in wrapping.values() for span in spans]
        self.period_s = max(LEAST_PERIOD_S, SHARE * min(spans_s)) if spans_s else None
        self.opened_ns = 0
        self.lock = SYSTEM.allocate_lock()
        self._clock = clock
        self._read_ns = 0
        self._seen: list[dict[int, Reading]] = []

    def seen(self, place: int, before: Reading, after: Reading) -> list[Reading]:
        """Return what was read of one sensor between two readings of it."""
        readings = (reading[place] for reading in self._seen if place in reading)
        return [r for r in readings if before.time_ns < r.time_ns < after.time_ns]

    @contextmanager
    def watching(self, expected_s: float | None) -> Iterator[None]:
        """Watch while this is open, unless it is expected to end before the first reading.

        A process with a thread cannot be forked without a warning, so short work has none.
        """
        self._seen.clear()
        if self.period_s is None or (expected_s is not None and expected_s < self.period_s / 2):
            yield
            return
        self._read_ns = self._clock.now_ns()
        watching = self._clock.repeat(self._read_if_due, self._due_in_s, "pytest-greenops-wraps")
        try:
            yield
        finally:
            watching.stop()

    def _due_in_s(self) -> float:
        """Return the time until the next reading: a period after the last one or the opening."""
        assert self.period_s is not None
        since_ns = self._clock.now_ns() - max(self._read_ns, self.opened_ns)
        return max(0.0, self.period_s - since_ns * NANOSECONDS)

    def _read_if_due(self) -> None:
        """Read every counter, unless a window was opened while this waited."""
        if self._due_in_s() > 0.0:
            return
        with self.lock:
            self._seen.append({place: sensor.read() for place, sensor in self._sensors.items()})
        self._read_ns = self._clock.now_ns()
