"""Faults of a made machine, found by classical models: joules of each phase, and quality."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from threadpoolctl import threadpool_limits

from benchmarks.anomaly.models import MODELS, Model
from benchmarks.anomaly.phases import PHASES, PREDICTED, TRAINED, Phase
from benchmarks.anomaly.plant import CHANCE_F1, recording
from benchmarks.axes import Axis

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

pytestmark = [
    Axis("phase", PHASES, slice=tuple(PHASES)).mark,
    Axis("model", MODELS, slice=("decision_tree", "random_forest", "logistic_regression")).mark,
    pytest.mark.energy_budget(max_increase="5%"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Of small data more threads mostly wait for each other: they spin, which is joules too."""
    with threadpool_limits(1):
        yield


def test_faults_are_found(energy: Energy, model: Callable[[], Model], phase: Phase) -> None:
    """A phase of a model that finds faults better than by guessing."""
    taught, held_out = recording(TRAINED, seed=1), recording(PREDICTED, seed=2)

    energy.units(sample=phase.samples)
    # Each phase under a name of its own: they are no rivals on one Pareto front.
    quality = phase.run(energy.named(phase.name), model(), taught, held_out)
    energy.quality(**quality)

    assert quality["f1"] > CHANCE_F1
