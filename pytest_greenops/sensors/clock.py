"""The clock that sensors and the meter use, so that a test can replace it instead of waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock, and the way to wait on it."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class SystemClock:
    """The clock of the system. Its functions are bound here, out of reach of a test's patches."""

    now_ns = staticmethod(time.monotonic_ns)
    sleep = staticmethod(time.sleep)


SYSTEM_CLOCK = SystemClock()
