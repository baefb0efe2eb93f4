"""Errors of measured windows, and their text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.accuracy.tools import WITHOUT
from benchmarks.accuracy.windows import Seen
from tests.simulated_host.host import Host


class Errors(NamedTuple):
    """Absolute errors as shares of the truth, and the number of missing measurements."""

    shares: tuple[float, ...]
    unanswered: int = 0

    @property
    def median(self) -> float:
        """Return the median of the absolute errors."""
        return statistics.median(self.shares)

    @property
    def worst(self) -> float:
        """Return the largest absolute error."""
        return max(self.shares)

    def __str__(self) -> str:
        if not self.shares:
            return "no answer"
        text = f"{percent(self.median)} / {percent(self.worst)}"
        return f"{text}, {self.unanswered} no answer" if self.unanswered else text


def percent(share: float) -> str:
    """Return a share in percent, with two significant digits."""
    return f"{share * 100:.2g} %" if share * 100 < 99.5 else f"{share * 100:.0f} %"


def errors(measured_and_true: Sequence[tuple[float | None, float]]) -> Errors:
    """Return the errors of measured joules, some of which may be missing."""
    shares = [abs(value / true - 1) for value, true in measured_and_true if value is not None]
    return Errors(tuple(shares), len(measured_and_true) - len(shares))


def by_length(tool: str, host: Host, seen: Sequence[Seen]) -> dict[float, Errors]:
    """Return the errors of a tool's windows by intended length."""
    lengths = dict.fromkeys(window.length_s for window in seen)
    return {
        length_s: errors(
            [
                (window.measured_j, _true_j(tool, host, window))
                for window in seen
                if window.length_s == length_s
            ]
        )
        for length_s in lengths
    }


def _true_j(tool: str, host: Host, window: Seen) -> float:
    """Return the true joules of the devices that the tool counts."""
    if window.true_j is not None:
        return window.true_j
    joules = host.joules(host.seconds(window.begun_s), host.seconds(window.ended_s))
    left_out = WITHOUT.get(tool, "none")
    return sum(j for device, j in joules.items() if not device.startswith(left_out))
