"""Anomaly detection: data, models, phases and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

pytest.importorskip("sklearn")

import numpy as np

from benchmarks.anomaly.models import MODELS, PHASES
from benchmarks.anomaly.plant import CHANCE_F1, CHANNELS, FAULT_SHARE, recording
from benchmarks.anomaly.report import tables
from benchmarks.tables import Row, Table

SAMPLES = 2000


def test_a_recording_is_reproducible() -> None:
    """A seed gives the same readings and faults again, another seed gives others."""
    one, same, other = recording(SAMPLES, 1), recording(SAMPLES, 1), recording(SAMPLES, 2)
    assert np.array_equal(one.readings, same.readings)
    assert np.array_equal(one.faulty, same.faulty)
    assert not np.array_equal(one.readings, other.readings)
    assert not np.array_equal(one.faulty, other.faulty)


def test_a_recording_has_the_documented_share_of_faults() -> None:
    """Exactly one minute in twenty is faulty, and all channels are finite."""
    made = recording(SAMPLES, 1)
    assert (SAMPLES, len(CHANNELS)) == made.readings.shape
    assert FAULT_SHARE * SAMPLES == made.faulty.sum()
    assert np.isfinite(made.readings).all()


def test_many_faults_stay_in_the_normal_range() -> None:
    """Limits on single channels would miss at least a third of the faulty minutes."""
    readings, faulty = recording(SAMPLES, 1)
    good, bad = readings[faulty == 0], readings[faulty == 1]
    inside = ((bad >= good.min(axis=0)) & (bad <= good.max(axis=0))).all(axis=1)
    assert 1 / 3 < inside.mean() < 2 / 3


def test_channels_follow_one_load() -> None:
    """In normal minutes current rises with the load, and speed falls with it."""
    readings, faulty = recording(SAMPLES, 1)
    correlations = np.corrcoef(readings[faulty == 0].T)
    load = CHANNELS.index("load")
    assert correlations[load, CHANNELS.index("current")] > 0.9
    assert correlations[load, CHANNELS.index("speed")] < -0.9


@pytest.mark.parametrize("model", MODELS)
def test_every_model_beats_chance(model: str) -> None:
    """A model detects the faults of an unseen recording better than by chance."""
    measured: list[object] = []
    quality = PHASES["training"].run(
        lambda function, *args: measured.append(function(*args)),
        MODELS[model](),
        recording(SAMPLES, 1),
        recording(SAMPLES // 2, 2),
    )
    assert 1 == len(measured)
    assert quality["f1"] > 2 * CHANCE_F1
    assert quality["mcc"] > 0.2


def test_phases_measure_their_work() -> None:
    """Training fits once, cross-validation five times, and inference only predicts."""
    fitted: list[int] = []

    class Counted(type(MODELS["decision_tree"]())):
        def fit(self, readings: object, faulty: object) -> object:
            fitted.append(len(readings))
            return super().fit(readings, faulty)

    windows: dict[str, list[int]] = {}
    for name, phase in PHASES.items():

        def measure(function: object, *args: object, name: str = name) -> None:
            fitted.clear()
            function(*args)
            windows[name] = list(fitted)

        phase.run(measure, Counted(random_state=0), recording(1000, 1), recording(500, 2))

    assert {"training": [1000], "cross_validation": [800] * 5, "inference": []} == windows


def test_dominated_models_are_reported() -> None:
    """A model with worse quality and more joules than another is not on the front."""
    made = list(
        tables([_row("tree", 0.95, 10.0), _row("forest", 0.94, 5.0), _row("net", 0.93, 8.0)])
    )
    assert ["Anomaly detection: joules by phase", _TITLE] == [table.title for table in made]
    assert [
        ("forest", "0.940", "5.00 J", "–"),
        ("tree", "0.950", "10.0 J", "–"),
        ("net", "0.930", "8.00 J", "forest"),
    ] == _rows(made, _TITLE)


def test_joules_by_model_and_phase() -> None:
    """Each phase has its own column, and an unmeasured phase has a dash."""
    rows = [
        _row("decision_tree", 0.9, 2.0),
        _row("decision_tree", 0.9, 0.001, "inference", estimated=True),
    ]
    made = list(tables(rows))
    assert [("decision tree", "2.00 J", "–", "~1.00 mJ", "0.900", "0.800")] == _rows(
        made, "Anomaly detection: joules by phase"
    )
    assert all(table.note.endswith("~: estimated, not sensed.") for table in made)


def test_tables_fit_a_terminal() -> None:
    """Tables of all models are at most 79 columns wide."""
    rows = [_row(model, 0.5, i + 0.123) for i, model in enumerate(MODELS)]
    lines = [line for table in tables(rows) for line in table.markdown() if line.startswith("|")]
    assert max(map(len, lines)) <= 79


_TITLE = "Anomaly detection: quality and joules of training"


def _row(
    model: str, f1: float, joules: float, phase: str = "training", estimated: bool = False
) -> Row:
    figures: Mapping[str, object] = {
        "joules": joules,
        "estimated": estimated,
        "quality.f1": f1,
        "quality.mcc": 0.8,
    }
    return Row("test_faults_are_found", {"model": model, "phase": phase}, {phase: figures})


def _rows(made: Sequence[Table], title: str) -> list[tuple[str, ...]]:
    table = next(table for table in made if table.title == title)
    return [tuple(row) for row in table.rows]
