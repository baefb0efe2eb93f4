"""The phases of a model's life: what each of them does, and how well its model does afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import cross_validate

from benchmarks.anomaly.models import Model
from benchmarks.anomaly.plant import Labels, Readings, Recording

#: Calls what it is given, measured.
Measured: TypeAlias = Callable[..., object]
Quality: TypeAlias = dict[str, float]

FOLDS = 5
TRAINED, PREDICTED = 2000, 1000


@dataclass(frozen=True)
class Phase:
    """One phase: its name, the samples that one call of it takes, what it does with a model.

    run  does the work through what measures it, and returns the quality on held-out data
    """

    name: str
    samples: int
    run: Callable[[Measured, Model, Recording, Recording], Quality]


def train(energy: Measured, model: Model, taught: Recording, held_out: Recording) -> Quality:
    """Learn from one recording; the quality is that on another."""
    energy(model.fit, taught.readings, taught.faulty)
    return _quality(model, held_out)


def cross_validate_it(
    energy: Measured, model: Model, taught: Recording, held_out: Recording
) -> Quality:
    """Learn from all but one of five blocks of time, and look at that one: five times."""
    scores: dict[str, Labels] = {}

    def validate(readings: Readings, faulty: Labels) -> None:
        scores.update(
            cross_validate(
                model,
                readings,
                faulty,
                cv=FOLDS,
                scoring=("f1", "matthews_corrcoef"),
                error_score="raise",
            )
        )

    energy(validate, taught.readings, taught.faulty)
    return {
        "f1": float(scores["test_f1"].mean()),
        "mcc": float(scores["test_matthews_corrcoef"].mean()),
    }


def infer(energy: Measured, model: Model, taught: Recording, held_out: Recording) -> Quality:
    """Look at another recording."""
    model.fit(taught.readings, taught.faulty)
    energy(model.predict, held_out.readings)
    return _quality(model, held_out)


def _quality(model: Model, held_out: Recording) -> Quality:
    found = model.predict(held_out.readings)
    return {
        "f1": float(f1_score(held_out.faulty, found)),
        "mcc": float(matthews_corrcoef(held_out.faulty, found)),
    }


PHASES = {
    phase.name: phase
    for phase in (
        Phase("training", TRAINED, train),
        Phase("cross_validation", TRAINED, cross_validate_it),
        Phase("inference", PREDICTED, infer),
    )
}
