"""The state of an NVIDIA card: temperature, clocks, power limit, and the processes that use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.model.measurement import DeviceState
from pytest_greenops.sensors.nvidia.binding import LEAST_W, MOST_W
from pytest_greenops.sensors.process_tree import tree
from pytest_greenops.system import SYSTEM

#: The bits of NVML's clocks event reasons (nvml.h) that limit clocks; being idle is not among them.
THROTTLE_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_PROC = Path("/proc")
#: The kernel cuts the name of a process to fifteen characters: `nvidia-cuda-mps-server`.
_MPS_SERVER = b"nvidia-cuda-mps"


class Presence(NamedTuple):
    """Which processes are on a card; None if that is unknown.

    used     whether this process or a descendant is on it
    foreign  whether another process computes on it, or holds its memory and could compute at any
             time. One that draws on a screen does not count
    """

    used: bool | None = None
    foreign: bool | None = None


class _Processes(NamedTuple):
    """The ids of the processes on a card, and of those that compute and draw nothing."""

    all: set[int]
    computing: set[int]


class Clocks:
    """What limited the clocks of a card, and that of its multiprocessors, noted in a window."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._reasons: tuple[str, ...] = ()
        self.mhz: int | None = None

    def note(self) -> None:
        """Note what limits the clocks now, and the clock."""
        nvml, handle = self._nvml, self._handle
        more = throttle_reasons(nvml, handle)
        self._reasons = tuple(dict.fromkeys((*self._reasons, *more)))
        self.mhz = _ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)

    def take_reasons(self) -> tuple[str, ...]:
        """Return the reasons noted since the last call."""
        self._reasons, reasons = (), self._reasons
        return reasons


def throttle_reasons(nvml: Any, handle: Any) -> tuple[str, ...]:
    """Return what limits the card's clocks now; nothing if it does not report that."""
    bits = _ask(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle) or 0
    return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)


def state(nvml: Any, handle: Any, clocks: Clocks, presence: Presence) -> DeviceState:
    """Return what the card reports now, with what was noted of its clocks while it worked."""
    return DeviceState(
        temperature_c=_ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        clock_mhz=clocks.mhz,
        power_limit_w=power_limit_w(nvml, handle),
        throttle_reasons=clocks.take_reasons(),
        used=presence.used,
        foreign=presence.foreign,
    )


def power_limit_w(nvml: Any, handle: Any) -> float | None:
    """Return the power limit that the driver enforces; None if it reports no plausible one."""
    limit_mw = _ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle) or 0
    return limit_mw / 1000 if LEAST_W <= limit_mw / 1000 <= MOST_W else None


def presences(nvml: Any, handles: Sequence[Any], proc: Path = _PROC) -> list[Presence]:
    """Return which processes are on each card: this one or a descendant, and others.

    If the driver lists one of our processes on any card, its lists of all cards are trusted. If
    not, a process tree that has not loaded CUDA is on no card. If it has loaded CUDA, the answer is
    unknown: the driver may list our processes by other ids, as it does in a container.
    """
    ours = tree()
    listed = [_processes(nvml, handle) for handle in handles]
    if not any(processes and processes.all & ours for processes in listed):
        used = None if _loads_cuda(ours, proc) else False
        return [Presence(used)] * len(handles)
    # A child that was started while the driver was asked is one of ours.
    ours |= tree()
    return [_presence(processes, ours, proc) for processes in listed]


def _presence(processes: _Processes | None, ours: set[int], proc: Path) -> Presence:
    if processes is None:
        return Presence()
    # The parent waits for this process, as pytest does for a fresh process.
    others = processes.computing - ours - {SYSTEM.getppid()}
    foreign = any(not _serves_all(pid, proc) for pid in others)
    return Presence(bool(processes.all & ours), foreign)


def rests(nvml: Any, handle: Any) -> bool:
    """Return whether the card had no work for a moment, and no process computes on it.

    Its utilisation covers the last sixth of a second to a second, depending on the card (nvml.h).
    """
    busy = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    compute = _ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    return busy is not None and busy.gpu == 0 and compute is not None and not compute


def _processes(nvml: Any, handle: Any) -> _Processes | None:
    compute = _ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    graphics = _ask(nvml, nvml.nvmlDeviceGetGraphicsRunningProcesses, handle)
    if compute is None:
        return None
    computing = {process.pid for process in compute}
    # A desktop's compositor and browser are in both lists: "C+G" in nvidia-smi.
    drawing = {process.pid for process in graphics or []}
    return _Processes(computing | drawing, computing - drawing)


def _serves_all(pid: int, proc: Path) -> bool:
    """Return whether it is the server of CUDA's Multi-Process Service, which works for all."""
    try:
        return SYSTEM.read_file(f"{proc}/{pid}/comm").startswith(_MPS_SERVER)
    except OSError:
        return False


def _loads_cuda(pids: set[int], proc: Path) -> bool:
    """Return whether a process has loaded CUDA's driver library; True if that cannot be read."""
    for pid in pids:
        try:
            maps = SYSTEM.read_file(f"{proc}/{pid}/maps")
        except FileNotFoundError:  # it has ended
            if pid == SYSTEM.getpid():
                return True
        except OSError:
            return True
        else:
            if b"libcuda.so" in maps or b"nvcuda" in maps:
                return True
    return False


def _ask(nvml: Any, question: Any, *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None
