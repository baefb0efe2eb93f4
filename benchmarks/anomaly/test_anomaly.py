"""Faults of a made machine, found by classical models: joules of each phase, and quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from benchmarks.anomaly.models import MODELS, Model
from benchmarks.anomaly.phases import PHASES, PREDICTED, TRAINED, Phase
from benchmarks.anomaly.plant import CHANCE_F1, recording
from benchmarks.axes import Axis

if TYPE_CHECKING:
    from pytest_greenops.fixture import Energy

pytestmark = [
    Axis("phase", PHASES, slice=tuple(PHASES)).mark,
    Axis("model", MODELS, slice=("decision_tree", "random_forest", "logistic_regression")).mark,
    pytest.mark.energy_budget(max_increase="5%"),
]


def test_faults_are_found(energy: Energy, model: Callable[[], Model], phase: Phase) -> None:
    """A phase of a model that finds faults better than by guessing."""
    taught, held_out = recording(TRAINED, seed=1), recording(PREDICTED, seed=2)

    energy.units(sample=phase.samples)
    quality = phase.run(energy, model(), taught, held_out)
    energy.quality(**quality)

    assert quality["f1"] > CHANCE_F1
