"""What was measured of one architecture in one setting, as the tables tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.tables import Row
from pytest_greenops.model.units import format_energy, format_power

PHASES = {"test_inference": "Inference", "test_training_step": "Training step"}


class Point(NamedTuple):
    """One architecture in one setting: the facts, and the figures of the call."""

    facts: Mapping[str, Any]
    figures: Mapping[str, Any]

    @property
    def name(self) -> tuple[str, str]:
        """The cells that name it: architecture and batch size."""
        return self.facts["architecture"], self.facts["batch"]

    @property
    def sample_j(self) -> float:
        """Joules of one image."""
        return float(self.figures["per_unit.sample"])

    @property
    def sample_s(self) -> float:
        """Seconds of one image."""
        return float(self.figures["seconds"] * self.sample_j / self.figures["joules"])

    @property
    def estimated(self) -> bool:
        """Whether its joules were estimated, not sensed."""
        return bool(self.figures["estimated"])

    @property
    def utilisation(self) -> float | None:
        """That of the GPU where it is known, else of the CPUs."""
        share: float | None = self.facts.get("gpu_utilisation", self.facts.get("cpu_utilisation"))
        return share

    @property
    def kinds_j(self) -> dict[str, float]:
        """Joules of a call by kind of device: `cpu`, `dram`, `gpu`."""
        kinds: dict[str, float] = {}
        for name, joules in self.figures.items():
            group, _, domain = name.partition(".")
            if group == "by_domain":
                kind = domain.partition(":")[0]
                kinds[kind] = kinds.get(kind, 0.0) + joules
        return kinds

    def energy(self, joules: float) -> str:
        """Joules of this measurement in words, marked where they are estimated."""
        return "~" * self.estimated + format_energy(joules)

    @property
    def power(self) -> str:
        """Its mean power in words, marked likewise."""
        return "~" * self.estimated + format_power(self.figures["watts"])


def by_setting(rows: Sequence[Row]) -> dict[str, list[Point]]:
    """Points of the same phase, precision and optimiser, by these in words."""
    settings: dict[str, list[Point]] = {}
    for row in rows:
        figures = row.measurements.get("call", {})
        if row.test in PHASES and "per_unit.sample" in figures:
            chosen = (row.facts.get(axis) for axis in ("precision", "optimiser"))
            setting = ", ".join([PHASES[row.test], *filter(None, chosen)])
            settings.setdefault(setting, []).append(Point(row.facts, figures))
    return settings
