"""Counters that stand still while this process works."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source
from pytest_greenops.sensors.base import DeviceSensor, Finding, Sensor
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.rapl import powercap
from pytest_greenops.sensors.standstill import PATIENCE_S, checked
from pytest_greenops.testing import FakeSensor

CPU, OTHER_CPU = Domain("cpu:0", "cpu"), Domain("cpu:1", "cpu")
DRAM, PSYS = Domain("dram:0", "dram"), Domain("psys", "psys", counted=False)
#: Counts by the time since the sensor was opened.
Count = Callable[[float], int | None]


def moving(at_s: float) -> int:
    """A counter of 50 W that moves every millisecond."""
    return int(at_s * 1000) * 50_000


def still(at_s: float) -> int:
    """One that does not move."""
    return 7


class Live:
    """A sensor whose counts follow the clock."""

    name = "powercap"
    source: Source = "sensed"
    method = "counted by a test"
    update_period_s = 0.001
    doubts: Mapping[str, str] = {}

    def __init__(self, counts: Mapping[Domain, Count]) -> None:
        self.domains = tuple(counts)
        self.closed = False
        self._counts = tuple(counts.values())
        self._opened_s = time.monotonic()

    def read(self) -> Reading:
        """The counts now."""
        at_s = time.monotonic() - self._opened_s
        return Reading(time.monotonic_ns(), [count(at_s) for count in self._counts])

    def states(self) -> dict[str, DeviceState]:
        """Each of its devices has a state."""
        return {domain.name: DeviceState(throttle_count=3) for domain in self.domains}

    def close(self) -> None:
        """Remembers it."""
        self.closed = True


def names(sensor: Sensor) -> list[str]:
    """Its domains."""
    return [domain.name for domain in sensor.domains]


def test_counters_that_move_are_left_alone() -> None:
    """The sensor is the one that was opened, a counter that only moves now and then included."""

    def seldom(at_s: float) -> int:
        return int(at_s / (PATIENCE_S / 3))

    sensor = Live({CPU: moving, PSYS: seldom})
    assert checked(sensor) is sensor
    assert not sensor.closed


@pytest.mark.parametrize("other", [moving, still])
def test_a_processor_that_stands_still_is_no_sensor(other: Count) -> None:
    """One of two is as bad as both: a total without it would be too small."""
    sensor = Live({CPU: other, OTHER_CPU: still})
    with pytest.raises(SensorUnavailable) as raised:
        checked(sensor)
    which = "cpu:1" if other is moving else "cpu:0, cpu:1"
    assert raised.value.reason == (
        f"its counters stand still: {which} did not move in 300 ms of work"
    )
    assert raised.value.remedy == "measure on the host itself, or on a bare-metal machine"
    assert (sensor.closed, raised.value.absent) == (True, False)


def test_what_stands_still_beside_the_processor_is_left_out() -> None:
    """Memory and board are dropped with a note; the rest is as it was."""
    sensor = Live({CPU: moving, DRAM: still, PSYS: still})
    left = checked(sensor)
    note = "dram:0, psys did not move in 300 ms of work: not measured"
    assert (names(left), getattr(left, "notes", ())) == (["cpu:0"], (note,))
    assert left.method == f"counted by a test; {note}"
    assert (left.name, left.source, left.update_period_s) == ("powercap", "sensed", 0.001)
    assert len(left.read().energy_uj) == 1
    left.close()
    assert sensor.closed


def test_what_is_left_tells_the_state_of_its_own_devices() -> None:
    """As the whole sensor would."""
    left = checked(Live({CPU: moving, DRAM: still}))
    assert isinstance(left, DeviceSensor)
    assert (left.states(), left.doubts) == ({"cpu:0": DeviceState(throttle_count=3)}, {})


def test_what_cannot_be_read_does_not_stand_still() -> None:
    """Its windows will tell."""
    sensor = Live({CPU: lambda at_s: None, DRAM: lambda at_s: 7 if at_s < 0.01 else None})
    assert checked(sensor) is sensor


def test_a_sensor_with_a_clock_of_its_own_is_left_alone() -> None:
    """It counts by that, not by ours."""
    sensor = FakeSensor(CPU)
    assert checked(sensor) is sensor


def found(monkeypatch: pytest.MonkeyPatch, sensor: Live) -> tuple[dict[str, str], list[Finding]]:
    """What a run reads on a machine whose powercap tree has these counters, and what was found."""
    monkeypatch.setattr(powercap, "open_sensor", lambda: sensor)
    instruments, findings = discover(["auto"])
    instruments.close()
    return instruments.sensor_of, findings


def test_auto_estimates_where_powercap_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the reason is among the findings, for the header of the run."""
    sensors, findings = found(monkeypatch, Live({CPU: still, DRAM: moving}))
    assert (sensors["cpu:0"], sensors["dram:0"]) == ("estimate", "estimate")
    problem = findings[0].problem
    assert problem is not None
    assert problem.reason.startswith("its counters stand still: cpu:0 did not move")


def test_auto_keeps_powercap_without_memory_that_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The CPU stays sensed; its memory is neither counted nor estimated beside it."""
    sensors, _ = found(monkeypatch, Live({CPU: moving, DRAM: still}))
    assert sensors.get("cpu:0") == "powercap"
    assert "dram:0" not in sensors
