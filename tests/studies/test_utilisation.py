"""Utilisation of CPUs and GPU during a measurement."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.utilisation import GpuSamples, Utilisation, usable_cpus

CPU: Any = SimpleNamespace(type="cpu")


class Card:
    """A fake NVML with samples of one card: `(time in microseconds, percent)`."""

    NVML_GPU_UTILIZATION_SAMPLES = 1

    class NVMLError(Exception):
        """The error of NVML without new samples."""

    def __init__(self, *samples: tuple[int, int]) -> None:
        self.samples = list(samples)

    def nvmlDeviceGetSamples(self, card: object, kind: int, since_us: int) -> tuple[int, list[Any]]:  # noqa: N802
        """Return newer samples."""
        new = [
            SimpleNamespace(timeStamp=at_us, sampleValue=SimpleNamespace(uiVal=percent))
            for at_us, percent in self.samples
            if at_us > since_us
        ]
        if not new:
            raise self.NVMLError
        return 1, new


def test_gpu() -> None:
    """The share of the GPU is the mean of the samples since the start."""
    card = Card((100, 90), (200, 90))
    samples = GpuSamples(card, None)
    samples.start()
    card.samples += [(300, 20), (400, 60)]
    assert pytest.approx(0.4) == samples.share()


def test_gpu_without_samples() -> None:
    """The share is unknown without samples, and starts with the first sample."""
    card = Card()
    samples = GpuSamples(card, None)
    samples.start()
    assert samples.share() is None
    card.samples.append((100, 50))
    assert 0.5 == samples.share()


def test_shares() -> None:
    """Known shares are available after the exit."""
    card = Card((100, 90))
    with Utilisation(CPU, GpuSamples(card, None)) as used:
        card.samples.append((200, 30))
    assert {"cpu_utilisation", "gpu_utilisation"} == set(used.shares)
    assert 0.3 == used.shares["gpu_utilisation"]


def test_no_gpu() -> None:
    """On a CPU the share of a GPU is missing, not zero."""
    with Utilisation(CPU) as used:
        pass
    assert ["cpu_utilisation"] == list(used.shares)


def test_waiting_and_working() -> None:
    """Waiting uses hardly any CPU time; a child process counts, as one CPU at most."""
    with Utilisation(CPU) as waiting:
        time.sleep(0.2)
    with Utilisation(CPU) as working:
        subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    assert 0.0 <= waiting.shares["cpu_utilisation"] < working.shares["cpu_utilisation"]
    assert working.shares["cpu_utilisation"] <= 1.05 / usable_cpus()


def test_failure() -> None:
    """An exception propagates, and the shares are known."""
    used = Utilisation(CPU)
    with pytest.raises(ValueError, match="it"), used:
        raise ValueError("it")
    assert ["cpu_utilisation"] == list(used.shares)
