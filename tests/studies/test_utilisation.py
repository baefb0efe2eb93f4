"""How busy CPUs and GPU are around a measurement."""

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
    """An NVML that keeps samples of one card: `(time in microseconds, percent)`."""

    NVML_GPU_UTILIZATION_SAMPLES = 1

    class NVMLError(Exception):
        """What NVML raises where no sample is new."""

    def __init__(self, *samples: tuple[int, int]) -> None:
        self.samples = list(samples)

    def nvmlDeviceGetSamples(self, card: object, kind: int, since_us: int) -> tuple[int, list[Any]]:  # noqa: N802
        """All that are younger."""
        new = [
            SimpleNamespace(timeStamp=at_us, sampleValue=SimpleNamespace(uiVal=percent))
            for at_us, percent in self.samples
            if at_us > since_us
        ]
        if not new:
            raise self.NVMLError
        return 1, new


def test_gpu() -> None:
    """The GPU's share is the mean of the samples that are younger than the start."""
    card = Card((100, 90), (200, 90))
    samples = GpuSamples(card, None)
    samples.start()
    card.samples += [(300, 20), (400, 60)]
    assert pytest.approx(0.4) == samples.share()


def test_gpu_without_samples() -> None:
    """It is unknown where no sample came, and counts from the first where there was none before."""
    card = Card()
    samples = GpuSamples(card, None)
    samples.start()
    assert samples.share() is None
    card.samples.append((100, 50))
    assert 0.5 == samples.share()


def test_shares() -> None:
    """What is known stands in the shares, after the exit."""
    card = Card((100, 90))
    with Utilisation(CPU, GpuSamples(card, None)) as used:
        card.samples.append((200, 30))
    assert {"cpu_utilisation", "gpu_utilisation"} == set(used.shares)
    assert 0.3 == used.shares["gpu_utilisation"]


def test_no_gpu() -> None:
    """On a CPU there is no share of a GPU, not a zero."""
    with Utilisation(CPU) as used:
        pass
    assert ["cpu_utilisation"] == list(used.shares)


def test_waiting_and_working() -> None:
    """Waiting takes next to no CPU time; work, and that of a child, is of one CPU at most."""
    with Utilisation(CPU) as waiting:
        time.sleep(0.2)
    with Utilisation(CPU) as working:
        subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    assert 0.0 <= waiting.shares["cpu_utilisation"] < working.shares["cpu_utilisation"]
    assert working.shares["cpu_utilisation"] <= 1.05 / usable_cpus()


def test_failure() -> None:
    """What fails inside goes on, and the shares are known all the same."""
    used = Utilisation(CPU)
    with pytest.raises(ValueError, match="it"), used:
        raise ValueError("it")
    assert ["cpu_utilisation"] == list(used.shares)
