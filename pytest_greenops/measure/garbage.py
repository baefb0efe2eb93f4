"""Garbage collection before a measurement, at a cost that does not grow with the suite."""

from __future__ import annotations

from collections.abc import Callable

from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.system import SYSTEM

#: Collections of all objects take at most this share of a run.
SHARE = 0.02
#: The generation of all objects.
_ALL = 2


class Garbage:
    """Collects garbage before each measurement of a run, so that its windows contain less of it.

    Python collects all objects once their number has grown by a quarter. That takes milliseconds
    for every 10,000 objects, whoever made them, and may happen in any window. Here it happens
    first, but in a suite of short tests only so often that it takes `SHARE` of the time. Objects
    are not frozen (`gc.freeze`): a test that waits for the end of an object, or counts objects,
    would then fail because it is measured.
    """

    def __init__(
        self,
        clock: Clock = SYSTEM_CLOCK,
        collect: Callable[[int], int] = SYSTEM.collect_garbage,
        enabled: Callable[[], bool] = SYSTEM.collects_garbage,
    ) -> None:
        """Begin with nothing collected."""
        self._clock = clock
        self._collect = collect
        self._enabled = enabled
        self._next_ns = clock.now_ns()

    def collect(self) -> None:
        """Collect what is due; nothing while the test has switched the collector off."""
        begun_ns = self._clock.now_ns()
        if begun_ns < self._next_ns or not self._enabled():
            return
        self._collect(_ALL)
        ended_ns = self._clock.now_ns()
        self._next_ns = ended_ns + round((ended_ns - begun_ns) / SHARE)
