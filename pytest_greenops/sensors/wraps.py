"""Counters that wrap, read now and then while a window is open for so long that they could twice.

A window that ends before a quarter of the fastest counter's range could be used up is never
disturbed; in a longer one a thread reads the counters that often, and the parts add up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors.base import Sensor

#: How often a counter is read in a long window, as a share of the time in which it may wrap.
SHARE = 0.25
#: No counter wraps so soon that it has to be read more often.
LEAST_PERIOD_S = 1.0


class WrapWatch:
    """Reads the sensors whose counters wrap, so often that none can wrap unseen."""

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        wrapping = {
            place: [d.range_uj / d.max_power_w * 1e-6 for d in sensor.domains if d.range_uj]
            for place, sensor in enumerate(sensors)
        }
        self._sensors = {place: sensors[place] for place, spans in wrapping.items() if spans}
        spans_s = [span for spans in wrapping.values() for span in spans]
        #: Between two readings; None where nothing wraps.
        self.period_s = max(LEAST_PERIOD_S, SHARE * min(spans_s)) if spans_s else None
        #: When the last window was opened, on the monotonic clock.
        self.opened_s = 0.0
        #: Held for a reading, from its time to its last count: else one may overtake another.
        self.lock = threading.Lock()
        self._seen: list[dict[int, Reading]] = []
        self._over = threading.Event()

    def seen(self, place: int, before: Reading, after: Reading) -> list[Reading]:
        """What was read of one sensor between two readings of it."""
        readings = (reading[place] for reading in self._seen if place in reading)
        return [r for r in readings if before.time_ns < r.time_ns < after.time_ns]

    @contextmanager
    def watching(self, expected_s: float | None) -> Iterator[None]:
        """Watch while this is open, unless it is expected to be over before the first reading.

        A thread costs little, but a process with one cannot be forked without a warning: so there
        is none for work that is known to be short.
        """
        self._seen.clear()
        if self.period_s is None or (expected_s is not None and expected_s < self.period_s / 2):
            yield
            return
        self._over.clear()
        thread = threading.Thread(target=self._watch, name="pytest-greenops-wraps", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        assert self.period_s is not None
        last_s = time.monotonic()
        while True:
            due_s = max(last_s, self.opened_s) + self.period_s
            now_s = time.monotonic()
            if self._over.wait(max(0.0, due_s - now_s)):
                return
            if due_s <= now_s:
                with self.lock:
                    self._seen.append({place: s.read() for place, s in self._sensors.items()})
                last_s = now_s
