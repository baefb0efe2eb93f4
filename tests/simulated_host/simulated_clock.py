"""A clock that tests move: sleeping on it takes no time, and simulated devices follow it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_greenops.sensors.clock import SystemClock

#: The environment variable that names the file of the time, for the C parts and for children.
VARIABLE = "SIMULATED_CLOCK"
START_NS = 1_000_000_000_000


class SimulatedClock:
    """A monotonic clock whose time is in a file, so that several processes share it.

    Reading it takes `read_cost_ns`, so that busy loops end. What is repeated in the background runs
    whenever time passes, in the thread that lets it pass.
    """

    def __init__(self, file: Path, read_cost_ns: int = 1_000) -> None:
        if not file.exists():
            file.write_bytes(START_NS.to_bytes(8, "little"))
        with file.open("r+b") as shared:
            self._time = memoryview(mmap.mmap(shared.fileno(), 8)).cast("q")
        self.file = file
        self.read_cost_ns = read_cost_ns
        self._repeated: list[_Repetition] = []
        self._runs = False

    @classmethod
    def of_environment(cls, read_cost_ns: int = 1_000) -> SimulatedClock:
        """Return the clock that this process was given."""
        return cls(Path(os.environ[VARIABLE]), read_cost_ns)

    def install(self) -> None:
        """Replace the clock of the system in this process, for everything that has no other."""
        for method in (self.now_ns, self.sleep, self.repeat):
            setattr(SystemClock, method.__name__, staticmethod(method))

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process needs in its environment to share this clock."""
        return {VARIABLE: str(self.file)}

    @property
    def time_s(self) -> float:
        """The time in seconds, at no cost."""
        return _seconds(self._time[0])

    def now_ns(self) -> int:
        """Return the time in nanoseconds."""
        self._pass(self.read_cost_ns)
        return self._time[0]

    def now_s(self) -> float:
        """Return the time in seconds."""
        return _seconds(self.now_ns())

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(round(seconds * 1e9))

    def repeat(
        self, action: Callable[[], None], pause_s: Callable[[], float], name: str = ""
    ) -> _Repetition:
        """Call `action` while time passes, with a pause before each call."""
        return _Repetition(self, action, pause_s)

    def _pass(self, ns: int) -> None:
        end_ns = self._time[0] + ns
        while not self._runs and (due := min(self._repeated, key=_due_ns, default=None)):
            if due.due_ns > end_ns:
                break
            self._time[0] = max(self._time[0], due.due_ns)
            self._runs = True
            try:
                due.run()
            finally:
                self._runs = False
        self._time[0] = max(self._time[0], end_ns)


class _Repetition:
    def __init__(
        self, clock: SimulatedClock, action: Callable[[], None], pause_s: Callable[[], float]
    ) -> None:
        self._clock, self._action, self._pause_s = clock, action, pause_s
        self._plan()
        clock._repeated.append(self)

    def _plan(self) -> None:
        # At least a nanosecond later, or time would never pass.
        self.due_ns = self._clock._time[0] + max(1, round(self._pause_s() * 1e9))

    def run(self) -> None:
        self._action()
        self._plan()

    def stop(self) -> None:
        """End the repetition."""
        self._clock._repeated.remove(self)


def _due_ns(repetition: _Repetition) -> int:
    return repetition.due_ns


def _seconds(ns: int) -> float:
    """Return seconds as the C parts compute them."""
    return ns // 10**9 + (ns % 10**9) * 1e-9
