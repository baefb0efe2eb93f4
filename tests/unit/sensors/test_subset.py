"""Some domains of a sensor: without counters that do not move while this process works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.sensors.base import DeviceSensor, EdgeSensor, Finding
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.rapl import powercap
from pytest_greenops.sensors.subset import PATIENCE_S, narrowed, without_stuck_counters
from pytest_greenops.testing import FakeSensor
from tests.simulated_host.simulated_clock import SimulatedClock

CPU, OTHER_CPU = Domain("cpu:0", "cpu"), Domain("cpu:1", "cpu")
DRAM, PSYS = Domain("dram:0", "dram"), Domain("psys", "psys", counted=False)
#: A count by the time since the sensor was opened.
Count = Callable[[float], int | None]


def moving(at_s: float) -> int:
    """A counter of 50 W that moves every millisecond."""
    return int(at_s * 1000) * 50_000


def stuck(at_s: float) -> int:
    """A counter that does not move."""
    return 7


class Live:
    """A sensor whose counts follow a clock."""

    name = "powercap"
    source: Source = "sensed"
    method = "counted by a test"
    update_period_s = 0.001
    doubts: Mapping[str, str] = {}

    def __init__(self, clock: SimulatedClock, counts: Mapping[Domain, Count]) -> None:
        self.domains = tuple(counts)
        self.closed = False
        self._clock = clock
        self._counts = tuple(counts.values())
        self._opened_s = clock.now_s()

    def read(self) -> Reading:
        """Return the counts now."""
        at_s = self._clock.now_s() - self._opened_s
        return Reading(self._clock.now_ns(), [count(at_s) for count in self._counts])

    def states(self) -> dict[str, DeviceState]:
        """Return a state of each device."""
        return {domain.name: DeviceState(throttle_count=3) for domain in self.domains}

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def clock(tmp_path: Path) -> SimulatedClock:
    """A clock on which reading a counter takes as long as from a file."""
    return SimulatedClock(tmp_path / "clock", read_cost_ns=20_000)


def test_a_sensor_whose_counters_move_is_returned(clock: SimulatedClock) -> None:
    """A counter that moves only now and then is not stuck, nor is one that cannot be read."""

    def seldom(at_s: float) -> int:
        return int(at_s / (PATIENCE_S / 3))

    sensor = Live(
        clock,
        {
            CPU: moving,
            PSYS: seldom,
            OTHER_CPU: lambda at_s: None,
            DRAM: lambda at_s: 7 if at_s < 0.01 else None,
        },
    )
    assert without_stuck_counters(sensor, clock) is sensor
    assert not sensor.closed


@pytest.mark.parametrize(("other", "which"), [(moving, "cpu:1"), (stuck, "cpu:0, cpu:1")])
def test_a_sensor_with_a_stuck_cpu_counter_is_refused(
    clock: SimulatedClock, other: Count, which: str
) -> None:
    """A total without one of two CPUs would be too small."""
    sensor = Live(clock, {CPU: other, OTHER_CPU: stuck})
    with pytest.raises(SensorUnavailable) as raised:
        without_stuck_counters(sensor, clock)
    assert raised.value.reason == f"its counters are stuck: {which} did not move in 300 ms of work"
    assert raised.value.remedy == "measure on the host itself, or on a bare-metal machine"
    assert (sensor.closed, raised.value.absent) == (True, False)


def test_other_stuck_counters_are_left_out(clock: SimulatedClock) -> None:
    """Memory and board are dropped with a note; the rest is as it was."""
    sensor = Live(clock, {CPU: moving, DRAM: stuck, PSYS: stuck})
    left = without_stuck_counters(sensor, clock)
    note = "dram:0, psys did not move in 300 ms of work: not measured"
    assert [domain.name for domain in left.domains] == ["cpu:0"]
    assert getattr(left, "notes", ()) == (note,)
    assert left.method == f"counted by a test; {note}"
    assert (left.name, left.source, left.update_period_s) == ("powercap", "sensed", 0.001)
    assert len(left.read().energy_uj) == 1
    assert isinstance(left, DeviceSensor)
    assert left.states() == {"cpu:0": DeviceState(throttle_count=3)}
    assert getattr(left, "doubts", None) == {}
    left.close()
    assert sensor.closed


class Edged(Live):
    """A sensor of cards, which makes edges of its own and states errors."""

    named = ""
    phase_period_s = 0.1
    notes = ("sampled",)
    left_out: Mapping[str, SensorUnavailable] = {"psys": SensorUnavailable("locked")}

    def _exact(self, time_ns: int) -> Reading:
        count = len(self.domains)
        power = {domain.name: PowerCurve((1.0,), (50.0,)) for domain in self.domains}
        return Reading(time_ns, range(count), range(10, 10 + count), {"gpu:0": "lost"}, power)

    def begin(self, phase_s: float) -> Reading:
        """Return the counts at a time that shows the phase."""
        return self._exact(round(phase_s * 10))

    def end(self) -> Reading:
        """Return the counts at another time."""
        return self._exact(7)

    def resting(self) -> set[str]:
        """Return two of the devices."""
        return {"cpu:0", "dram:0"}


def test_a_narrowed_sensor_states_what_the_whole_one_does(clock: SimulatedClock) -> None:
    """Errors, power, edges, notes, resting devices and the judged domain are of its domains."""
    whole = Edged(clock, {CPU: moving, DRAM: moving, PSYS: moving})
    whole.doubts = {"cpu:0": "off", "dram:0": "off by more"}
    part = narrowed(whole, [DRAM, PSYS], ["no cpu"])
    instruments = Instruments([part], clock)
    assert isinstance(part, EdgeSensor)
    power = {name: PowerCurve((1.0,), (50.0,)) for name in ("dram:0", "psys")}
    assert part.begin(0.3) == Reading(3, [1, 2], [11, 12], power=power)
    assert part.end() == Reading(7, [1, 2], [11, 12], power=power)
    assert (instruments.phase_period_s, instruments.resting()) == (0.1, {"dram:0"})
    assert instruments.doubts == {"dram:0": "off by more"}
    assert (part.notes, part.left_out) == (("sampled", "no cpu"), whole.left_out)
    instruments.judge_by("dram:0")
    assert whole.named == part.named == "dram:0"


def test_a_plain_sensor_stays_plain_when_it_is_narrowed(clock: SimulatedClock) -> None:
    """It makes no edges, and knows of no device at rest."""
    part = narrowed(Live(clock, {CPU: moving, DRAM: moving}), [CPU])
    assert not isinstance(part, EdgeSensor)
    assert (part.resting(), part.named) == (set(), "")


def test_a_sensor_with_a_clock_of_its_own_is_left_alone(clock: SimulatedClock) -> None:
    """A fake does not count while this process waits."""
    sensor = FakeSensor(CPU)
    assert without_stuck_counters(sensor, clock) is sensor


@pytest.mark.parametrize(
    ("cpu", "dram", "sensors"),
    [
        (stuck, moving, {"cpu:0": "estimate", "dram:0": "estimate"}),
        (moving, stuck, {"cpu:0": "powercap"}),
    ],
)
def test_auto_estimates_only_if_the_cpu_counter_is_stuck(
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
    cpu: Count,
    dram: Count,
    sensors: dict[str, str],
) -> None:
    """Memory that is stuck is neither counted nor estimated; the findings have the reason."""
    live = Live(clock, {CPU: cpu, DRAM: dram})
    monkeypatch.setattr(powercap, "open_sensor", lambda clock: live)
    instruments, findings = discover(["auto"], clock=clock)
    instruments.close()
    found = {name: instruments.sensor_of.get(name) for name in ("cpu:0", "dram:0")}
    assert {name: sensor for name, sensor in found.items() if sensor} == sensors
    assert _reason(findings[0]).startswith("its counters are stuck: cpu:0" if cpu is stuck else "")


def _reason(finding: Finding) -> str:
    return finding.problem.reason if finding.problem else ""
