"""Windows at random moments on a simulated machine, with their true joules."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any, NamedTuple

from benchmarks.accuracy.hosts import BUSY, IDLE_W
from benchmarks.accuracy.tools import TOOLS
from tests.simulated_host import nvml

#: Range of the random pause before each window, so that its phase within a tick is random.
PAUSE_S = (0.1, 0.3)
#: Length of the window that warms up a tool.
FIRST_S = 0.05


class Seen(NamedTuple):
    """One window: intended length, monotonic start and end, and joules.

    true_j      joules from start to end of the work; None if only the host knows them
    measured_j  joules that the tool reports, or None
    error_j     error that the tool states
    """

    length_s: float
    begun_s: float
    ended_s: float
    true_j: float | None
    measured_j: float | None
    error_j: float | None = None


class CardWork:
    """Synchronous work on a card.

    busy_s            duration of all calls
    begun_j, ended_j  joules of the card at the start and end of the last call
    """

    def __init__(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        self._card = nvml.Work()
        self.busy_s = 0.0
        self.begun_j = self.ended_j = 0.0

    def call(self, seconds: float) -> None:
        """Keep the card busy for this long, as precisely as a sleep allows."""
        begun_s = time.monotonic()
        self.begun_j = math.nan
        until_s = begun_s
        for piece_s, watts in cycle(BUSY):
            until_s = min(until_s + piece_s, begun_s + seconds)
            drawn_j = self._card.draw(watts)
            self.begun_j = drawn_j if math.isnan(self.begun_j) else self.begun_j
            time.sleep(max(0.0, until_s - time.monotonic()))
            if until_s >= begun_s + seconds:
                break
        self.ended_j = self._card.draw(IDLE_W)
        self.busy_s += time.monotonic() - begun_s

    def joules(self) -> float:
        """Return the joules of the card until now."""
        return self._card.joules()


def windows(tool: str, sensor: str, lengths: list[tuple[float, int]]) -> list[Seen] | None:
    """Measure windows of these lengths and numbers in a child; None if the tool cannot."""
    measure = TOOLS[tool](sensor)
    if measure is None:
        return None
    card = CardWork() if sensor == "nvml" else None
    _window(measure, card, FIRST_S)
    seen = []
    for length_s, repeats in lengths:
        for _ in range(repeats):
            time.sleep(random.uniform(*PAUSE_S))
            seen.append(_window(measure, card, length_s))
    return seen


def _window(measure: Callable[..., Any], card: CardWork | None, length_s: float) -> Seen:
    begun_s = ended_s = math.nan

    def work() -> None:
        nonlocal begun_s, ended_s
        begun_s = time.monotonic()
        if card:
            card.call(length_s)
        else:
            time.sleep(length_s)
        ended_s = time.monotonic()

    measured_j = measure(work)
    true_j = card.ended_j - card.begun_j if card else None
    return Seen(length_s, begun_s, ended_s, true_j, measured_j)


def own_windows(length_s: float, repeats: int) -> list[Seen]:
    """Measure a card with this project's windows in a child, with their stated errors."""
    from pytest_greenops.sensors.discover import discover

    instruments, _ = discover(["nvml"])
    card = CardWork()
    seen = []
    for _ in range(repeats):
        time.sleep(random.uniform(*PAUSE_S))
        before = instruments.begin()
        begun_s = time.monotonic()
        card.call(length_s)
        ended_s = time.monotonic()
        window = instruments.window(before, instruments.end())
        (name,) = (domain.name for domain in instruments.domains)
        measured_j = window.energy_uj[name] * 1e-6 if name in window.energy_uj else None
        error_j = window.error_uj.get(name, 0.0) * 1e-6
        true_j = card.ended_j - card.begun_j
        seen.append(Seen(length_s, begun_s, ended_s, true_j, measured_j, error_j))
    return seen
