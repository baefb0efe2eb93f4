"""The estimate: joules from CPU time, where no counter can be read.

    joules = watts x (CPU seconds of the process tree + 0.01 x seconds elapsed)

once with the watts of a busy core, once with the watts of its share of the memory. The watts of a
busy core are a share of the whole package's power, idle and uncore power included; so what the
machine draws while nothing runs is charged with the CPU time of those who run. Charging it by the
clock would let neighbours in: one that takes half of this process's core doubles the time that the
same work needs. At 1 % it adds 1 % to the figure, and a window of pure waiting is still not zero.

It sees work that takes more CPU time. It is blind to clock rates, vector width and memory traffic.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.cpu_estimate.cpu_power import CorePower, core_power
from pytest_greenops.sensors.cpu_throttle import ThrottleCounts

#: What one second of waiting is charged, in seconds of a busy core: chosen as the module says.
WAITING_SHARE = 0.01
#: Mean of what Crucial (3 W for 8 GB) and Micron (0.408 W a GB, technical note TN-40-07) state for
#: DDR4, as the methodology of Cloud Carbon Footprint takes it.
MEMORY_WATTS_PER_GB = 0.392
#: How often the tree is counted anew because a process or thread ended while it was counted:
#: its time would be counted twice, or not at all.
_RECOUNTS = 5
_CPUINFO = Path("/proc/cpuinfo")


class EstimateSensor:
    """Estimates the energy of this process and its descendants; see `Sensor` for its attributes.

    doubts  none: no counter stands behind it that could be contradicted
    """

    name = "estimate"
    source: Source = "estimated"
    doubts: Mapping[str, str] = MappingProxyType({})
    #: The kernel counts CPU time to the nanosecond; what is left is the scheduler's own grain.
    update_period_s = 0.001

    def __init__(
        self, core: CorePower, memory_w: float, cpu_time_ns: Callable[[], int] | None = None
    ) -> None:
        self.domains: tuple[Domain, ...] = (Domain("cpu:0", "cpu"), Domain("dram:0", "dram"))
        self.method = (
            f"CPU time x {core.watts:.1f} W per busy core ({core.basis}) "
            f"and {memory_w:.1f} W of memory"
        )
        self._watts = (core.watts, memory_w)
        self._cpu_time_ns = cpu_time_ns or best_count()
        self._opened_ns = time.monotonic_ns()
        self._throttle = ThrottleCounts()

    def read(self) -> Reading:
        """The estimate so far, in microjoules; it goes back only if a descendant got lost."""
        busy_ns = self._cpu_time_ns()
        now_ns = time.monotonic_ns()
        charged_ns = busy_ns + WAITING_SHARE * (now_ns - self._opened_ns)
        return Reading(now_ns, [int(watts * charged_ns / 1000) for watts in self._watts])

    def states(self) -> dict[str, DeviceState]:
        """How often a processor was slowed down for heat: the same work then takes more CPU time.

        Of any package, for the estimate does not know on which its process runs.
        """
        return self._throttle.states(self.domains, whole=True)

    def close(self) -> None:
        """Close what counts the throttling."""
        self._throttle.close()


def open_sensor(watts_per_core: float | None = None, cpuinfo: Path = _CPUINFO) -> EstimateSensor:
    """The estimate for this machine.

    watts_per_core  watts of one busy logical CPU, from the user; None looks the CPU up
    cpuinfo         where Linux describes the CPU

    Raises `OptionError` for watts that are not above zero.
    """
    if watts_per_core is None:
        core = core_power(_first_processor(cpuinfo))
    elif math.isfinite(watts_per_core) and watts_per_core > 0:
        core = CorePower(watts_per_core, "energy_cpu_watts")
    else:
        raise OptionError(
            f"energy_cpu_watts: {watts_per_core!r} is not above zero; "
            "write the watts that one busy core draws, like 4.5"
        )
    return EstimateSensor(core, _memory_watts())


def tree_cpu_time_ns() -> int:
    """CPU time of this process, its ended and its living descendants: nanoseconds, on Linux.

    Counted: children that were waited for, and descendants that live or wait to be collected. Not
    counted: what a descendant left that was orphaned, or that nobody waited for (SIGCHLD ignored).
    """
    for _ in range(_RECOUNTS):
        ended_ns = _ended_children_ns()
        living_ns, whole = _living_descendants_ns()
        if whole and _ended_children_ns() == ended_ns:
            break
    return time.process_time_ns() + ended_ns + living_ns


def tree_cpu_time_portable_ns() -> int:
    """The same through psutil, where Linux' lists of children are missing: milliseconds slower."""
    import psutil

    ended_ns = _ended_children_ns()
    living_s = 0.0
    for descendant in psutil.Process().children(recursive=True):
        try:
            times = descendant.cpu_times()
        except psutil.Error:
            continue
        living_s += sum(times[:2])
        living_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return time.process_time_ns() + ended_ns + round(living_s * 1e9)


def best_count() -> Callable[[], int]:
    """The count of this process tree's CPU time, in nanoseconds, that serves this machine best."""
    return tree_cpu_time_ns if process_tree.listed() else tree_cpu_time_portable_ns


def _ended_children_ns() -> int:
    try:
        import resource
    except ImportError:  # Windows keeps no such count
        return 0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)


def _living_descendants_ns() -> tuple[int, bool]:
    """CPU time of all living descendants, and whether none of them ended meanwhile."""
    if not process_tree.has_children():
        return 0, True
    total_ns, whole = 0, True
    todo = [os.getpid()]
    while todo:
        pid = todo.pop()
        try:
            if pid != os.getpid():
                total_ns += _process_ns(pid)
            todo += process_tree.children(pid)
        except OSError:
            whole = False
    return total_ns, whole


def _process_ns(pid: int) -> int:
    """CPU time of another process and of the children that it waited for."""
    # Its clock, numbered as clock_getcpuclockid(3) does: one call, and nanoseconds where
    # /proc/PID/stat has hundredths of a second. Only the latter knows its children's time.
    running_ns = time.clock_gettime_ns((~pid << 3) | 2)
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    waited_for = int(fields[13]) + int(fields[14])  # cutime and cstime, proc(5)
    return running_ns + waited_for * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _memory_watts() -> float:
    """The share of one logical CPU in the power of the memory that is installed."""
    import psutil

    return MEMORY_WATTS_PER_GB * (psutil.virtual_memory().total / 2**30) / (os.cpu_count() or 1)


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    """Fields of the first processor; empty where the file is missing."""
    fields: dict[str, str] = {}
    try:
        with cpuinfo.open() as lines:
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:  # an empty line ends the first of many processors
                    break
                fields[name.strip()] = value.strip()
    except OSError:
        return {}
    return fields
