"""The power of each counter before the first test, and where it stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.idle_power import IDLE, REST_S, measure_idle_power
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.measurement import DeviceState, Domain, LoadShare, Reading, Rest, Source
from pytest_greenops.model.run_options import Options
from pytest_greenops.run.run import Run
from pytest_greenops.sensors.base import Sensor
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, GPU, FakeClock

IDLING = LoadShare(0.0, 0.0, idle=0.99)
CLOCK = FakeClock()
#: Whether a card rests before the wait and after it, if it does not rest at both times.
WORKING = [(False, True), (True, False), (False, False)]


class Watts:
    """A sensor of one device with a constant power."""

    doubts: Mapping[str, str] = {}
    method = "counted by a test"

    def __init__(
        self,
        domain: Domain = CPU,
        watts: float = 50.0,
        period_s: float = 0.0,
        source: Source = "sensed",
        clock: Clock = CLOCK,
    ) -> None:
        self.name = domain.kind
        self.source: Source = source
        self.domains = (domain,)
        self.update_period_s = period_s
        self._watts = watts
        self._clock = clock

    def read(self) -> Reading:
        """Return the count now."""
        now_ns = self._clock.now_ns()
        return Reading(now_ns, [int(now_ns * self._watts / 1000)])

    def states(self) -> dict[str, DeviceState]:
        """Return the clock of a card."""
        clock_mhz = 600 if self.domains[0].kind == "gpu" else None
        return {self.domains[0].name: DeviceState(clock_mhz=clock_mhz)}

    def close(self) -> None:
        """Do nothing."""


class Card(Watts):
    """A card that knows whether it rests, before the wait and after it."""

    def __init__(self, *rests: bool, period_s: float = 0.0) -> None:
        super().__init__(GPU, 60.0, period_s)
        self._rests = iter(rests)

    def resting(self) -> list[str]:
        """Return the card if it rests."""
        return ["gpu:0"] * next(self._rests)


class Load:
    """A probe that reports a share, and a factory of itself that counts its calls."""

    def __init__(self, share: LoadShare = IDLING) -> None:
        self.share = share
        self.made = 0

    def __call__(self) -> Load:
        """Return itself."""
        self.made += 1
        return self

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> LoadShare:
        """Return the share."""
        return self.share


def rest_of(*sensors: Sensor, load: Load | None = None) -> Rest:
    """Return what these sensors show on the fake clock."""
    return measure_idle_power(Instruments(sensors), load or Load(), CLOCK)


def test_the_power_of_each_counter_is_measured() -> None:
    """The result has the idle share of the machine, and the clocks of the devices that have one."""
    rest = rest_of(Watts(CPU, 50.0), Card(True, True))
    assert rest.watts == pytest.approx({"cpu:0": 50.0, "gpu:0": 60.0})
    assert (rest.idle, rest.clock_mhz) == (0.99, {"gpu:0": 600})


@pytest.mark.parametrize(("idle", "known"), [(IDLE, True), (IDLE - 0.01, False)])
def test_on_a_busy_machine_nothing_is_known(idle: float, known: bool) -> None:
    """Its power is not that of a machine at rest."""
    assert (rest_of(Watts(), load=Load(LoadShare(0.0, 0.0, idle))) != Rest()) == known


@pytest.mark.parametrize(
    "sensor", [FakeSensor(CPU), Watts(CPU, 4.0, source="estimated")], ids=["fake", "estimate"]
)
def test_nothing_is_waited_for_if_no_counter_is_sensed(sensor: Sensor) -> None:
    """Estimates have no rest, and a sensor with its own clock draws nothing meanwhile."""
    load, before_ns = Load(), CLOCK.now_ns()
    assert (rest_of(sensor, load=load), load.made) == (Rest(), 0)
    assert CLOCK.now_ns() == before_ns


@pytest.mark.parametrize(
    ("rests", "known"),
    [((True, True), ["cpu:0", "gpu:0"]), *((rests, ["cpu:0"]) for rests in WORKING)],
)
def test_a_card_has_rested_before_the_wait_and_after_it(
    rests: tuple[bool, bool], known: list[str]
) -> None:
    """A card that works at one of both times may have worked in between."""
    assert list(rest_of(Watts(), Card(*rests)).watts) == known


def test_a_card_of_unknown_work_has_no_known_rest() -> None:
    """A sensor that cannot say whether its card rests may have seen it work."""
    assert list(rest_of(Watts(), Watts(GPU)).watts) == ["cpu:0"]


def test_only_sensed_powers_are_in_the_result() -> None:
    """An estimate beside a counter has no rest."""
    sensors = [Watts(CPU, 4.0, source="estimated"), Card(True, True)]
    assert list(rest_of(*sensors).watts) == ["gpu:0"]


@pytest.mark.parametrize(("period_s", "known"), [(REST_S / 8, 2), (REST_S / 7, 1)])
def test_powers_are_exact_to_a_tenth(period_s: float, known: int) -> None:
    """A counter that moves less than eight times in the rest has no known power."""
    sensors = [Card(True, True, period_s=period_s), Watts(period_s=0.001)]
    assert len(rest_of(*sensors).watts) == known


def test_a_sensor_with_a_clock_of_its_own_ends_no_run() -> None:
    """Over its time, which stands still, the power of another sensor is not known."""
    fake = FakeSensor(Domain("dram:0", "dram"))
    for sensors in ([fake, Watts()], [Watts(), fake]):
        assert rest_of(*sensors) == Rest()


def test_the_wait_for_a_counter_is_not_counted_as_load() -> None:
    """This process is busy while it waits for a tick, so the load is watched after it."""
    order = []

    class Waiting(Watts):
        phase_period_s = 0.0

        def begin(self, phase_s: float) -> Reading:
            order.append("begin")
            return self.read()

        def end(self) -> Reading:
            order.append("end")
            return self.read()

    class Watched(Load):
        def start(self) -> None:
            order.append("start")

        def stop(self) -> LoadShare:
            order.append("stop")
            return IDLING

    rest_of(Waiting(), load=Watched())
    assert order == ["begin", "start", "stop", "end"]


def test_a_run_begins_with_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result is available to every measurement."""
    monkeypatch.setattr(machine, "LoadProbe", Load())
    options = Options(sensors=("cpu",), baselines=tmp_path)
    run = Run(options, tmp_path, sensors=[Watts(clock=SYSTEM_CLOCK)])
    assert run.instruments.rest.watts == pytest.approx({"cpu:0": 50.0}, rel=0.01)
    run.close()


def test_a_run_that_cannot_begin_closes_its_sensors(tmp_path: Path) -> None:
    """A damaged baseline, like any error after the sensors were opened, leaves none open."""
    sensor = FakeSensor()
    options = Options(sensors=("fake",), baselines=tmp_path / "baselines")
    run = Run(options, tmp_path, sensors=[FakeSensor()])
    run.close()
    folder = tmp_path / "baselines" / run.environment.slug
    folder.mkdir(parents=True)
    (folder / "test_it.json").write_text("{")
    with pytest.raises(BaselineError, match="damaged"):
        Run(options, tmp_path, sensors=[sensor])
    assert sensor.closed
