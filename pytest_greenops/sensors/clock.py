"""The clock that sensors and the meter read and wait on, so that a test can replace it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from pytest_greenops.system import SYSTEM

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
    """The clock of the system, out of reach of a test's patches.

    running  the names of the repetitions in progress
    """

    running: ClassVar[list[str]] = []
    now_ns = staticmethod(SYSTEM.monotonic_ns)
    sleep = staticmethod(SYSTEM.sleep)

    def repeat(
        self, action: Callable[[], None], pause_s: Callable[[], float], name: str
    ) -> Repetition:
        """Call `action` in a thread; see `Clock`."""
        return _Thread(action, pause_s, name)


SYSTEM_CLOCK = SystemClock()


class _Thread:
    """A thread without an object of `threading`, so that a test neither sees nor replaces it."""

    def __init__(self, action: Callable[[], None], pause_s: Callable[[], float], name: str) -> None:
        self._name = name
        self._process = SYSTEM.getpid()
        self._action = action
        self._pause_s = pause_s
        self._stopped, self._ended = SYSTEM.allocate_lock(), SYSTEM.allocate_lock()
        self._stopped.acquire()
        self._ended.acquire()
        SYSTEM.start_new_thread(self._run, ())
        SystemClock.running.append(name)

    def stop(self) -> None:
        SystemClock.running.remove(self._name)
        if SYSTEM.getpid() == self._process:  # a process that the test forked has no such thread
            self._stopped.release()
            self._ended.acquire()

    def _run(self) -> None:
        try:
            while not self._stopped.acquire(timeout=self._pause_s()):
                self._action()
        finally:
            self._ended.release()


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
