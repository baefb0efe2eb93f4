"""What else runs on the machine while something is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from pytest_greenops.model.measurement import LoadShare
from pytest_greenops.sensors.cpu_estimate.estimate import best_count

__all__ = ["CpuTime", "LoadProbe", "LoadShare"]

#: The kernel shows the machine's CPU time in hundredths of a second: each end of a window is cut
#: to one. Within two of them, what others used cannot be told from nothing, and counts as nothing.
RESOLUTION_S = 0.02


class CpuTime(NamedTuple):
    """CPU seconds since some beginning: of the whole machine, stolen from it, of this process tree.

    `at_s` is when, on the clock of `time.monotonic`.
    """

    at_s: float
    machine_s: float
    stolen_s: float
    own_s: float


class LoadProbe:
    """Sees what other processes and the hypervisor take of the machine's CPU time.

    cpu_time  reads the counts; the machine's own by default
    cpus      logical CPUs that share the machine's time; those that are online by default

    Work of this process, of its living descendants and of those it waited for is not the others'.
    Costs well under a millisecond at each end where the process has no children.
    """

    def __init__(
        self, cpu_time: Callable[[], CpuTime] | None = None, cpus: int | None = None
    ) -> None:
        self._cpu_time = cpu_time or _best_reader()
        self._cpus = cpus or os.cpu_count() or 1
        self._before: CpuTime | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._before = self._cpu_time()

    def stop(self) -> LoadShare:
        """Shares of the machine's CPU time since `start`: of other processes, stolen, and idle.

        Neither is below zero. Raises `RuntimeError` if it was not started.
        """
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
    """A reader of the counts of the machine that this runs on."""
    import psutil

    tree_ns = best_count()

    def read() -> CpuTime:
        times = psutil.cpu_times()
        busy_s = [getattr(times, kind, 0.0) for kind in _BUSY]
        own_s = tree_ns() * 1e-9
        return CpuTime(time.monotonic(), sum(busy_s), getattr(times, "steal", 0.0), own_s)

    return read


#: Kinds of CPU time in which something runs. Guests are in `user` already.
_BUSY = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
