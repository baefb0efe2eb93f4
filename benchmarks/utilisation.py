"""How busy the CPUs and the GPU are around a measurement.

    with Utilisation(device) as used:
        output = energy(model, images)
    facts(**used.shares)

Nothing is polled meanwhile: CPU time is read at both ends, and the driver of a GPU keeps samples by
itself. What the meter does beside the calls (warm-up, its control workload) is in the shares too.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_greenops.sensors.cpu_estimate.estimate import best_count

if TYPE_CHECKING:
    import torch


class GpuSamples:
    """The utilisation samples that NVML keeps of one card, up to some seconds back."""

    def __init__(self, nvml: Any, card: Any) -> None:
        self._nvml, self._card = nvml, card
        self._seen_us = 0

    def start(self) -> None:
        """Leave out what was sampled so far."""
        for sample in self._since(0):
            self._seen_us = max(self._seen_us, sample.timeStamp)

    def share(self) -> float | None:
        """The mean of what was sampled since the start, 0 to 1; None where nothing was."""
        percents = [sample.sampleValue.uiVal for sample in self._since(self._seen_us)]
        return sum(percents) / len(percents) / 100 if percents else None

    def _since(self, time_us: int) -> list[Any]:
        kind = self._nvml.NVML_GPU_UTILIZATION_SAMPLES
        try:
            samples: list[Any] = self._nvml.nvmlDeviceGetSamples(self._card, kind, time_us)[1]
        except self._nvml.NVMLError:  # none is new, or this card keeps none
            return []
        return [sample for sample in samples if sample.timeStamp > time_us]


class Utilisation:
    """Watches this process and the device of its models, from entry to exit.

    shares  after the exit: `cpu_utilisation`, the CPU time of this process and its descendants as
            a share of all that the CPUs open to it had; `gpu_utilisation`, the share of the time in
            which the card ran anything. One that is unknown is left out.
    """

    def __init__(self, device: torch.device, gpu: GpuSamples | None = None) -> None:
        self.shares: dict[str, float] = {}
        self._cpu_time_ns = best_count()
        self._gpu = gpu or _samples_of(device)

    def __enter__(self) -> Utilisation:
        if self._gpu is not None:
            self._gpu.start()
        self._began_ns = time.monotonic_ns(), self._cpu_time_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        began_ns, used_ns = self._began_ns
        available_ns = (time.monotonic_ns() - began_ns) * usable_cpus()
        if available_ns > 0:
            self.shares["cpu_utilisation"] = (self._cpu_time_ns() - used_ns) / available_ns
        gpu = self._gpu.share() if self._gpu is not None else None
        if gpu is not None:
            self.shares["gpu_utilisation"] = gpu


def usable_cpus() -> int:
    """How many logical CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _samples_of(device: torch.device) -> GpuSamples | None:
    """The samples of the card behind a device of torch, if it has one and NVML answers."""
    if device.type != "cuda":
        return None
    import pynvml
    import torch

    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()  # stays open: NVML counts who uses it
        return GpuSamples(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    return None
