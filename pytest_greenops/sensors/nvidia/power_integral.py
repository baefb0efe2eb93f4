"""Joules of a device that tells only its power: sampled in a thread, and added up.

A device renews its power now and then, and tells the old one until then. So a new reading is taken
for the time before it, and not half of it as trapezoids would: those count the rest before a window
into it. This is the one sensor that works while a window is open, for want of a counter.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.ticks import Edge

#: Between two samples, on average. Each pause is drawn by chance, so that no work keeps in step.
PAUSE_S = 0.002
#: So many renewals have to be seen before their spacing is believed.
LEARNT = 8


class PowerIntegral:
    """Energy of one device since `begin`, both edges included.

    sample    its watts now; None while it does not answer
    usual_period_s  how often it renews what it tells of its power, until that was seen
    """

    def __init__(self, sample: Callable[[], float | None], usual_period_s: float) -> None:
        self._sample = sample
        self._usual_period_s = usual_period_s
        self._spans_s: deque[float] = deque(maxlen=256)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._joules, self._begun_ns = 0.0, 0
        self._renewals = self._mixed_ns = 0
        self._last_ns, self._renewed_ns = 0, 0
        self._watts: float | None = None
        self._low_w, self._high_w = math.inf, 0.0
        self._broken = False

    def begin(self) -> None:
        """Start from zero joules, with a sample at once."""
        self.stop()
        self._joules, self._watts, self._broken = 0.0, None, False
        self._renewals = self._mixed_ns = 0
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
        """Sample now, and add the energy that a new reading tells of."""
        with self._lock:
            now_ns, watts = time.monotonic_ns(), self._sample()
            if watts is None:
                self._broken = True
                return
            self._last_ns = now_ns
            if self._watts is None:
                self._renewed_ns, self._watts = now_ns, watts
            elif watts != self._watts:
                self._renew(now_ns, watts)
            self._low_w, self._high_w = min(self._low_w, watts), max(self._high_w, watts)

    def _renew(self, now_ns: int, watts: float) -> None:
        """A reading stands for the time before it, as far back as readings are apart.

        The first one in a window may be a mean that reaches back beyond it: its time is left to
        the second, where there is one.
        """
        since_ns = max(self._renewed_ns, now_ns - round(self.period_s * 1e9))
        before_ws = (self._watts or 0.0) * (since_ns - self._renewed_ns)
        if self._renewals == 0:
            self._joules += before_ws * 1e-9
            self._mixed_ns = now_ns - since_ns
        else:
            own_ns, self._mixed_ns = now_ns - since_ns + self._mixed_ns, 0
            self._joules += (before_ws + watts * own_ns) * 1e-9
            self._spans_s.append((now_ns - self._renewed_ns) * 1e-9)
        self._renewals += 1
        self._renewed_ns, self._watts = now_ns, watts

    @property
    def period_s(self) -> float:
        """How often the device renews what it tells: the lower quartile of what was seen."""
        if len(self._spans_s) < LEARNT:
            return self._usual_period_s
        return sorted(self._spans_s)[len(self._spans_s) // 4]

    def edge(self) -> Edge | None:
        """The microjoules so far, and how far they may be off since power is told late.

        By as much as a counter that moves so often, or more where power changed by more than its
        mean. That the power itself is told to some percent only is not in it: it always is.
        """
        with self._lock:
            return self._edge()

    def _edge(self) -> Edge | None:
        if self._broken or self._watts is None:
            return None
        since_ns = self._last_ns - self._renewed_ns + self._mixed_ns
        joules = self._joules + self._watts * since_ns * 1e-9
        seconds = (self._last_ns - self._begun_ns) * 1e-9
        mean_w = joules / seconds if seconds else 0.0
        late_j = EDGE_ERROR * self.period_s * max(mean_w, self._high_w - self._low_w)
        return Edge(round(joules * 1e6), late_j * 1e6)

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._over.wait(random.uniform(0.5, 1.5) * PAUSE_S):
                self.take()
        except BaseException:  # without its samples a window is not known
            self._broken = True
            raise
