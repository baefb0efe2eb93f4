"""Faults: which power a counter may show, and which devices spoil a round."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.faults import decisive_counters, implausible, throttled
from pytest_greenops.model.measurement import DeviceState, Domain, Rest, Round
from tests.unit.builders import CPU, DRAM, GPU, PSYS, a_round

LIMITED = Domain("cpu:0", "cpu", max_power_w=200.0)
RESTED = Rest(watts={"cpu:0": 50.0, "gpu:0": 60.0}, idle=0.98, clock_mhz={"gpu:0": 600})
WORKING = 0.5
CARD_AT_WORK = DeviceState(clock_mhz=1400, power_limit_w=300.0, used=True)


@pytest.mark.parametrize(
    ("judged", "decisive"),
    [
        ("total", {"cpu:0", "dram:0", "gpu:0"}),
        ("cpu", {"cpu:0"}),
        ("gpu:0", {"gpu:0"}),
        ("dram", {"cpu:0", "dram:0"}),
        ("psys", {"cpu:0", "dram:0", "gpu:0", "psys"}),
        ("gpu:7", set()),
    ],
)
def test_faults_matter_of_what_is_judged(judged: str, decisive: set[str]) -> None:
    """Memory waits for its processor, and a board contains every device."""
    assert decisive_counters((CPU, DRAM, GPU, PSYS), judged) == decisive


@pytest.mark.parametrize(
    ("reasons", "used", "expected"),
    [
        (
            ("hardware thermal slowdown",),
            True,
            "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)",
        ),
        (
            ("hardware slowdown",),
            None,
            "gpu:0 was throttled: hardware slowdown (let it cool, or lower its limit)",
        ),
        (
            ("thermal throttle",),
            None,
            "gpu:0 was throttled: thermal throttle (let it cool, or turn turbo off)",
        ),
        (("software power cap",), True, None),
        (("hardware thermal slowdown",), False, None),
        ((), True, None),
    ],
)
def test_a_device_that_protects_itself_spoils_its_round(
    reasons: tuple[str, ...], used: bool | None, expected: str | None
) -> None:
    """Heat and brakes do if it may have had work; keeping to the power limit does not."""
    state = DeviceState(throttle_reasons=reasons, used=used)
    assert throttled("gpu:0", state) == expected


def cpu_drew(
    watts: float, seconds: float = 1.0, *, error_j: float = 0.0, windows: int = 1
) -> Round:
    """Return a round in which the CPU's counter shows this power."""
    errors = {"cpu:0": error_j} if error_j else None
    return a_round(watts * seconds, seconds=seconds, windows=windows, errors=errors)


def card_drew(watts: float, state: DeviceState = CARD_AT_WORK) -> Round:
    """Return a round of one second in which a card's counter shows this power."""
    return a_round(100, seconds=1.0, more={"gpu:0": watts}, devices={"gpu:0": state})


def fault(round_: Round, domain: Domain = LIMITED, idle: float = WORKING) -> str | None:
    """Return why a round is implausible on a machine that drew 50 W and 60 W at rest."""
    return implausible(round_, domain, RESTED, idle)


@pytest.mark.parametrize(
    ("seconds", "watts", "expected"),
    [
        (10.0, 241.0, None),
        (10.0, 244.0, "cpu:0 counted 244 W, which is implausible: its limit is 200 W"),
        (0.1, 479.0, None),
        (0.1, 481.0, "cpu:0 counted 481 W, which is implausible: its limit is 200 W"),
        (0.005, 9000.0, None),
    ],
)
def test_no_device_draws_a_fifth_more_than_its_limit(
    seconds: float, watts: float, expected: str | None
) -> None:
    """For a tenth of a second no limit holds, and a moment shows no power at all."""
    assert fault(cpu_drew(watts, seconds)) == expected


@pytest.mark.parametrize(
    ("watts", "error_j", "windows", "found"),
    [
        (400.0, 45.0, 1, True),
        (400.0, 46.0, 1, False),
        (20.0, 1.0, 1, True),
        (20.0, 2.0, 1, False),
        (400.0, 0.0, 1, True),
        (400.0, 0.0, 10, False),
    ],
)
def test_edges_and_overshoot_are_allowed(
    watts: float, error_j: float, windows: int, found: bool
) -> None:
    """Three times the error of 95 % is allowed, and a tenth of a second in each window."""
    assert (fault(cpu_drew(watts, error_j=error_j, windows=windows)) is not None) == found


@pytest.mark.parametrize(
    "domain", [CPU, Domain("cpu:0", "cpu", max_power_w=200.0, counted=False), GPU]
)
def test_a_counter_without_limit_total_or_energy_has_no_fault(domain: Domain) -> None:
    """Its sensor names no highest power, it enters no total, or it is not in the round."""
    assert fault(cpu_drew(9000.0), domain) is None


@pytest.mark.parametrize(("limit_w", "found"), [(300.0, True), (400.0, False), (None, False)])
def test_a_card_has_the_limit_that_its_driver_enforces(limit_w: float | None, found: bool) -> None:
    """It is the limit during the round, whatever it was before."""
    state = DeviceState(power_limit_w=limit_w, used=True)
    assert bool(fault(card_drew(450.0, state), GPU)) == found


@pytest.mark.parametrize(
    ("watts", "idle", "expected"),
    [
        (24.0, WORKING, "cpu:0 counted 24.0 W, which is implausible: at rest it drew 50.0 W"),
        (26.0, WORKING, None),
        (24.0, 0.87, "cpu:0 counted 24.0 W, which is implausible: at rest it drew 50.0 W"),
        (1.0, 0.89, None),
    ],
)
def test_a_processor_at_work_draws_at_least_half_of_its_power_at_rest(
    watts: float, idle: float, expected: str | None
) -> None:
    """One with as little work as at rest may sleep deeper, and has no fault."""
    assert fault(cpu_drew(watts), idle=idle) == expected


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (CARD_AT_WORK, True),
        (DeviceState(clock_mhz=600, used=True), True),
        (DeviceState(clock_mhz=300, used=True), False),
        (DeviceState(clock_mhz=1400, used=None), False),
        (DeviceState(clock_mhz=1400, used=False), False),
        (DeviceState(used=True), False),
    ],
)
def test_a_card_is_judged_by_its_rest_at_the_same_clock(state: DeviceState, found: bool) -> None:
    """If it rested with the clocks of earlier work, it draws less once they have fallen."""
    assert bool(fault(card_drew(20.0, state), GPU)) == found


def test_if_no_rest_is_known_no_power_is_too_low() -> None:
    """The machine was busy when the run began, or the counter was unknown then."""
    assert implausible(cpu_drew(0.0), LIMITED, Rest(), 0.0) is None
