"""What counters show before the first test, and where that tells nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.idle_power import IDLE, REST_S, at_rest
from pytest_greenops.model.measurement import DeviceState, Domain, LoadShare, Reading, Rest, Source
from pytest_greenops.model.run_options import Options
from pytest_greenops.run.run import Run
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

CPU, GPU = Domain("cpu:0", "cpu"), Domain("gpu:0", "gpu")
QUIET = LoadShare(0.0, 0.0, idle=0.99)


class Watts:
    """A sensor of one device that draws so much all the time."""

    doubts: Mapping[str, str] = {}
    method = "counted by a test"

    def __init__(
        self, domain: Domain, watts: float, period_s: float = 0.0, source: Source = "sensed"
    ) -> None:
        self.name = domain.kind
        self.source: Source = source
        self.domains = (domain,)
        self.update_period_s = period_s
        self._watts = watts

    def read(self) -> Reading:
        """The count now."""
        now_ns = time.monotonic_ns()
        return Reading(now_ns, [int(now_ns * self._watts / 1000)])

    def states(self) -> dict[str, DeviceState]:
        """A card has a clock."""
        clock_mhz = 600 if self.domains[0].kind == "gpu" else None
        return {self.domains[0].name: DeviceState(clock_mhz=clock_mhz)}

    def close(self) -> None:
        """Nothing is open."""


class Card(Watts):
    """A card that tells before and after a moment whether it has work."""

    def __init__(self, *rests: bool, watts: float = 60.0, period_s: float = 0.0) -> None:
        super().__init__(GPU, watts, period_s)
        self._rests = iter(rests)

    def resting(self) -> list[str]:
        """What it tells next."""
        return ["gpu:0"] * next(self._rests)


class Load:
    """Tells a share, and whether it was asked."""

    def __init__(self, share: LoadShare) -> None:
        self.share = share
        self.asked = 0

    def __call__(self) -> Load:
        """The probe is made where it is needed."""
        self.asked += 1
        return self

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> LoadShare:
        """What there is to see."""
        return self.share


def test_the_power_of_each_counter_is_taken() -> None:
    """With the share of the machine that was idle, and the clocks of those that have one."""
    rest = at_rest(Instruments([Watts(CPU, 50.0), Card(True, True)]), Load(QUIET))
    assert rest.watts == pytest.approx({"cpu:0": 50.0, "gpu:0": 60.0}, rel=0.01)
    assert (rest.idle, rest.clock_mhz) == (0.99, {"gpu:0": 600})


@pytest.mark.parametrize(("idle", "known"), [(IDLE, True), (IDLE - 0.01, False)])
def test_on_a_busy_machine_nothing_is_known(idle: float, known: bool) -> None:
    """What it draws then is no rest."""
    rest = at_rest(Instruments([Watts(CPU, 50.0)]), Load(LoadShare(0.0, 0.0, idle)))
    assert (rest != Rest()) == known


def test_a_counter_that_moves_too_seldom_tells_nothing() -> None:
    """In so short a time its power is not known to a tenth; that of others is."""
    slow = Card(True, True, period_s=REST_S)
    rest = at_rest(Instruments([slow, Watts(CPU, 50.0, period_s=0.001)]), Load(QUIET))
    assert list(rest.watts) == ["cpu:0"]


@pytest.mark.parametrize(
    "sensor", [FakeSensor(CPU), Watts(CPU, 4.0, source="estimated")], ids=["fake", "estimate"]
)
def test_nothing_is_waited_for_where_nothing_is_to_be_known(sensor: FakeSensor | Watts) -> None:
    """Estimates have no rest, and a sensor with a clock of its own draws nothing meanwhile."""
    load = Load(QUIET)
    assert (at_rest(Instruments([sensor]), load), load.asked) == (Rest(), 0)


def test_an_estimate_beside_a_counter_has_no_rest() -> None:
    """Its figure is no power that a device drew."""
    estimate = Watts(CPU, 4.0, source="estimated")
    rest = at_rest(Instruments([estimate, Card(True, True)]), Load(QUIET))
    assert list(rest.watts) == ["gpu:0"]


@pytest.mark.parametrize(
    "card",
    [Card(False, True), Card(True, False), Card(False, False), Watts(GPU, 60.0)],
    ids=["worked until now", "works now", "works on", "does not tell"],
)
def test_a_card_that_may_have_had_work_has_no_rest(card: Watts) -> None:
    """Somebody else's work may be in its power, though the CPUs are idle; theirs is known."""
    rest = at_rest(Instruments([Watts(CPU, 50.0), card]), Load(QUIET))
    assert list(rest.watts) == ["cpu:0"]


def test_the_wait_for_a_counter_is_no_load() -> None:
    """This process is busy while it looks for a tick, and the CPUs are not watched then."""
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
            return QUIET

    at_rest(Instruments([Waiting(CPU, 50.0)]), Watched(QUIET))
    assert order == ["begin", "start", "stop", "end"]


def test_a_run_begins_with_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen of its counters is at hand for every measurement."""
    monkeypatch.setattr(machine, "LoadProbe", Load(QUIET))
    options = Options(sensors=("cpu",), baselines=tmp_path)
    run = Run(options, tmp_path, sensors=[Watts(CPU, 50.0)])
    assert run.instruments.rest.watts == pytest.approx({"cpu:0": 50.0}, rel=0.01)
    run.close()
