"""Measurements of a model under load, with and without the energy of idling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.tables import Figures, Row
from pytest_greenops.model.errors import InsightError


class IdleSplit(NamedTuple):
    """Joules of a window: gross, those of idling for as long, and net of idling."""

    gross_j: float
    idle_j: float
    net_j: float

    @property
    def idle_share(self) -> float:
        """Return the idle part of the whole, 0 to 1."""
        return self.idle_j / self.gross_j if self.gross_j else 0.0

    def per(self, units: float) -> IdleSplit:
        """Divide by a number of tokens or requests; raise `InsightError` unless it is positive."""
        if not units > 0:
            raise InsightError(f"{units} units of work: expected a number > 0")
        return IdleSplit(*(energy_j / units for energy_j in self))


def net_of_idle(energy_j: float, seconds: float, idle_w: float) -> IdleSplit:
    """Split the energy of a window by the power of the same devices without work.

    Raises `InsightError` for a figure that is negative or not finite, and where idling would have
    used more than was measured: the two measurements then differ in their devices.
    """
    if not all(math.isfinite(value) and value >= 0 for value in (energy_j, seconds, idle_w)):
        raise InsightError(
            f"{energy_j} J in {seconds} s at {idle_w} W idle: expected finite numbers >= 0"
        )
    idle_j = idle_w * seconds
    if idle_j > energy_j:
        raise InsightError(
            f"idling at {idle_w:g} W for {seconds:g} s is {idle_j:.4g} J, more than the measured "
            f"{energy_j:.4g} J: measure the idle power again, with the same sensors"
        )
    return IdleSplit(energy_j, idle_j, energy_j - idle_j)


@dataclass(frozen=True)
class Point:
    """One model under one load.

    idle_w  power while the same model waits, or None if unknown
    """

    test: str
    facts: Mapping[str, Any]
    figures: Figures
    idle_w: float | None

    @property
    def model(self) -> str:
        """Return the id of the model on its axis."""
        return str(self.facts["model"])

    @property
    def rate(self) -> str:
        """Return the cell with the requests per second."""
        return f"{self.facts['rate_per_s']:g}"

    @property
    def load(self) -> tuple[int, int, int]:
        """Return the tokens of a prompt and of an answer, and the slots."""
        facts = self.facts
        return facts["prompt_tokens"], facts["answer_tokens"], facts["slots"]

    @property
    def estimated(self) -> bool:
        """Return whether its joules are estimated, not sensed."""
        return bool(self.figures.get("estimated"))

    @property
    def request_j(self) -> float:
        """Return the gross joules of a request."""
        return float(self.figures["per_unit.request"])

    @property
    def token_j(self) -> float:
        """Return the gross joules of an answer token."""
        return float(self.figures["per_unit.token"])

    @property
    def request_split(self) -> IdleSplit | None:
        """Return the split of a request, or None if idling is unknown or exceeds the energy."""
        return self._split(self.facts["requests"])

    @property
    def token_split(self) -> IdleSplit | None:
        """Return the same for an answer token."""
        return self._split(self.facts["requests"] * self.facts["answer_tokens"])

    def _split(self, units: int) -> IdleSplit | None:
        if self.idle_w is None:
            return None
        figures = self.figures
        try:
            return net_of_idle(figures["joules"], figures["seconds"], self.idle_w).per(units)
        except InsightError:
            return None


def points_of(rows: Sequence[Row]) -> list[Point]:
    """Return the rows with a load, each with the idle power of its model."""
    idle_w = {
        row.facts["model"]: row.measurements["call"]["watts"]
        for row in rows
        if "waited_s" in row.facts and "call" in row.measurements
    }
    return [
        Point(row.test, row.facts, row.measurements["call"], idle_w.get(row.facts["model"]))
        for row in rows
        if "rate_per_s" in row.facts and "call" in row.measurements
    ]
