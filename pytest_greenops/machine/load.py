"""The load of other processes during a measurement."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from pytest_greenops.model.measurement import LoadShare
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.cpu_estimate.estimate import below_ns, best_count, process_ns
from pytest_greenops.system import SYSTEM, HeldFile

__all__ = ["CpuTime", "LoadProbe", "LoadShare"]

#: The kernel reports the machine's CPU time in hundredths of a second, rounded at both ends of a
#: window. Less than two of them cannot be distinguished from zero, and count as zero.
RESOLUTION_S = 0.02
#: Whether pytest-xdist started this process as a worker; tests may change the environment later.
_IS_WORKER = "PYTEST_XDIST_WORKER" in SYSTEM.environ


class CpuTime(NamedTuple):
    """CPU seconds of the machine, stolen by the hypervisor, and of this process tree.

    `workers_s` is that of the other workers of this run, if pytest-xdist distributes it. `at_s` is
    the time of the reading, by the monotonic clock.
    """

    at_s: float
    machine_s: float
    stolen_s: float
    own_s: float
    workers_s: float = 0.0


class LoadProbe:
    """A probe of the CPU time that other processes and the hypervisor use.

    Own work includes living descendants and children that were waited for. A reading takes well
    under a millisecond in a process without children.
    """

    def __init__(
        self, cpu_time: Callable[[], CpuTime] | None = None, cpus: int | None = None
    ) -> None:
        self._cpu_time = cpu_time or _best_reader()
        self._cpus = cpus or SYSTEM.cpus
        self._started = False
        self._before: CpuTime | None = None

    def start(self) -> None:
        """Start the window."""
        self._started, self._before = True, self._now()

    def stop(self) -> LoadShare:
        """Return the shares of CPU time since `start`: other processes, stolen, and idle.

        Nothing is known of others while the counts cannot be read.
        """
        if not self._started:
            raise RuntimeError("LoadProbe.stop() before LoadProbe.start()")
        before, after = self._before, self._now()
        if before is None or after is None:
            return LoadShare(0.0, 0.0)
        available_s = (after.at_s - before.at_s) * self._cpus
        if available_s <= 0:
            return LoadShare(0.0, 0.0)
        own_s = after.own_s - before.own_s
        others_s = after.machine_s - before.machine_s - own_s - RESOLUTION_S
        stolen_s = after.stolen_s - before.stolen_s
        idle_s = available_s - (after.machine_s - before.machine_s) - stolen_s
        workers_s = after.workers_s - before.workers_s
        shares = (seconds / available_s for seconds in (others_s, stolen_s, idle_s, workers_s))
        return LoadShare(*(min(1.0, max(0.0, share)) for share in shares))

    def _now(self) -> CpuTime | None:
        with suppress(Exception):  # psutil raises errors of any type for an odd /proc/stat
            return self._cpu_time()
        return None


def _best_reader() -> Callable[[], CpuTime]:
    """Return a function that reads the counts of this machine."""
    tree_ns, machine = best_count(), _MachineTime.shared()
    workers_s = partial(_workers_s, SYSTEM.getppid()) if _IS_WORKER else float

    def read() -> CpuTime:
        times_s = machine.read()
        busy_s = sum(times_s.get(kind, 0.0) for kind in _BUSY)
        own_s = tree_ns() * 1e-9 + _ranks_s()
        at_s = SYSTEM.monotonic_ns() * 1e-9
        return CpuTime(at_s, busy_s, times_s.get("steal", 0.0), own_s, workers_s())

    return read


class _MachineTime:
    """The CPU time of the whole machine by kind, from a file that stays open where there is one."""

    _shared: _MachineTime | None = None

    def __init__(self, path: str = "/proc/stat") -> None:
        self._file: HeldFile | None = None
        with suppress(OSError):
            self._file = HeldFile(path)

    @classmethod
    def shared(cls) -> _MachineTime:
        """Return the only one: its file stays open as long as this process runs."""
        cls._shared = cls._shared or cls()
        return cls._shared

    def read(self) -> dict[str, float]:
        """Return the seconds so far; raise an error of any type where there are none.

        Some sandboxes show a machine that has never used its CPUs.
        """
        if self._file is None:
            times_s = dict(SYSTEM.cpu_times()._asdict())
        else:
            ticks = self._file.read().partition(b"\n")[0].split()[1:]
            pairs = zip(_KINDS, ticks, strict=False)
            times_s = {kind: int(count) / SYSTEM.clock_ticks for kind, count in pairs}
        if not any(times_s.values()):
            raise ValueError("/proc/stat shows no CPU time")
        return times_s


def _workers_s(controller: int) -> float:
    """Return the CPU time of the other workers that a controller started; 0 if that is unknown."""
    with suppress(OSError):
        return below_ns(controller, without={SYSTEM.getpid()})[0] * 1e-9
    return 0.0


def _ranks_s() -> float:
    """Return the CPU time of the job's other ranks on this host: their work is ours, too."""
    total_ns = 0
    for rank in process_tree.ranks():
        with suppress(OSError):  # it has ended
            total_ns += process_ns(rank) + below_ns(rank)[0]
    return total_ns * 1e-9


def unreadable() -> str | None:
    """Return why the CPU time of this machine cannot be read, or None."""
    try:
        _best_reader()()
    except Exception as error:  # psutil raises errors of any type for an odd /proc/stat
        return f"its CPU time cannot be read ({error})"
    return None


#: The order of the first line of /proc/stat; `user` includes guests.
_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
#: The kinds of busy CPU time; the last two are those of Windows.
_BUSY = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
