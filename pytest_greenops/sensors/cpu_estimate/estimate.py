"""The estimate: joules from CPU time, where no counter can be read.

    joules = watts x (CPU seconds of the process tree + 0.01 x seconds elapsed)

It is computed twice: with the watts of a busy core, and with the watts of a core's share of memory.
The watts of a busy core are a share of the power of the whole package, including idle and uncore
power. So what the machine draws while nothing runs is charged by CPU time.

Charging idle power by elapsed time would include the work of neighbours: one that takes half of
this process's core doubles the elapsed time of the same work. At 1 %, elapsed time adds 1 % to the
figure, and a window of pure waiting still costs more than zero.

The estimate sees work that takes more CPU time. It does not see clock rates, vector width and
memory traffic.

Linux counts CPU time to the nanosecond, but brings the time of a running thread up to date only
when it stops, at a tick of the scheduler (1 to 10 ms), or if the thread itself asks. So a window is
exact to microseconds if only its own thread runs; each other thread or process that runs at an edge
adds up to a tick. Measured on Linux 6.18 with ticks of 4 ms: -3.3 to +0.1 us (95 %) in windows of
1 ms with one thread; the time of a second thread moved in steps of up to 4.0 ms.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container
from pathlib import Path

import psutil

from pytest_greenops.model.environment import fact_text
from pytest_greenops.model.errors import OptionError, SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.cpu_estimate.core_watts import CorePower, core_power
from pytest_greenops.sensors.cpu_throttle import ThrottleCounts
from pytest_greenops.system import SYSTEM, before_tests

#: What one second of waiting is charged, in seconds of a busy core: see the module.
WAITING_SHARE = 0.01
#: How far a count of the thread that reads it may be off: a reading takes about as long.
_READ_NS = 3000
#: The time of others has moved if it is greater by more than two readings may differ.
_MOVED_NS = 20_000
#: Each of two edges is late by a uniform share of a tick: 95 % of their differences are within
#: `EDGE_ERROR` of one.
_TICK_SHARE = EDGE_ERROR / math.sqrt(2)
#: Others are assumed to run still for this many ticks after their time moved.
_TICKS_REMEMBERED = 10
#: The clock of Linux that moves at each tick of the scheduler (CLOCK_MONOTONIC_COARSE), and the
#: resolution of the time of a process's ended children in /proc (USER_HZ).
_COARSE_CLOCK, _STAT_TICK_S = 6, 0.01
#: Mean of the values for DDR4 by Crucial (3 W for 8 GB) and Micron (0.408 W a GB, technical note
#: TN-40-07), as in the methodology of Cloud Carbon Footprint.
MEMORY_WATTS_PER_GB = 0.392
#: How often the tree is counted again because a process or thread ended while it was counted: its
#: time would be counted twice, or not at all.
_RECOUNTS = 5
#: What one busy core may use: more or less is a typing error.
_LEAST_WATTS, _MOST_WATTS = 1e-3, 1e4
_CPUINFO = Path("/proc/cpuinfo")
#: Fields of /proc/cpuinfo that precede the processors of LoongArch and s390, and of a processor.
_COMMON, _FIRST = {"system type", "# processors"}, {"processor", "cpu number"}


class EstimateSensor:
    """Estimates the energy of this process and its descendants; see `Sensor` for its attributes."""

    name = "estimate"
    source: Source = "estimated"
    charges_waiting = True

    def __init__(
        self,
        core: CorePower,
        memory_w: float,
        cpu_time_ns: Callable[[], int] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        own_time_ns: Callable[[], int] = SYSTEM.thread_time_ns,
    ) -> None:
        self.domains: tuple[Domain, ...] = (Domain("cpu:0", "cpu"), Domain("dram:0", "dram"))
        memory = f"{memory_w:.1f} W of memory" if memory_w else "no memory: its size is unknown"
        self.method = f"CPU time x {core.watts:.1f} W per busy core ({core.basis}) and {memory}"
        self._watts = (core.watts, memory_w)
        self._cpu_time_ns = cpu_time_ns or best_count()
        self._clock = clock
        self._opened_ns = clock.now_ns()
        self.update_period_s = tick_s()
        self._own_time_ns = own_time_ns
        self._others = _Others(self.update_period_s)
        self._throttle = ThrottleCounts()

    def read(self) -> Reading:
        """Return the estimate so far, in microjoules; it goes back only if a descendant is lost.

        It is None if CPU time cannot be read, such as where no further file can be opened.
        """
        try:
            busy_ns = self._cpu_time_ns()
            others_ns = busy_ns - self._own_time_ns()
        except OSError as error:
            why = f"could not be estimated: CPU time cannot be read ({error.strerror or error})"
            reasons = {domain.name: why for domain in self.domains}
            return Reading(self._clock.now_ns(), [None, None], why=reasons)
        now_ns = self._clock.now_ns()
        error_ns = self._others.error_ns(others_ns, now_ns)
        waited_ns = now_ns - self._opened_ns if self.charges_waiting else 0
        charged_ns = busy_ns + WAITING_SHARE * waited_ns
        return Reading(
            now_ns,
            [int(watts * charged_ns / 1000) for watts in self._watts],
            [watts * error_ns / 1000 for watts in self._watts],
        )

    def states(self) -> dict[str, DeviceState]:
        """Return how often any processor was slowed down by heat: work then takes more CPU time.

        The estimate does not know on which package its process runs.
        """
        return self._throttle.states(self.domains, whole=True)

    def close(self) -> None:
        """Close the throttle counters."""
        self._throttle.close()


class _Others:
    """The other threads and processes of the tree: how late their time may be in a reading."""

    def __init__(self, tick_s: float) -> None:
        self._tick_ns = tick_s * 1e9
        self._reader = 0
        self._most_ns = self._read_ns = self._running = 0
        self._moved_ns = -math.inf

    def error_ns(self, time_ns: int, now_ns: int) -> float:
        """Return the error (95 %) of a count at an edge, from the time that others have used.

        Both are in nanoseconds of CPU time.
        """
        reader = SYSTEM.get_ident()
        if reader != self._reader:  # its own time is another
            self._reader, self._most_ns = reader, time_ns
        # Time between the two clocks, as a hypervisor may take, makes it less and never more.
        moved_ns = time_ns - self._most_ns
        if moved_ns > _MOVED_NS:
            elapsed_ns = max(now_ns - self._read_ns, self._tick_ns)
            self._running = math.ceil(moved_ns / elapsed_ns)
            self._moved_ns = now_ns
        self._most_ns, self._read_ns = max(self._most_ns, time_ns), now_ns
        if now_ns - self._moved_ns > _TICKS_REMEMBERED * self._tick_ns:
            return _READ_NS
        tick_ns = self._tick_ns
        if process_tree.has_children():
            tick_ns = max(tick_ns, _STAT_TICK_S * 1e9)
        return _READ_NS + _TICK_SHARE * tick_ns * self._running


@before_tests
def tick_s() -> float:
    """Return how often the kernel updates the time of running threads: a tick of its scheduler."""
    try:
        return min(max(time.clock_getres(_COARSE_CLOCK), 0.001), 0.01)
    except (AttributeError, OSError):
        return 0.01


@before_tests
def open_sensor(
    watts_per_core: float | None = None, cpuinfo: Path = _CPUINFO, clock: Clock = SYSTEM_CLOCK
) -> EstimateSensor:
    """Return the estimate by the watts of a busy logical CPU; None looks the CPU up.

    Raises `OptionError` for watts that are not above zero, and `SensorUnavailable` where CPU time
    cannot be read.
    """
    if watts_per_core is None:
        core = core_power(first_processor(cpuinfo))
    elif _LEAST_WATTS <= watts_per_core <= _MOST_WATTS:
        core = CorePower(watts_per_core, "energy_cpu_watts")
    else:
        raise OptionError(
            f"energy_cpu_watts={watts_per_core!r}: expected 0.001 W to 10 kW: "
            "the power of one busy core, for example 4.5"
        )
    sensor = EstimateSensor(core, _memory_watts(), clock=clock)
    if problems := sensor.read().why:
        sensor.close()
        fix = "let this process read /proc (in a systemd unit: ProtectProc=default, ProcSubset=all)"
        raise SensorUnavailable(next(iter(problems.values())), fix)
    return sensor


def tree_cpu_time_ns() -> int:
    """Return the CPU time of this process, its ended and its living descendants, on Linux.

    This includes children that were waited for, and descendants that live or wait to be reaped. It
    does not include orphans, and children that nobody waits for (SIGCHLD ignored). Raises `OSError`
    if the files of descendants cannot be read, because too many are open.
    """
    for _ in range(_RECOUNTS):
        ended_ns = _ended_children_ns()
        living_ns, whole = _living_descendants_ns()
        if whole and _ended_children_ns() == ended_ns:
            break
    return SYSTEM.process_time_ns() + ended_ns + living_ns


def tree_cpu_time_portable_ns() -> int:
    """Return the same through psutil, without Linux' lists of children: milliseconds slower."""
    ended_ns = _ended_children_ns()
    living_s = 0.0
    try:
        descendants = SYSTEM.psutil_process().children(recursive=True)
    except SYSTEM.psutil_error as error:
        raise OSError(str(error)) from error
    for descendant in descendants:
        try:
            times = descendant.cpu_times()
        except SYSTEM.psutil_error:
            continue
        living_s += sum(times[:2])
        living_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return SYSTEM.process_time_ns() + ended_ns + round(living_s * 1e9)


def best_count() -> Callable[[], int]:
    """Return the function that counts CPU time, in nanoseconds, best on this machine."""
    return tree_cpu_time_ns if process_tree.listed() else tree_cpu_time_portable_ns


def _ended_children_ns() -> int:
    return round(sum(process_tree.ended_children()[:2]) * 1e9)


def _living_descendants_ns() -> tuple[int, bool]:
    """Return the CPU time of all living descendants, and whether none of them ended meanwhile."""
    if not process_tree.has_children():
        return 0, True
    return below_ns(SYSTEM.getpid())


def below_ns(top: int, without: Container[int] = ()) -> tuple[int, bool]:
    """Return the CPU time of all living processes below one, and whether none ended meanwhile.

    Processes in `without` do not count, nor does what is below them. Raises `OSError` where no
    further file can be opened.
    """
    total_ns, whole = 0, True
    todo = [top]
    while todo:
        pid = todo.pop()
        if pid in without:
            continue
        try:
            if pid != top:
                total_ns += process_ns(pid)
            todo += process_tree.children(pid)
        except OSError as error:
            if process_tree.no_descriptor_left(error):
                raise
            whole = False
    return total_ns, whole


def process_ns(pid: int) -> int:
    """Return the CPU time of another process and its waited-for children; raise `OSError`."""
    # The process's clock has nanoseconds, and the number that clock_getcpuclockid(3) gives it.
    # Only /proc/PID/stat, in hundredths of a second, has the time of its children.
    running_ns: int = SYSTEM.clock_gettime_ns((~pid << 3) | 2)
    fields = SYSTEM.read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    try:
        waited_for = int(fields[13]) + int(fields[14])  # cutime and cstime, proc(5)
    except (ValueError, IndexError):
        waited_for = -1
    if waited_for < 0:
        raise OSError(f"/proc/{pid}/stat has no CPU time of its children")
    return running_ns + waited_for * 1_000_000_000 // SYSTEM.clock_ticks


@before_tests
def _memory_watts() -> float:
    """Return the share of one logical CPU in the power of the installed memory; 0 if unknown."""
    try:
        installed_gb = psutil.virtual_memory().total / 2**30
    except Exception:  # psutil raises errors of any type for an odd /proc/meminfo
        return 0.0
    return MEMORY_WATTS_PER_GB * installed_gb / SYSTEM.cpus


@before_tests
def first_processor(cpuinfo: Path) -> dict[str, str]:
    """Return the fields of the first processor; empty if the file cannot be read.

    An empty line ends the first of many processors, unless it only ends what precedes them:
    LoongArch begins with its system type, s390 with what all processors have in common.
    """
    fields: dict[str, str] = {}
    try:
        with cpuinfo.open("rb") as lines:
            for line in lines:
                name, colon, value = fact_text(line).partition(":")
                if colon:
                    fields[name.strip()] = value.strip()
                elif not _COMMON & fields.keys() or _FIRST & fields.keys():
                    break
    except OSError:
        return {}
    return fields
