"""What the sensors of a run have in common: drivers of GPUs, and edges of their own."""

from __future__ import annotations

import pytest

from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, DRAM, GPU, PSYS


class Edged(FakeSensor):
    """A sensor that makes edges of its own."""

    phase_period_s = 0.0

    def begin(self, phase_s: float) -> Reading:
        """Return a reading."""
        return self.read()

    def end(self) -> Reading:
        """Return a reading."""
        return self.read()


@pytest.mark.parametrize(
    ("sensors", "drivers"),
    [
        ([], False),
        ([FakeSensor(CPU, DRAM), FakeSensor(PSYS)], False),
        ([FakeSensor(GPU)], True),
        ([FakeSensor(CPU), FakeSensor(DRAM, GPU)], True),
    ],
    ids=["none", "no card", "card", "card after others"],
)
def test_drivers(sensors: list[FakeSensor], drivers: bool) -> None:
    """A card among the domains of any sensor has a driver that knows this process."""
    assert Instruments(sensors).has_drivers is drivers


@pytest.mark.parametrize(
    ("sensors", "edged"),
    [
        ([], False),
        ([FakeSensor(CPU)], False),
        ([Edged(CPU)], True),
        ([FakeSensor(CPU), Edged(GPU)], True),
    ],
    ids=["none", "plain", "edged", "edged after plain"],
)
def test_edges(sensors: list[FakeSensor], edged: bool) -> None:
    """One sensor that makes edges of its own is enough for a window to wait."""
    assert Instruments(sensors).edged is edged


def test_counts_at_the_edges_alone_make_no_power_over_time() -> None:
    """A mean over the window is all that is known."""
    sensor = FakeSensor(CPU)
    instruments = Instruments([sensor])
    before = instruments.begin()
    sensor.spend(2.0)
    assert instruments.window(before, instruments.end()).power == {}
