"""The sensors that are shipped for the tests of users."""

from __future__ import annotations

import statistics

import pytest

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Domain, Reading, Window
from pytest_greenops.sensors.base import Sensor, difference
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor, ReplaySensor, check_sensor
from tests.unit.builders import message_of


def spent(sensor: FakeSensor, *joules: float, domain: str = "cpu:0") -> Window:
    """Return the window in which a sensor spent these joules."""
    before = sensor.read()
    for amount in joules:
        sensor.spend(amount, domain)
    return difference(sensor.domains, before, sensor.read())


def test_fake_counts_what_is_spent() -> None:
    """Joules spent on a domain are in the window, in microjoules, and in no other domain."""
    assert spent(FakeSensor(), 1.5, 0.25) == Window(0.2, {"cpu:0": 1_750_000, "dram:0": 0})
    assert spent(FakeSensor(), 0.5, domain="dram:0").energy_uj == {"cpu:0": 0, "dram:0": 500_000}


def test_fake_has_a_clock_of_its_own() -> None:
    """Only spending advances the time, however long the test takes."""
    sensor = FakeSensor()
    before = sensor.read()
    sensor.spend(1.0, seconds=3600.0)
    assert sensor.read().time_ns - before.time_ns == 3600 * 10**9
    assert sensor.read() == sensor.read()


def test_fake_is_a_sensor_to_the_instruments() -> None:
    """The instruments take its name and source as those of a real sensor."""
    sensor: Sensor = FakeSensor(
        Domain("gpu:0", "gpu"), name="card", source="estimated", update_period_s=0.1
    )
    instruments = Instruments([sensor])
    assert instruments.sensor_of == {"gpu:0": "card"}
    assert instruments.estimated == ("gpu:0",)
    assert Instruments([FakeSensor()]).estimated == ()


def test_fake_wraps_at_its_range() -> None:
    """A counter with a range restarts at zero, and the window is still complete."""
    sensor = FakeSensor(Domain("cpu:0", "cpu", range_uj=500_000_000), start_uj=499_000_000)
    before = sensor.read()
    sensor.spend(2.0)
    after = sensor.read()
    assert (before.energy_uj, after.energy_uj) == ([499_000_000], [1_000_000])
    assert difference(sensor.domains, before, after).energy_uj == {"cpu:0": 2_000_000}


def test_fake_fails_and_recovers() -> None:
    """While it fails there are no counts; afterwards they include what was spent meanwhile."""
    sensor = FakeSensor()
    sensor.fail("unplugged")
    assert spent(sensor, 1.0).void == "cpu:0 could not be read"
    assert sensor.read().energy_uj == [None, None]
    assert sensor.failure == "unplugged"
    sensor.recover()
    assert sensor.read().energy_uj == [1_000_000, 0]


def test_fake_noise_is_the_same_for_the_same_seed() -> None:
    """Noise scatters the energy by its standard deviation, and repeats with its seed."""

    def series(seed: int) -> list[int]:
        sensor = FakeSensor(noise=0.1, seed=seed)
        return [spent(sensor, 1.0).energy_uj["cpu:0"] for _ in range(400)]

    assert series(1) == series(1)
    assert series(1) != series(2)
    assert statistics.mean(series(1)) == pytest.approx(1e6, rel=0.02)
    assert statistics.stdev(series(1)) == pytest.approx(1e5, rel=0.15)


def test_fake_never_counts_backwards_through_noise() -> None:
    """Noise larger than the energy itself is cut off at zero."""
    sensor = FakeSensor(noise=5.0)
    counts = [spent(sensor, 1.0).energy_uj["cpu:0"] for _ in range(100)]
    assert min(counts) == 0


@pytest.mark.parametrize(
    ("joules", "domain", "seconds", "problem"),
    [
        (1.0, "gpu:0", 0.1, "unknown domain 'gpu:0': expected one of: cpu:0, dram:0"),
        (-1.0, "cpu:0", 0.1, "-1.0 J in 0.1 s: expected energy and time >= 0"),
        (1.0, "cpu:0", -0.1, "1.0 J in -0.1 s: expected energy and time >= 0"),
    ],
)
def test_fake_rejects_nonsense(joules: float, domain: str, seconds: float, problem: str) -> None:
    """A wrong argument is an error that says what is expected, and spends nothing."""
    sensor = FakeSensor()
    with pytest.raises(ValueError) as raised:
        sensor.spend(joules, domain, seconds)
    assert str(raised.value) == problem
    assert sensor.read() == FakeSensor().read()


def test_fake_rejects_domains_of_one_name() -> None:
    """Two counters of one name could not be distinguished."""
    with pytest.raises(ValueError, match="same name"):
        FakeSensor(Domain("cpu:0", "cpu"), Domain("cpu:0", "cpu"))


def test_fake_remembers_that_it_was_closed() -> None:
    """Closing the instruments closes the fake, which records it."""
    sensor = FakeSensor()
    assert not sensor.closed
    Instruments([sensor]).close()
    assert sensor.closed


def test_fake_rejects_a_whole_beside_its_parts() -> None:
    """A total of the machine and of its CPUs would count joules twice."""
    domains = Domain("cpu:0", "cpu"), Domain("psys", "psys")
    with pytest.raises(ValueError, match="psys is the whole machine: give counted=False to it"):
        FakeSensor(*domains)
    FakeSensor(domains[0], Domain("psys", "psys", counted=False))
    FakeSensor(domains[1])


def test_check_returns_a_reading() -> None:
    """A sensor without mistakes is read once; a counter that cannot be read is no mistake."""
    sensor = FakeSensor(start_uj=7)
    assert check_sensor(sensor) == Reading(0, [7, 7])
    sensor.fail()
    assert check_sensor(sensor).energy_uj == [None, None]


def test_check_finds_what_a_run_would() -> None:
    """A missing attribute and a wrong reading are errors of one line, with the value."""
    lacks = message_of(GreenopsError, lambda: check_sensor(7))
    assert lacks == (
        "pytest_energy_sensors: 7: lacks name, source, method, domains, update_period_s, read, "
        "close; a sensor has all attributes of FakeSensor"
    )
    wrong = FakeSensor(Domain("cpu:0", "cpu"))
    wrong.read = lambda: Reading(0, [1.5])
    assert message_of(GreenopsError, lambda: check_sensor(wrong)) == (
        "the sensor fake returned 1.5 for cpu:0: expected whole microjoules"
    )


def test_replay_returns_readings_in_order() -> None:
    """Each reading is returned once, in order; after the last there is an error."""
    domains = [Domain("cpu:0", "cpu", range_uj=1_000)]
    readings = [Reading(0, [900]), Reading(10**9, [100]), Reading(2 * 10**9, [None])]
    sensor: Sensor = ReplaySensor(domains, readings)
    assert [sensor.read() for _ in readings] == readings
    with pytest.raises(GreenopsError, match="all 3 readings were replayed: record more"):
        sensor.read()


def test_replay_rejects_a_reading_of_other_domains() -> None:
    """A recording must have one count for each domain."""
    with pytest.raises(ValueError, match="reading 1 has 2 counts: expected 1, one for each domain"):
        ReplaySensor([Domain("cpu:0", "cpu")], [Reading(0, [1]), Reading(1, [1, 2])])
