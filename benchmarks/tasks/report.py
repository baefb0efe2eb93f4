"""Tables of the ten tasks: energy of 1,000 inferences, and of loading the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.tables import NOTHING, Figures, Row, Table, energy_cell, estimated_note
from benchmarks.tasks.configurations import SIZES
from pytest_greenops.model.units import JOULES

THOUSAND = 1000
_NOTE = (
    "One input at a time. Inferences include neither warm-up nor loading, which happens once per "
    "model, from files in the page cache. In Power Hungry Processing (arXiv 2311.16863), with "
    "published models on a GPU, text classification used least energy and image generation most."
)
_RANDOM_WEIGHTS = (
    " These models have size `{size}` and random weights, and none is a diffusion model: compare "
    "tasks, not joules."
)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield, for each size, the energy by task in increasing order, and the models."""
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
    least_j = _joules(inferences[0])
    figures = [row.measurements["call"] for row in inferences]
    note = _NOTE + _RANDOM_WEIGHTS.format(size=size) * (size in SIZES)
    return Table(
        f"Ten tasks, {size}: energy of 1,000 inferences",
        ("Task", "J/inference", "kWh/1,000", "Ratio", "Loading"),
        [
            (
                _task(row),
                energy_cell(_joules(row), row.measurements["call"].get("estimated")),
                kwh_of_a_thousand(_joules(row)),
                f"{_joules(row) / least_j:.1f}",
                _load(loads.get(_task(row))),
            )
            for row in inferences
        ],
        note + estimated_note([*figures, *loads.values()]),
    )


def _models(size: str, inferences: Sequence[Row]) -> Table:
    return Table(
        f"Ten tasks, {size}: models",
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
    return energy_cell(figures["joules"], figures.get("estimated")) if figures else NOTHING


def _task(row: Row) -> str:
    return str(row.facts["task"]).replace("_", " ")
