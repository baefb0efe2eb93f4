"""Sensors that a hook brings, with the mistakes that people make."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.measurement import DeviceState, Domain, Reading
from pytest_greenops.sensors.base import DeviceSensor, EdgeSensor, NamableSensor, difference
from pytest_greenops.sensors.brought import Brought, brought_sensors
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import message_of


class Sloppy(FakeSensor):
    """A sensor whose reading is what a test says."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self.answer = answer

    def read(self) -> Reading:
        """Return, or raise, something."""
        reading: Reading = self.answer()
        return reading


NAME_AND_KIND = "expected a printable name, and one of cpu, dram, gpu, psys"


def fails() -> Reading:
    """Fail as a sensor would whose device is gone."""
    raise ZeroDivisionError("caf\udce9\nlost")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (fails, "raised ZeroDivisionError: caf\\udce9 lost"),
        (lambda: None, "raised AttributeError: 'NoneType' object has no attribute 'energy_uj'"),
        (lambda: Reading(1, [1]), "returned 1 counts for 2 domains"),
        (lambda: Reading(1, [1.5, 2]), "returned 1.5 for cpu:0: expected whole microjoules"),
        (lambda: Reading(1, [1, "2"]), "returned '2' for dram:0: expected whole microjoules"),
        (lambda: Reading(1, [1, -2]), "returned -2 for dram:0: expected whole microjoules"),
        (
            lambda: Reading(1, [1, 10**30]),
            "returned 1000000000000000000000000000000 for dram:0: exp",
        ),
        (
            lambda: Reading(1, [1 << 63, 2]),
            "returned 9223372036854775808 for cpu:0: expected whole",
        ),
        (lambda: Reading(None, [1, 2]), "raised TypeError: int() argument"),
        (
            lambda: SimpleNamespace(time_ns=1, energy_uj=[1, 2]),
            "raised AttributeError: 'types.Simp",
        ),
        (lambda: Reading(1, [1, 2], ["a", 1.0]), "raised ValueError: could not convert"),
        (lambda: Reading(1, [1, 2], [1.0]), "returned 1 errors for 2 domains"),
        (
            lambda: Reading(1, [1, 2], [1.0, float("nan")]),
            "returned the error nan for dram:0: expected microjoules >= 0",
        ),
        (
            lambda: Reading(1, [1, 2], [-1.0, 0.0]),
            "returned the error -1.0 for cpu:0: expected microjoules >= 0",
        ),
        (
            lambda: Reading(1, [1, 2], [float("inf"), 0.0]),
            "returned the error inf for cpu:0: expected microjoules >= 0",
        ),
        (lambda: Reading(1, [1, 2], why=None), "raised TypeError: 'NoneType' object is not"),
        (lambda: Reading(-1, [1, 2]), "returned a time before that of its last reading"),
    ],
)
def test_a_wrong_reading_says_why(answer: Callable[[], Any], why: str) -> None:
    """No count is known, the reason names the sensor, and time goes on."""
    sensor = Brought(Sloppy(answer))
    window = difference(sensor.domains, sensor.read(), sensor.read())
    assert window.energy_uj == {}
    assert window.seconds > 0
    assert window.missing["cpu:0"].startswith(f"cpu:0 could not be read: the sensor fake {why}")


def test_a_reading_keeps_its_errors_and_reasons() -> None:
    """What a sensor states of each count stays with it, up to the largest count of a file."""
    good = Reading(7, [(1 << 63) - 1, None], (0.0, 2.5), {"dram:0": "is gone"})
    sensor = Brought(Sloppy(lambda: good))
    assert (sensor.read(), sensor.read(), sensor.unreadable) == (good, good, None)


def test_a_clock_that_goes_back_leaves_no_window() -> None:
    """Its seconds, and all watts, would be wrong; the counts of the next window are known again."""
    times_ns = iter([500, 400, 600, 700])
    sensor = Brought(Sloppy(lambda: Reading(next(times_ns), [1, 2])))
    first, back, third, fourth = (sensor.read() for _ in range(4))
    assert difference(sensor.domains, first, back).energy_uj == {}
    assert difference(sensor.domains, back, third).energy_uj == {}
    assert sensor.unreadable == "the sensor fake returned a time before that of its last reading"
    assert difference(sensor.domains, third, fourth).energy_uj == {"cpu:0": 0, "dram:0": 0}


def test_counts_of_any_library_are_counts() -> None:
    """They become Python's own, which files hold."""
    sensor = Brought(Sloppy(lambda: Reading(np.int64(5), np.array([1, 2]))))
    assert sensor.read() == Reading(5, [1, 2])
    assert all(type(count) is int for count in sensor.read().energy_uj)


class Rich(FakeSensor):
    """A sensor with everything that one may have."""

    phase_period_s = 0.1
    named = "total"
    notes = ("a note",)

    def begin(self, phase_s: float) -> Reading:
        """Begin a window."""
        return self.read()

    def end(self) -> Reading:
        """End a window."""
        return self.read()

    def states(self) -> dict[str, DeviceState]:
        """Fail."""
        raise OSError


def test_what_a_sensor_can_do_stays() -> None:
    """A plain sensor stays plain; a state that cannot be read is none."""
    plain, rich = Brought(FakeSensor()), Brought(Rich())
    protocols = EdgeSensor, DeviceSensor, NamableSensor
    assert [isinstance(plain, kind) for kind in protocols] == [False] * 3
    assert [isinstance(rich, kind) for kind in protocols] == [True] * 3
    assert isinstance(rich, EdgeSensor)
    assert rich.begin(0.0) == rich.end() == Reading(0, [0, 0])
    assert rich.states() == {}
    has: Any = rich
    assert (has.phase_period_s, has.notes, has.update_period_s) == (0.1, ("a note",), 0.001)
    assert isinstance(rich, NamableSensor)
    rich.named = "gpu"
    assert rich._sensor.named == "gpu"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 8}, "name=8: expected printable text"),
        ({"name": "a,b"}, "name='a,b': expected a name without a comma"),
        ({"method": "\x1b"}, "method='\\x1b': expected printable text"),
        ({"source": "guessed"}, "source='guessed': expected 'sensed' or 'estimated'"),
        ({"update_period_s": "1"}, "update_period_s='1': expected seconds >= 0"),
        ({"update_period_s": float("nan")}, "update_period_s=nan: expected seconds >= 0"),
        ({"domains": ()}, "domains=(): expected a tuple of Domain"),
        ({"domains": ("cpu:0",)}, "domains has 'cpu:0': expected Domain('cpu:0', 'cpu')"),
        ({"domains": [Domain(" ", "cpu")]}, NAME_AND_KIND),
        ({"domains": [Domain("cpu\n", "cpu")]}, NAME_AND_KIND),
        ({"domains": [Domain("cpu:0", "core")]}, NAME_AND_KIND),
        (
            {"domains": [Domain("a", "cpu"), Domain("a", "gpu")]},
            "two domains have the same name: give each counter its own",
        ),
        (
            {"domains": [Domain("a", "psys"), Domain("b", "gpu")]},
            "psys is the whole machine: give counted=False to it, or to all others",
        ),
    ],
)
def test_a_sensor_that_lacks_something_is_refused(change: dict[str, Any], message: str) -> None:
    """The message has what is wrong with its value, and what is expected."""
    sensor = FakeSensor()
    vars(sensor).update(change)
    assert message_of(OptionError, lambda: Brought(sensor)).endswith(message)
    assert "lacks name, source" in message_of(OptionError, lambda: Brought(object()))
    twice = [Domain("cpu:0", "cpu")] * 2
    assert "the same name" in message_of(ValueError, lambda: FakeSensor(*twice))


def test_psys_may_be_beside_others_that_are_not_counted() -> None:
    """Or not be counted itself."""
    psys, gpu = Domain("a", "psys"), Domain("b", "gpu")
    for domains in (
        [psys],
        [psys, Domain("b", "gpu", counted=False)],
        [Domain("a", "psys", counted=False), gpu],
    ):
        assert Brought(FakeSensor(*domains)).domains == tuple(domains)


def test_each_sensor_of_each_hook_is_checked() -> None:
    """In their order; a hook returns a list or a tuple."""
    one, two, three = (FakeSensor(name=name) for name in ("one", "two", "three"))
    assert [each.name for each in brought_sensors([[one, two], (three,)])] == [
        "one",
        "two",
        "three",
    ]
    refused = message_of(OptionError, lambda: [*brought_sensors([[one], two])])
    assert refused.startswith("pytest_energy_sensors: <")
    assert refused.endswith(">: expected a list of sensors")


class Doubtful(FakeSensor):
    """A sensor that finds a fault while it counts, and cannot say which devices rest."""

    def __init__(self) -> None:
        super().__init__()
        self.doubts: dict[str, str] = {}

    def resting(self) -> set[str]:
        """Fail."""
        raise ZeroDivisionError


def test_a_doubt_that_comes_later_is_known() -> None:
    """What a sensor finds wrong with a counter while it counts is not lost."""
    sensor = Doubtful()
    brought = Brought(sensor)
    assert brought.doubts == {}
    sensor.doubts = {"cpu:0": "disagrees"}
    assert brought.doubts == {"cpu:0": "disagrees"}


def test_a_sensor_that_fails_to_say_what_rests_knows_of_nothing() -> None:
    """Its mistake ends no test."""
    assert Brought(Doubtful()).resting() == set()
