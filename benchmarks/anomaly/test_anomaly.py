"""Energy and quality of classical models that detect faults of a simulated machine, by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from threadpoolctl import threadpool_limits

from benchmarks.anomaly.models import MODELS, PHASES, TEST_SAMPLES, TRAIN_SAMPLES, Model, Phase
from benchmarks.anomaly.plant import CHANCE_F1, recording
from benchmarks.axes import Axis

if TYPE_CHECKING:
    from pytest_greenops import Energy

pytestmark = [
    Axis("phase", PHASES, slice=tuple(PHASES)).mark,
    Axis("model", MODELS, slice=("decision_tree", "random_forest", "logistic_regression")).mark,
    pytest.mark.energy_budget(max_increase="5%"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: on small data more threads spin while they wait, which uses energy."""
    with threadpool_limits(1):
        yield


def test_faults_are_found(energy: Energy, model: Callable[[], Model], phase: Phase) -> None:
    """A model detects faults better than by chance."""
    known, unseen = recording(TRAIN_SAMPLES, seed=1), recording(TEST_SAMPLES, seed=2)

    energy.units(sample=phase.samples)
    # One name per phase: phases do not compete on one Pareto front.
    quality = phase.run(energy.named(phase.name), model(), known, unseen)
    energy.quality(**quality)

    assert quality["f1"] > CHANCE_F1
