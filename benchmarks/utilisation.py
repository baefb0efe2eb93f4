"""Utilisation of the CPUs and the GPU during a measurement.

    with Utilisation(device) as used:
        output = energy(model, images)
    facts(**used.shares)

Nothing is polled in between: CPU time is read at both ends, and the driver of a GPU keeps samples.
The shares include the work of the meter: warm-up and control workload.
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
    """The utilisation samples of the last seconds that NVML keeps for one card."""

    def __init__(self, nvml: Any, card: Any) -> None:
        self._nvml, self._card = nvml, card
        self._seen_us = 0

    def start(self) -> None:
        """Ignore all samples so far."""
        for sample in self._since(0):
            self._seen_us = max(self._seen_us, sample.timeStamp)

    def share(self) -> float | None:
        """Return the mean of the samples since the start, 0 to 1, or None without samples."""
        percents = [sample.sampleValue.uiVal for sample in self._since(self._seen_us)]
        return sum(percents) / len(percents) / 100 if percents else None

    def _since(self, time_us: int) -> list[Any]:
        kind = self._nvml.NVML_GPU_UTILIZATION_SAMPLES
        try:
            samples: list[Any] = self._nvml.nvmlDeviceGetSamples(self._card, kind, time_us)[1]
        except self._nvml.NVMLError:  # no new samples, or this card keeps none
            return []
        return [sample for sample in samples if sample.timeStamp > time_us]


class Utilisation:
    """Measures the utilisation by this process and of its GPU, from entry to exit.

    shares  after the exit: `cpu_utilisation`, the CPU time of this process and its descendants as
            a share of the CPUs that it may use; `gpu_utilisation`, the share of time in which the
            GPU was busy. An unknown one is left out.
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
    """Return the number of logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _samples_of(device: torch.device) -> GpuSamples | None:
    """Return the samples of the card of a torch device, if NVML has them."""
    if device.type != "cuda":
        return None
    import pynvml
    import torch

    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()  # not shut down: NVML counts its users
        return GpuSamples(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    return None
