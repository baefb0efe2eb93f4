"""Trainings that were recorded: a file holds one in each line, in the order of the runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec


class Epoch(NamedTuple):
    """What one epoch took."""

    joules: float
    seconds: float


class Recording(msgspec.Struct, frozen=True):
    """One whole training; joules are the sum of all domains that are counted.

    device  what was measured and how, in words
    loss    at the first step and over the last epoch: it has to fall, or nothing was trained
    """

    device: str
    seed: int
    epochs: tuple[Epoch, ...]
    loss: tuple[float, float]

    @property
    def epochs_j(self) -> list[float]:
        """Joules of each epoch."""
        return [epoch.joules for epoch in self.epochs]

    @property
    def joules(self) -> float:
        """Joules of the whole training."""
        return sum(self.epochs_j)

    @property
    def seconds(self) -> float:
        """How long the whole training took."""
        return sum(epoch.seconds for epoch in self.epochs)


def read(path: Path) -> list[Recording]:
    """All recordings of a file."""
    return [msgspec.json.decode(line, type=Recording) for line in path.read_bytes().splitlines()]


def write(path: Path, recordings: Iterable[Recording]) -> None:
    """Keep recordings, in their order."""
    lines = (msgspec.json.encode(recording) for recording in recordings)
    path.write_bytes(b"\n".join([*lines, b""]))
