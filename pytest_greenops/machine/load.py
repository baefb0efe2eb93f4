"""The load of other processes during a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from pytest_greenops.model.measurement import LoadShare
from pytest_greenops.sensors.cpu_estimate.estimate import best_count

__all__ = ["CpuTime", "LoadProbe", "LoadShare"]

#: The kernel reports the machine's CPU time in hundredths of a second, rounded at both ends of a
#: window. Less than two of them cannot be distinguished from zero, and count as zero.
RESOLUTION_S = 0.02


class CpuTime(NamedTuple):
    """CPU seconds of the machine, stolen by the hypervisor, and of this process tree.

    `at_s` is the time of the reading, by `time.monotonic`.
    """

    at_s: float
    machine_s: float
    stolen_s: float
    own_s: float


class LoadProbe:
    """A probe of the CPU time that other processes and the hypervisor use.

    Own work includes living descendants and children that were waited for. A reading takes well
    under a millisecond in a process without children.
    """

    def __init__(
        self, cpu_time: Callable[[], CpuTime] | None = None, cpus: int | None = None
    ) -> None:
        self._cpu_time = cpu_time or _best_reader()
        self._cpus = cpus or os.cpu_count() or 1
        self._before: CpuTime | None = None

    def start(self) -> None:
        """Start the window."""
        self._before = self._cpu_time()

    def stop(self) -> LoadShare:
        """Return the shares of CPU time since `start`: other processes, stolen, and idle."""
        if self._before is None:
            raise RuntimeError("LoadProbe.stop() before LoadProbe.start()")
        before, after = self._before, self._cpu_time()
        available_s = (after.at_s - before.at_s) * self._cpus
        if available_s <= 0:
            return LoadShare(0.0, 0.0)
        own_s = after.own_s - before.own_s
        others_s = after.machine_s - before.machine_s - own_s - RESOLUTION_S
        stolen_s = after.stolen_s - before.stolen_s
        idle_s = available_s - (after.machine_s - before.machine_s) - stolen_s
        shares = (seconds / available_s for seconds in (others_s, stolen_s, idle_s))
        return LoadShare(*(min(1.0, max(0.0, share)) for share in shares))


def _best_reader() -> Callable[[], CpuTime]:
    """Return a function that reads the counts of this machine."""
    import psutil

    tree_ns = best_count()

    def read() -> CpuTime:
        times = psutil.cpu_times()
        busy_s = [getattr(times, kind, 0.0) for kind in _BUSY]
        own_s = tree_ns() * 1e-9
        return CpuTime(time.monotonic(), sum(busy_s), getattr(times, "steal", 0.0), own_s)

    return read


#: The kinds of busy CPU time; `user` includes guests.
_BUSY = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
