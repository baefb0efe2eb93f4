"""Threads of this process that compute whether the measured work runs or not.

A thread that an earlier test left running uses joules in every window, and no other process is to
blame. Threads that belong to the work also compute in its windows, but rest when it does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from pytest_greenops.system import SYSTEM

#: A thread is looked at if it used this share of a CPU during a trip.
BUSY = 0.05
#: It goes on by itself if it uses this share of a CPU in a moment in which nothing is measured.
GOES_ON, LOOK_S = 0.3, 0.01
#: The threads that Python knows, by identifier.
_ACTIVE: Mapping[int, Any] = getattr(threading, "_active", {})
_OURS = "pytest-greenops"


def cpu_times() -> dict[int, tuple[str, int]]:
    """Return name and CPU time in nanoseconds of all other threads of Python, by system id."""
    if SYSTEM.clock_gettime_ns is None or len(_ACTIVE) < 2:
        return {}
    here, found = SYSTEM.get_ident(), {}
    for identifier, thread in list(_ACTIVE.items()):
        number, name = getattr(thread, "native_id", None), str(getattr(thread, "name", ""))
        if identifier == here or number is None or name.startswith(_OURS):
            continue
        try:  # the clock of a thread has the number that pthread_getcpuclockid(3) gives it
            found[number] = name, SYSTEM.clock_gettime_ns((~number << 3) | 6)
        except OSError:  # it has ended, or this is not Linux
            continue
    return found


class BackgroundThreads:
    """Finds a thread that was there before a measurement, and computes beside and between trips."""

    def __init__(
        self,
        read: Callable[[], Mapping[int, tuple[str, int]]] = cpu_times,
        now_ns: Callable[[], int] = SYSTEM.monotonic_ns,
        sleep: Callable[[float], None] = SYSTEM.sleep,
    ) -> None:
        self._read, self._now_ns, self._sleep = read, now_ns, sleep
        self._known = set(read())
        self._before: Mapping[int, tuple[str, int]] = {}
        self._begun_ns = 0

    def start(self) -> None:
        """Begin a trip."""
        if self._known:
            self._before, self._begun_ns = self._read(), self._now_ns()

    def stop(self) -> str | None:
        """Return the name of a thread that used a CPU during the trip and goes on, or None."""
        if not self._known or not self._busiest(self._before, self._begun_ns, BUSY):
            return None
        before, begun_ns = self._read(), self._now_ns()
        self._sleep(LOOK_S)
        return self._busiest(before, begun_ns, GOES_ON)

    def _busiest(
        self, before: Mapping[int, tuple[str, int]], begun_ns: int, least: float
    ) -> str | None:
        after, passed_ns = self._read(), max(1, self._now_ns() - begun_ns)
        used = {
            number: (after[number][1] - before[number][1]) / passed_ns
            for number in self._known & after.keys() & before.keys()
        }
        most = max(used, key=used.__getitem__, default=None)
        return after[most][0] if most is not None and used[most] >= least else None
