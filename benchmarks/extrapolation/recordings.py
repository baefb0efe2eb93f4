"""Recorded trainings, one per line of a file, and their projection from the first epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytest_greenops.insight.what_if.extrapolate import WINDOW, extrapolate
from pytest_greenops.model.scenario import Extrapolation


class Epoch(NamedTuple):
    """One epoch."""

    joules: float
    seconds: float


class Recording(msgspec.Struct, frozen=True):
    """One whole training; joules are the sum over all counted domains.

    device  sensors and threads, in words
    loss    at the first step and over the last epoch: it must fall, or nothing was learnt
    """

    device: str
    seed: int
    epochs: tuple[Epoch, ...]
    loss: tuple[float, float]

    @property
    def epochs_j(self) -> list[float]:
        """Return the joules of each epoch."""
        return [epoch.joules for epoch in self.epochs]

    @property
    def joules(self) -> float:
        """Return the joules of the whole training."""
        return sum(self.epochs_j)

    @property
    def seconds(self) -> float:
        """Return the duration of the whole training."""
        return sum(epoch.seconds for epoch in self.epochs)


def read(path: Path) -> list[Recording]:
    """Read all recordings of a file."""
    return [msgspec.json.decode(line, type=Recording) for line in path.read_bytes().splitlines()]


def write(path: Path, recordings: Iterable[Recording]) -> None:
    """Write recordings to a file."""
    lines = (msgspec.json.encode(recording) for recording in recordings)
    path.write_bytes(b"\n".join([*lines, b""]))


def after_start_up(epochs_j: Sequence[float]) -> Extrapolation:
    """Project a training from its start-up and the first stable window.

    Later epochs are held out, as if profiling had stopped there.
    """
    total = len(epochs_j)
    projected = extrapolate(epochs_j[:WINDOW], total)
    while not projected.stable and projected.seen < total:
        projected = extrapolate(epochs_j[: projected.seen + 1], total)
    return projected
