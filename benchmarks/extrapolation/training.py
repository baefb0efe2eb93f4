"""A training, measured epoch by epoch: a small convolutional classifier on images of noise.

    python -m benchmarks.extrapolation.training SEED EPOCHS

trains in this process, start-up included, and prints the recording as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import msgspec
import torch

from benchmarks.extrapolation.recordings import Epoch, Recording
from pytest_greenops.model.units import significant
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments

#: Images of the size of CIFAR-10's, `(3, 32, 32)`, in ten classes.
IMAGES, BATCH, CLASSES = 1024, 64, 10


def record(seed: int, epochs: int) -> Recording:
    """Train from random weights, and measure each epoch."""
    instruments, _ = discover(["auto"])
    losses: list[float] = []
    training = _training(seed, losses)
    measured = tuple(_epoch(instruments, training) for _ in range(epochs))
    instruments.close()
    steps = len(losses) // epochs
    last = sum(losses[-steps:]) / steps
    return Recording(_device(instruments), seed, measured, (losses[0], last))


def _epoch(instruments: Instruments, training: Iterator[None]) -> Epoch:
    before = instruments.begin()
    began_s = time.perf_counter()
    next(training)
    seconds = time.perf_counter() - began_s
    window = instruments.window(before, instruments.end())
    counted = [domain.name for domain in instruments.domains if domain.counted]
    return Epoch(sum(window.energy_uj[name] for name in counted) * 1e-6, seconds)


def _training(seed: int, losses: list[float]) -> Iterator[None]:
    """Train one epoch per step; set-up is part of the first."""
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    labels = torch.randint(CLASSES, (IMAGES,))
    # A faint pattern per class, so that the network can learn.
    images = torch.randn(IMAGES, 3, 32, 32) + 0.2 * torch.randn(CLASSES, 3, 32, 32)[labels]
    images, labels = images.to(device), labels.to(device)
    model = _classifier().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    while True:
        for chosen in torch.randperm(IMAGES).to(device).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield


def _classifier() -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        layers += [
            torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(outputs),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(64 * 16, CLASSES))


def _device(instruments: Instruments) -> str:
    sensors = [f"{sensor.name} ({sensor.method})" for sensor in instruments.sensors]
    return f"{', '.join(sensors)}; torch with {torch.get_num_threads()} threads"


if __name__ == "__main__":
    recording = record(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(significant(msgspec.to_builtins(recording))))
