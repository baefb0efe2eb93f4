"""The clock that sensors and the meter read and wait on, so that a test can replace it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

NANOSECONDS = 1e-9


class Repetition(Protocol):
    """An action that is repeated in the background."""

    def stop(self) -> None:
        """End the repetition, and wait for a call in progress."""


class Clock(Protocol):
    """A monotonic clock, and the ways to wait on it."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""

    def repeat(
        self, action: Callable[[], None], pause_s: Callable[[], float], name: str
    ) -> Repetition:
        """Call `action` in a thread of this name until stopped, `pause_s()` before each call."""


class SystemClock:
    """The clock of the system. Its functions are bound here, out of reach of a test's patches."""

    now_ns = staticmethod(time.monotonic_ns)
    sleep = staticmethod(time.sleep)

    def repeat(
        self, action: Callable[[], None], pause_s: Callable[[], float], name: str
    ) -> Repetition:
        """Call `action` in a thread; see `Clock`."""
        return _Thread(action, pause_s, name)


SYSTEM_CLOCK = SystemClock()


class _Thread:
    def __init__(self, action: Callable[[], None], pause_s: Callable[[], float], name: str) -> None:
        self._action = action
        self._pause_s = pause_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pause_s()):
            self._action()


def poll(
    look: Callable[[], object],
    done: Callable[[], bool],
    clock: Clock,
    patience_s: float,
    pause_s: float = 0.0,
) -> None:
    """Call `look` every `pause_s` until `done`, for at most `patience_s`."""
    deadline_ns = clock.now_ns() + round(patience_s / NANOSECONDS)
    while not done() and clock.now_ns() < deadline_ns:
        if pause_s:
            clock.sleep(pause_s)
        look()
