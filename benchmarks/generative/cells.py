"""Cells of this room's tables, and what its notes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_greenops.model.units import format_duration, format_energy, format_percent

Figures = Mapping[str, Any]

NOTHING = "-"
_ESTIMATED = " `~`: estimated, no counter was read."


def energy(energy_j: float | None, estimated: bool) -> str:
    """`0.0312` -> `'~31.2 mJ'` where it is estimated."""
    return NOTHING if energy_j is None else "~" * estimated + format_energy(energy_j)


def share(share_of_one: float | None) -> str:
    """`0.123` -> `'12 %'`."""
    return NOTHING if share_of_one is None else format_percent(share_of_one, signed=False)


def duration(duration_s: float) -> str:
    """`0.0125` -> `'12.5 ms'`."""
    return format_duration(duration_s)


def times(ratio: float) -> str:
    """`2.345` -> `'2.35 x'`."""
    return f"{ratio:.3g} x"


def is_estimated(figures: Figures) -> bool:
    """Whether any of a measurement's joules are estimated, not sensed."""
    return bool(figures.get("estimated"))


def note_of_estimates(measurements: Iterable[Figures]) -> str:
    """What a note says where any of them is estimated."""
    return _ESTIMATED if any(map(is_estimated, measurements)) else ""
