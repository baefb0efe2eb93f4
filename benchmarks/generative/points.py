"""What a load came to: its joules, with and without those of idling, and its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.generative.cells import Figures, is_estimated
from benchmarks.generative.idle_power import Shares, net_of_idle
from benchmarks.tables import Row
from pytest_greenops.model.errors import InsightError


@dataclass(frozen=True)
class Point:
    """One model under one load.

    idle_w  what the machine took while the same model waited; None where that was not measured
    """

    test: str
    facts: Mapping[str, Any]
    figures: Figures
    idle_w: float | None

    @property
    def model(self) -> str:
        """The model by its id on the axis."""
        return str(self.facts["model"])

    @property
    def load(self) -> tuple[int, int, int]:
        """Tokens of a prompt and of an answer, and slots."""
        facts = self.facts
        return facts["prompt_tokens"], facts["answer_tokens"], facts["slots"]

    @property
    def estimated(self) -> bool:
        """Whether its joules are estimated, not sensed."""
        return is_estimated(self.figures)

    @property
    def request_j(self) -> float:
        """Joules of a request, gross."""
        return float(self.figures["per_unit.request"])

    @property
    def token_j(self) -> float:
        """Joules of a token of an answer, gross."""
        return float(self.figures["per_unit.token"])

    @property
    def of_request(self) -> Shares | None:
        """Joules of a request: gross, what idling would have taken meanwhile, and net.

        None where idling is unknown, or would have taken more than was used.
        """
        return self._shared_among(self.facts["requests"])

    @property
    def of_token(self) -> Shares | None:
        """The same of a token of an answer."""
        return self._shared_among(self.facts["requests"] * self.facts["answer_tokens"])

    def _shared_among(self, units: int) -> Shares | None:
        if self.idle_w is None:
            return None
        figures = self.figures
        try:
            return net_of_idle(figures["joules"], figures["seconds"], self.idle_w).per(units)
        except InsightError:
            return None


def points_of(rows: Sequence[Row]) -> list[Point]:
    """Those rows that measured a load, each with the idle power beside its model."""
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
