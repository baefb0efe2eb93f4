"""Tables of anomaly detection: joules by phase, and the Pareto front of quality and joules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.anomaly.models import FOLDS, PHASES, TEST_SAMPLES, TRAIN_SAMPLES
from benchmarks.tables import NOTHING, Figures, Row, Table, energy_cell, estimated_note
from pytest_greenops.model.pareto import Point, front

_JOULES = (
    f"Joules of one call: training on {TRAIN_SAMPLES:,} samples, cross-validation with {FOLDS} "
    f"folds of them, inference on {TEST_SAMPLES:,} samples. F1 and MCC: on another recording."
)
_FRONT = (
    "F1: on another recording; in cross-validation the mean over the held-out blocks. Dominated: "
    "another model is no worse in F1 and joules, and better in one of them."
)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the joules of all models by phase, then the Pareto front of each phase."""
    estimated = estimated_note(map(_figures, rows))
    yield _joules(rows, _JOULES + estimated)
    for phase in PHASES:
        if of_phase := [row for row in rows if row.facts["phase"] == phase]:
            yield _front(phase, of_phase, _FRONT + estimated)


def _joules(rows: Sequence[Row], note: str) -> Table:
    known = {(row.facts["model"], row.facts["phase"]): row for row in rows}
    models = dict.fromkeys(row.facts["model"] for row in rows)
    return Table(
        "Anomaly detection: joules by phase",
        ("Model", "training", "cross-val.", "inference", "F1", "MCC"),
        [
            (
                _words(model),
                *(_energy(known.get((model, phase))) for phase in PHASES),
                *(_quality(known, model, metric) for metric in ("f1", "mcc")),
            )
            for model in models
        ],
        note,
    )


def _front(phase: str, rows: Sequence[Row], note: str) -> Table:
    """Return the models on the front first, each group by joules."""
    energy = {row.facts["model"]: _energy(row) for row in rows}
    found = front(
        Point(row.facts["model"], _figures(row)["quality.f1"], _figures(row)["joules"])
        for row in rows
    )
    listed = [(point, NOTHING) for point in found.best]
    listed += [(each.point, _names(each.by)) for each in found.dominated]
    return Table(
        f"Anomaly detection: quality and joules of {_words(phase)}",
        ("Model", "F1", "Energy", "Dominated by"),
        [
            (_words(point.name), f"{point.quality:.3f}", energy[point.name], by)
            for point, by in listed
        ],
        note,
    )


def _names(points: Sequence[Point]) -> str:
    """Return the name of the first, and the number of the others."""
    first, *others = points
    return _words(first.name) + (f" and {len(others)} more" if others else "")


def _figures(row: Row) -> Figures:
    return row.measurements[row.facts["phase"]]


def _quality(known: dict[tuple[str, str], Row], model: str, metric: str) -> str:
    """Return the quality on the other recording, from any phase that predicted it."""
    for phase in ("training", "inference"):
        if row := known.get((model, phase)):
            return f"{_figures(row)[f'quality.{metric}']:.3f}"
    return NOTHING


def _energy(row: Row | None) -> str:
    return energy_cell(_figures(row)["joules"], _figures(row).get("estimated")) if row else NOTHING


def _words(name: str) -> str:
    return name.replace("_", " ")
