"""What the models took and found: joules by phase, and the front of quality and joules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.anomaly.phases import FOLDS, PHASES, PREDICTED, TRAINED
from benchmarks.tables import Row, Table
from pytest_greenops.model.pareto import Point, front
from pytest_greenops.model.units import format_energy

_JOULES = (
    f"Joules of one call: {TRAINED:,} samples learnt, {FOLDS} times four fifths of them in "
    f"cross-validation, {PREDICTED:,} samples told apart in inference. F1: of another recording."
)
_FRONT = (
    "F1: of another recording; in cross-validation the mean over the blocks that were left out. "
    "Dominated: another is no worse in both F1 and joules, and better in one."
)
_ESTIMATED = " ~: estimated, not sensed."


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Joules of models by phase, then for each phase who is on the Pareto front."""
    marked = _ESTIMATED if any(_figures(row).get("estimated") for row in rows) else ""
    by_phase = {phase: [row for row in rows if row.facts["phase"] == phase] for phase in PHASES}
    yield _joules(rows, _JOULES + marked)
    for phase, of_phase in by_phase.items():
        if of_phase:
            yield _front(phase, of_phase, _FRONT + marked)


def _joules(rows: Sequence[Row], note: str) -> Table:
    known = {(row.facts["model"], row.facts["phase"]): row for row in rows}
    models = dict.fromkeys(row.facts["model"] for row in rows)
    return Table(
        "Anomaly detection: joules by phase",
        ("Model", "training", "cross-val.", "inference", "F1", "MCC"),
        [
            (
                _shown(model),
                *(_told(known.get((model, phase))) for phase in PHASES),
                *(_quality(known, model, metric) for metric in ("f1", "mcc")),
            )
            for model in models
        ],
        note,
    )


def _front(phase: str, rows: Sequence[Row], note: str) -> Table:
    """Those on the front first, each by its joules."""
    told = {row.facts["model"]: _told(row) for row in rows}
    found = front(
        Point(row.facts["model"], _figures(row)["quality.f1"], _figures(row)["joules"])
        for row in rows
    )
    listed = [(point, "–") for point in found.best]
    listed += [(each.point, _names(each.by)) for each in found.dominated]
    return Table(
        f"Anomaly detection: quality and joules of {_shown(phase)}",
        ("Model", "F1", "Energy", "Dominated by"),
        [
            (_shown(point.name), f"{point.quality:.3f}", told[point.name], by)
            for point, by in listed
        ],
        note,
    )


def _names(points: Sequence[Point]) -> str:
    """The cheapest by name; of the others how many there are."""
    cheapest, *others = points
    return _shown(cheapest.name) + (f" and {len(others)} more" if others else "")


def _figures(row: Row) -> Any:
    return row.measurements[row.facts["phase"]]


def _quality(known: dict[tuple[str, str], Row], model: str, metric: str) -> str:
    """That on the held-out recording, from whichever phase looked at it."""
    for phase in ("training", "inference"):
        if row := known.get((model, phase)):
            return f"{_figures(row)[f'quality.{metric}']:.3f}"
    return "–"


def _told(row: Row | None) -> str:
    if row is None:
        return "–"
    figures = _figures(row)
    return "~" * bool(figures.get("estimated")) + format_energy(figures["joules"])


def _shown(name: str) -> str:
    return name.replace("_", " ")
