"""What the ten tasks took: energy of 1,000 inferences, and that of loading the model beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.tables import Row, Table
from benchmarks.tasks.sizes import SIZES
from pytest_greenops.model.units import JOULES, format_energy

Figures = Mapping[str, Any]

THOUSAND = 1000
_NOTE = (
    "One input at a time; loading, once for each model, is in no figure of an inference, and "
    "neither is warm-up. Loaded are files that the system has in memory already. Power Hungry "
    "Processing (arXiv 2311.16863) found text classification cheapest and image generation "
    "dearest, of published models on a GPU."
)
_MADE_HERE = (
    " Models here are of the size `{size}`, with random weights, and none is a diffusion model: "
    "compare tasks, not joules."
)
_ESTIMATED = " ~: estimated, not sensed."


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Energy by task, cheapest first, and what ran: for each size."""
    for size in dict.fromkeys(row.facts["size"] for row in rows):
        of_size = [row for row in rows if row.facts["size"] == size]
        inferences = sorted(filter(_is_inference, of_size), key=_joules)
        if inferences:
            yield _energy(size, inferences, _loads(of_size))
            yield _models(size, inferences)


def kwh_of_a_thousand(joules: float) -> str:
    """`8.3` joules of an inference -> `'0.0023'` kWh of a thousand."""
    return f"{joules * THOUSAND / JOULES['kWh']:#.2g}"


def _energy(size: str, inferences: Sequence[Row], loads: Mapping[str, Figures]) -> Table:
    cheapest = _joules(inferences[0])
    figures = [row.measurements["call"] for row in inferences]
    estimated = any(each.get("estimated") for each in (*figures, *loads.values()))
    return Table(
        f"Ten tasks, {size}: energy of 1,000 inferences",
        ("Task", "J/inference", "kWh/1,000", "Ratio", "Loading"),
        [
            (
                _task(row),
                _told(_joules(row), row.measurements["call"]),
                kwh_of_a_thousand(_joules(row)),
                f"{_joules(row) / cheapest:.1f}",
                _load(loads.get(_task(row))),
            )
            for row in inferences
        ],
        _NOTE + _MADE_HERE.format(size=size) * (size in SIZES) + _ESTIMATED * estimated,
    )


def _models(size: str, inferences: Sequence[Row]) -> Table:
    return Table(
        f"Ten tasks, {size}: what ran",
        ("Task", "Model", "Parameters"),
        [(_task(row), row.facts["model"], f"{row.facts['parameters']:,}") for row in inferences],
    )


def _loads(rows: Sequence[Row]) -> dict[str, Figures]:
    return {_task(row): row.measurements["load"] for row in rows if "load" in row.measurements}


def _is_inference(row: Row) -> bool:
    return "per_unit.inference" in row.measurements.get("call", {})


def _joules(row: Row) -> float:
    return float(row.measurements["call"]["per_unit.inference"])


def _load(figures: Figures | None) -> str:
    return "–" if figures is None else _told(figures["joules"], figures)


def _told(joules: float, figures: Figures) -> str:
    return "~" * bool(figures.get("estimated")) + format_energy(joules)


def _task(row: Row) -> str:
    return str(row.facts["task"]).replace("_", " ")
