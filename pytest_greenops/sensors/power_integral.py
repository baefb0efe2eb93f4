"""Joules of a device that tells only its power: sampled in a thread, added up by trapezoids.

This is the one sensor that works while a window is open, for want of a counter.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.ticks import Edge

#: Between two samples, on average. Each pause is drawn by chance, so that no work keeps in step.
PAUSE_S = 0.002


class PowerIntegral:
    """Energy of one device since `begin`, both edges included.

    sample    its watts now; None while it does not answer
    period_s  how often it renews what it says of its power
    """

    def __init__(self, sample: Callable[[], float | None], period_s: float) -> None:
        self._sample = sample
        self._period_s = period_s
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._joules, self._begun_ns = 0.0, 0
        self._last: tuple[int, float] | None = None
        self._low_w, self._high_w = math.inf, 0.0
        self._broken = False

    def begin(self) -> None:
        """Start from zero joules, with a sample at once."""
        self.stop()
        self._joules, self._last, self._broken = 0.0, None, False
        self._begun_ns = time.monotonic_ns()
        self._low_w, self._high_w = math.inf, 0.0
        self.take()
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="pytest-greenops-power", daemon=True)
        self._thread.start()

    def end(self) -> Edge | None:
        """Take a last sample, and stop; None where the device once did not answer."""
        self.take()
        self.stop()
        return self.edge()

    def take(self) -> None:
        """Sample now, and add the energy since the last sample."""
        with self._lock:
            now_ns, watts = time.monotonic_ns(), self._sample()
            if watts is None:
                self._broken = True
                return
            if self._last is not None:
                last_ns, last_w = self._last
                self._joules += (last_w + watts) / 2 * (now_ns - last_ns) * 1e-9
            self._last = (now_ns, watts)
            self._low_w, self._high_w = min(self._low_w, watts), max(self._high_w, watts)

    def edge(self) -> Edge | None:
        """The microjoules so far, and how far they may be off since power is told late.

        By as much as a counter that moves so often, or more where power changed by more than its
        mean. That the power itself is told to some percent only is not in it: it always is.
        """
        if self._broken or self._last is None:
            return None
        seconds = (self._last[0] - self._begun_ns) * 1e-9
        mean_w = self._joules / seconds if seconds else 0.0
        late_j = EDGE_ERROR * self._period_s * max(mean_w, self._high_w - self._low_w)
        return Edge(round(self._joules * 1e6), late_j * 1e6)

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._over.wait(random.uniform(0.5, 1.5) * PAUSE_S):
            self.take()
