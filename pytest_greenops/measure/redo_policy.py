"""When a spoilt trip is repeated."""

from __future__ import annotations

import math

from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock

#: How often a spoilt trip is repeated before it is kept with a flag, or given up.
REDOS = 3


class RedoPolicy:
    """The rule by which spoilt trips are repeated: while time and redos are left.

    A void trip has `REDOS` redos of its own. Contended trips share `REDOS` redos, which only an
    uncontended round restores: lasting contention must not multiply the time of a measurement. The
    next trip is expected to take `trip_s` like the last.
    """

    def __init__(self, repeatable: bool = True, clock: Clock = SYSTEM_CLOCK) -> None:
        self.trip_s = 0.0
        self._repeatable = repeatable
        self._clock = clock
        self._deadline_s = math.inf
        self._redos = REDOS

    def set_deadline(self, seconds: float) -> None:
        """Let no trip begin that would end more than `seconds` from now."""
        self._deadline_s = self._now_s() + seconds

    @property
    def late(self) -> bool:
        """Whether another trip would end after the deadline."""
        return self._now_s() + self.trip_s > self._deadline_s

    def repeats_void(self, tries: int) -> bool:
        """Return whether a trip that was void in all its `tries` is repeated."""
        return tries <= REDOS and self._may_repeat()

    def repeats_contended(self) -> bool:
        """Use up a redo for a contended trip, and return whether there was one."""
        if not self._redos or not self._may_repeat():
            return False
        self._redos -= 1
        return True

    def restore(self) -> None:
        """Give all redos back after an uncontended round."""
        self._redos = REDOS

    def _may_repeat(self) -> bool:
        return self._repeatable and not self.late

    def _now_s(self) -> float:
        return self._clock.now_ns() * 1e-9
