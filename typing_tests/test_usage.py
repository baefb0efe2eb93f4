"""The public types as users use them: mypy checks this file, and nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from typing_extensions import assert_type

from pytest_greenops import (
    Energy,
    EnergyBudgetExceeded,
    EnergyFailure,
    EnergyRegression,
    EnergyUnproven,
    EnergyWorkIncreased,
    Result,
)
from pytest_greenops.sensors import Domain, EdgeSensor, Reading, Sensor, SensorUnavailable, Source
from pytest_greenops.testing import FakeSensor, ReplaySensor, check_sensor


def parse(text: str, *, strict: bool = False) -> list[int]:
    """Stand for the code under test."""
    return [len(text), strict]


async def fetch(url: str) -> bytes:
    """Stand for a coroutine function under test."""
    return url.encode()


def test_a_call_keeps_its_types(energy: Energy) -> None:
    """The return type is that of the function, and wrong arguments are errors."""
    assert_type(energy(parse, "1", strict=True), list[int])
    assert_type(energy.named("again")(parse, "1"), list[int])
    energy(parse, 1)  # type: ignore[arg-type]
    energy(parse, "1", strikt=True)  # type: ignore[call-arg]


async def test_a_coroutine_function(energy: Energy) -> None:
    """`acall` returns what awaiting the function returns."""
    assert_type(await energy.acall(fetch, "here"), bytes)
    assert_type(await energy.named("again").acall(fetch, "here"), bytes)


def test_pedantic(energy: Energy) -> None:
    """The return type is kept, with a set-up too."""
    assert_type(energy.pedantic(parse, setup=lambda: "1", rounds=20), list[int])
    assert_type(energy.named("again").pedantic(parse, ("1",), iterations=2), list[int])


def test_loops_and_windows(energy: Energy) -> None:
    """Rounds are numbered, and a window takes the result that units are counted from."""
    energy.units(sample=64, token=lambda value: len(value))
    for number in energy.rounds():
        assert_type(number, int)
        with energy.measure("decode") as window:
            window.result = parse("1")


def test_results(energy: Energy) -> None:
    """Results are read by name; their figures have exact types."""
    energy.quality(accuracy=0.94)
    assert_type(energy.results, Mapping[str, Result])
    result = energy.results["call"]
    assert_type(result.joules, float)
    assert_type(result.by_domain, dict[str, float])
    assert_type(result.per_unit["token"], float)
    assert_type(result.interval, tuple[float, float] | None)
    assert_type(result.verdict.outcome.value, str)
    assert_type(energy.enabled, bool)


def test_failures_are_assertion_errors() -> None:
    """A `pytest.raises(AssertionError)` catches every energy failure."""
    failures: Sequence[type[AssertionError]] = (EnergyRegression, EnergyBudgetExceeded)
    further: Sequence[type[EnergyFailure]] = (EnergyRegression, EnergyUnproven)
    regressions: Sequence[type[EnergyRegression]] = (EnergyWorkIncreased,)
    with pytest.raises((*regressions, *failures, *further)) as raised:
        raise EnergyRegression("call used 3.10 J")
    assert_type(raised.value, AssertionError)


class Plug:
    """A sensor of one's own needs no base class."""

    name = "plug"
    source: Source = "sensed"
    method = "a counter"
    domains = (Domain("wall", "psys"),)
    update_period_s = 60.0

    def read(self) -> Reading:
        """Return a count, or why there is none."""
        return Reading(0, [None], why={"wall": "could not be read"})

    def close(self) -> None:
        """Release nothing."""


class Ticking(Plug):
    """A sensor that waits for its counter."""

    phase_period_s = 0.0

    def begin(self, phase_s: float) -> Reading:
        """Wait for a tick."""
        return self.read()

    def end(self) -> Reading:
        """Wait for the next one."""
        return self.read()


def test_a_sensor_of_ones_own() -> None:
    """The check takes it, and a reading has exact types; unavailable has a reason and a fix."""
    assert_type(check_sensor(Plug()), Reading)
    assert_type(check_sensor(Ticking()).energy_uj, Sequence[int | None])
    edged: EdgeSensor = Ticking()
    del edged
    assert_type(SensorUnavailable("no plug", "switch it on").remedy, str | None)


def pytest_energy_verdict(item: pytest.Item, result: Result) -> None:
    """Receive a result, whose type is public."""
    assert_type(result.verdict.outcome.value, str)


def pytest_energy_sensors(config: pytest.Config) -> Iterator[Sensor]:
    """Yield the sensors for tests, which are sensors to mypy."""
    yield FakeSensor(Domain("cpu:0", "cpu"))
    yield Plug()
    replay: type[Sensor] = ReplaySensor
    del replay
