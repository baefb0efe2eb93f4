"""In which state an NVIDIA card is: heat, clock, limit, what holds it down, and who is on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.model.measurement import DeviceState
from pytest_greenops.sensors.process_tree import tree

#: The bits of NVML's clocks event reasons (nvml.h) that hold clocks down; idling is none of them.
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
_MPS_SERVER = "nvidia-cuda-mps"


class Presence(NamedTuple):
    """Who is on a card; None where nobody can tell.

    used     whether this process or a descendant is
    foreign  whether a process of somebody else computes on it, or could at any time: one that holds
             its memory and waits is listed too. One that draws on a screen is not
    """

    used: bool | None = None
    foreign: bool | None = None


class _Processes(NamedTuple):
    """The numbers of the processes on a card, and of those that compute and draw nothing."""

    all: set[int]
    computing: set[int]


def throttle_reasons(nvml: Any, handle: Any) -> tuple[str, ...]:
    """Why the card's clocks are held down now; none where it does not tell."""
    bits = _asked(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle) or 0
    return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)


def clock_mhz(nvml: Any, handle: Any) -> int | None:
    """The clock of its multiprocessors."""
    clock: int | None = _asked(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)
    return clock


def state(
    nvml: Any,
    handle: Any,
    reasons: tuple[str, ...],
    clock: int | None,
    presence: Presence,
) -> DeviceState:
    """What the card tells now, with what was seen of its clock while it worked."""
    heat = _asked(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    limit_mw = _asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return DeviceState(
        temperature_c=heat,
        clock_mhz=clock,
        power_limit_w=None if limit_mw is None else limit_mw / 1000,
        throttle_reasons=reasons,
        used=presence.used,
        foreign=presence.foreign,
    )


def presences(nvml: Any, handles: Sequence[Any], proc: Path = _PROC) -> list[Presence]:
    """Who is on each card: this process or a descendant, and anybody else.

    A driver that lists one of our processes on any card is trusted about the others, and about who
    else is there. Else a tree that has not even loaded CUDA is on none; if it has, the driver may
    know its processes by other numbers, as it does in a container, and nobody can tell.
    """
    ours = tree()
    listed = [_processes(nvml, handle) for handle in handles]
    if not any(processes and processes.all & ours for processes in listed):
        used = None if _loads_cuda(ours, proc) else False
        return [Presence(used)] * len(handles)
    # A child that was started while the driver was asked is none of the others.
    ours |= tree()
    return [_presence(processes, ours, proc) for processes in listed]


def _presence(processes: _Processes | None, ours: set[int], proc: Path) -> Presence:
    if processes is None:
        return Presence()
    # A process that has started this one waits for it, as pytest does for a fresh session.
    others = processes.computing - ours - {os.getppid()}
    foreign = any(not _serves_all(pid, proc) for pid in others)
    return Presence(bool(processes.all & ours), foreign)


def rests(nvml: Any, handle: Any) -> bool:
    """Whether the card tells that it had no work for a moment, and that nobody computes on it.

    Its utilisation is that of the last sixth of a second to a second, by card (nvml.h).
    """
    busy = _asked(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    compute = _asked(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    return busy is not None and busy.gpu == 0 and compute is not None and not compute


def reaped() -> tuple[float, ...]:
    """What the children that have ended have used: it changes with each of them."""
    try:
        import resource
    except ImportError:  # Windows keeps no such count
        return ()
    return tuple(resource.getrusage(resource.RUSAGE_CHILDREN))


def _processes(nvml: Any, handle: Any) -> _Processes | None:
    compute = _asked(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    graphics = _asked(nvml, nvml.nvmlDeviceGetGraphicsRunningProcesses, handle)
    if compute is None:
        return None
    computing = {process.pid for process in compute}
    # A desktop's compositor and browser stand in both lists: "C+G" in nvidia-smi.
    drawing = {process.pid for process in graphics or []}
    return _Processes(computing | drawing, computing - drawing)


def _serves_all(pid: int, proc: Path) -> bool:
    """Whether it is the server of CUDA's Multi-Process Service, which does the work of all."""
    try:
        return (proc / str(pid) / "comm").read_text(errors="replace").startswith(_MPS_SERVER)
    except OSError:
        return False


def _loads_cuda(pids: set[int], proc: Path) -> bool:
    """Whether a process has CUDA's driver library loaded; True where that cannot be seen."""
    for pid in pids:
        try:
            maps = (proc / str(pid) / "maps").read_text(errors="replace")
        except FileNotFoundError:  # it has ended
            if pid == os.getpid():
                return True
        except OSError:
            return True
        else:
            if "libcuda.so" in maps or "nvcuda" in maps:
                return True
    return False


def _asked(nvml: Any, question: Any, *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None
