"""Measurements of one architecture in one setting, and correlations over the architectures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

from benchmarks.tables import Figures, Row, energy_cell

PHASES = {"test_inference": "Inference", "test_training_step": "Training step"}
#: Fewest points for a correlation: two points are always on a line.
MIN_POINTS = 3
#: Up to this many points all orders are tried; beyond that, p is approximated.
_EXACT_POINTS = 8
_ROUNDING = 1e-9


class Point(NamedTuple):
    """One architecture in one setting: facts, and figures of the call."""

    facts: Mapping[str, Any]
    figures: Figures

    @property
    def name(self) -> tuple[str, str]:
        """Return the cells with architecture and batch size."""
        return self.facts["architecture"], self.facts["batch"]

    @property
    def sample_j(self) -> float:
        """Return the joules of one image."""
        return float(self.figures["per_unit.sample"])

    @property
    def sample_s(self) -> float:
        """Return the seconds of one image."""
        return float(self.figures["seconds"] * self.sample_j / self.figures["joules"])

    @property
    def estimated(self) -> bool:
        """Return whether its joules are estimated, not sensed."""
        return bool(self.figures["estimated"])

    @property
    def utilisation(self) -> float | None:
        """Return the utilisation of the GPU if known, else of the CPUs."""
        share: float | None = self.facts.get("gpu_utilisation", self.facts.get("cpu_utilisation"))
        return share

    @property
    def kinds_j(self) -> dict[str, float]:
        """Return the joules of a call by kind of device: `cpu`, `dram`, `gpu`."""
        kinds: dict[str, float] = {}
        for name, joules in self.figures.items():
            group, _, domain = name.partition(".")
            if group == "by_domain":
                kind = domain.partition(":")[0]
                kinds[kind] = kinds.get(kind, 0.0) + joules
        return kinds

    def energy(self, joules: float | None) -> str:
        """Return a cell with joules of this measurement."""
        return energy_cell(joules, self.estimated)


def by_setting(rows: Sequence[Row]) -> dict[str, list[Point]]:
    """Group measurements by phase, precision and optimiser."""
    settings: dict[str, list[Point]] = {}
    for row in rows:
        figures = row.measurements.get("call", {})
        if row.test in PHASES and "per_unit.sample" in figures:
            chosen = (row.facts.get(axis) for axis in ("precision", "optimiser"))
            setting = ", ".join([PHASES[row.test], *filter(None, chosen)])
            settings.setdefault(setting, []).append(Point(row.facts, figures))
    return settings


class Correlation(NamedTuple):
    """Pearson's and Spearman's coefficients of `n` points, with two-sided p-values.

    Pearson's p assumes normally distributed figures. Spearman's p is exact for up to eight points,
    and approximated by Student's t beyond.
    """

    n: int
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def correlation(xs: Sequence[float], ys: Sequence[float]) -> Correlation | None:
    """Correlate; return None for fewer than three points, or where either is constant."""
    from scipy.stats import pearsonr, spearmanr

    if len(xs) < MIN_POINTS or len(set(xs)) == 1 or len(set(ys)) == 1:
        return None
    pearson, spearman = pearsonr(xs, ys), spearmanr(xs, ys)
    spearman_p = _exact_p(xs, ys) if len(xs) <= _EXACT_POINTS else spearman.pvalue
    found = (pearson.statistic, pearson.pvalue, spearman.statistic, spearman_p)
    return Correlation(len(xs), *map(float, found)) if all(map(math.isfinite, found)) else None


def _exact_p(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the share of all orders of `ys` with at least this rank correlation."""
    import numpy as np
    from scipy.stats import rankdata

    x, y = (ranks - ranks.mean() for ranks in (rankdata(xs), rankdata(ys)))
    products: Any = np.abs(np.array(list(permutations(y))) @ x)
    return float(np.mean(products >= abs(x @ y) - _ROUNDING))
