"""What runs on a simulated machine: windows at random moments, with what is true of each."""

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

#: The pause before each window is drawn by chance: no tick is nearer to it than any other.
PAUSE_S = (0.1, 0.3)
#: Only warms a tool up.
FIRST_S = 0.05


class Seen(NamedTuple):
    """One window: how long, from when to when by the monotonic clock, and its joules.

    true_j   what was drawn from the beginning to the end of the work; None: known to the host only
    told_j   what the tool said, None where it could not
    error_j  how far the tool said that it may be off
    """

    length_s: float
    begun_s: float
    ended_s: float
    true_j: float | None
    told_j: float | None
    error_j: float | None = None


class CardWork:
    """Work of a card: it draws more from the beginning to the end, and is waited for.

    busy_s            how long all calls took
    begun_j, ended_j  what the card had drawn when the last call began, and when it ended
    """

    def __init__(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        self._card = nvml.Work()
        self.busy_s = 0.0
        self.begun_j = self.ended_j = 0.0

    def call(self, seconds: float) -> None:
        """Keep the card busy for so long, as nearly as a sleep can."""
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
        """The joules that the card has drawn until now."""
        return self._card.joules()


def windows(tool: str, sensor: str, lengths: list[tuple[float, int]]) -> list[Seen] | None:
    """In a child: windows of these lengths and numbers, measured by a tool; None: it cannot."""
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
    times_s: list[float] = []

    def work() -> None:
        times_s.append(time.monotonic())
        if card:
            card.call(length_s)
        else:
            time.sleep(length_s)
        times_s.append(time.monotonic())

    told_j = measure(work)
    true_j = card.ended_j - card.begun_j if card else None
    return Seen(length_s, *times_s, true_j, told_j)


def own_windows(length_s: float, repeats: int) -> list[Seen]:
    """In a child: windows of this project on a card, with the error that it states of each."""
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
        told_j = window.energy_uj[name] * 1e-6 if name in window.energy_uj else None
        error_j = window.error_uj.get(name, 0.0) * 1e-6
        true_j = card.ended_j - card.begun_j
        seen.append(Seen(length_s, begun_s, ended_s, true_j, told_j, error_j))
    return seen
