"""Power over time in the results, of a card whose power is sampled: a simulated NVML library."""

from __future__ import annotations

import os

import pytest

from pytest_greenops.commands import results_file
from tests.integration.projects import ALONE, Project
from tests.simulated_host import nvml
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

#: The power of the card changes by itself, and is renewed every 5 ms.
POWER = tuple((0.01 * step, 100.0 + 50.0 * (step % 5)) for step in range(6000))
SAMPLED = Card(power_w=POWER, counter=False, average_s=0.0, power_tick_s=0.005, processes=(0,))
WAITS = """
    import time

    import pytest

    @pytest.mark.energy_budget(max_increase="20%")
    def test_waits(energy):
        energy.pedantic(time.sleep, args=(0.2,), rounds=3, iterations=1)
"""


@pytest.fixture
def on_a_card(project: Project) -> Project:
    """Return a project on a machine with such a card, whose library is loaded as usual."""
    library = nvml.build(project.pytester.mkdir("library"))
    for name, value in nvml.environment(library, library / "script", [SAMPLED]).items():
        if os.environ.get(name) != value:
            project.monkeypatch.setenv(name, value)
    # The loader reads its path when a process starts.
    project.monkeypatch.setenv("GREENOPS_TESTS_EXEC", "1")
    project.write("test_it.py", WAITS)
    return project


def test_document(on_a_card: Project) -> None:
    """Each round has its power over time, which counts the same joules; a baseline has none."""
    ran = on_a_card.save("--energy-sensors=nvml", *ALONE)
    found = ran.results["test_waits"]
    assert len(found.rounds) == 3
    for round_ in found.rounds:
        curve = round_.power["gpu:0"]
        assert len(curve.until_s) > 1
        assert curve.joules == pytest.approx(round_.energy_uj["gpu:0"] * 1e-6, rel=0.01)
        assert curve.until_s[-1] == pytest.approx(round_.seconds, rel=0.05)
    parts = sum(len(round_.power["gpu:0"].until_s) for round_ in found.rounds)
    assert parts <= 200
    [series] = on_a_card.baseline().measurements.values()
    assert [round_.power for round_ in series.sessions[0].rounds] == [{}] * 3
    assert results_file.read(on_a_card.path / "results.json").results == ran.document.results
