"""What the sensors of a run have in common: drivers of GPUs, and edges of their own."""

from __future__ import annotations

from collections.abc import Mapping

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


def test_what_sensors_say_of_their_counters() -> None:
    """Which are estimated, and which contradict their own power, is known by domain."""

    class Doubtful(FakeSensor):
        doubts: Mapping[str, str] = {"gpu:0": "gpu:0 counts 15 % less than its power"}

    sensors = [FakeSensor(CPU, DRAM, source="estimated"), Doubtful(GPU), FakeSensor(PSYS)]
    instruments = Instruments(sensors)
    assert instruments.estimated == ("cpu:0", "dram:0")
    assert instruments.doubts == Doubtful.doubts


def test_the_judged_domain_is_known_to_sensors_that_have_to_know_it() -> None:
    """And to those who ask the instruments; other sensors get no new attribute."""

    class Namable(FakeSensor):
        named = ""

    plain, namable = FakeSensor(CPU), Namable(GPU)
    instruments = Instruments([plain, namable])
    assert instruments.judged == "total"
    instruments.judge_by("gpu:0")
    assert (instruments.judged, namable.named) == ("gpu:0", "gpu:0")
    assert not hasattr(plain, "named")


@pytest.mark.parametrize(("period_s", "error_uj"), [(0.0, {}), (0.1, {"cpu:0": 156_000.0})])
def test_the_error_of_a_counter_that_states_none(
    period_s: float, error_uj: dict[str, float]
) -> None:
    """It may be late by an update at both edges; a counter that always moves has no error."""
    sensor = FakeSensor(CPU, update_period_s=period_s)
    instruments = Instruments([sensor])
    before = instruments.begin()
    sensor.spend(2.0, seconds=1.0)
    window = instruments.window(before, instruments.end())
    assert window.error_uj == pytest.approx(error_uj)
