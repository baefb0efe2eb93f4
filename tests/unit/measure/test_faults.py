"""What power a counter may tell: limits, rest, and what is allowed for."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.faults import implausible
from pytest_greenops.model.measurement import DeviceState, Domain, Rest, Round
from tests.unit.builders import a_round

CPU, GPU = Domain("cpu:0", "cpu"), Domain("gpu:0", "gpu")
LIMITED = Domain("cpu:0", "cpu", max_power_w=200.0)
RESTED = Rest(watts={"cpu:0": 50.0, "gpu:0": 60.0}, idle=0.98, clock_mhz={"gpu:0": 600})
WORKING = 0.5
CARD_AT_WORK = DeviceState(clock_mhz=1400, power_limit_w=300.0, used=True)


def drew(watts: float, seconds: float = 1.0, *, error_j: float = 0.0, windows: int = 1) -> Round:
    """A round in which the CPU's counter told so many watts."""
    errors = {"cpu:0": error_j} if error_j else None
    return a_round(watts * seconds, seconds=seconds, windows=windows, errors=errors)


def card_drew(watts: float, state: DeviceState = CARD_AT_WORK, seconds: float = 1.0) -> Round:
    """A round in which a card's counter told so many watts, and the CPU's what it always does."""
    return a_round(
        100 * seconds, seconds=seconds, more={"gpu:0": watts * seconds}, devices={"gpu:0": state}
    )


def doubted(round_: Round, domain: Domain = LIMITED, idle: float = WORKING) -> str | None:
    """Why a round is implausible beside a machine that rested at 50 W and 60 W."""
    return implausible(round_, domain, RESTED, idle)


@pytest.mark.parametrize(
    ("seconds", "watts", "told"),
    [
        (10.0, 241.0, None),
        (10.0, 244.0, "cpu:0 counted 244 W, which is implausible: its limit is 200 W"),
        (0.1, 479.0, None),
        (0.1, 481.0, "cpu:0 counted 481 W, which is implausible: its limit is 200 W"),
        (0.005, 9000.0, None),
    ],
)
def test_no_device_draws_a_fifth_more_than_its_limit(
    seconds: float, watts: float, told: str | None
) -> None:
    """But for a tenth of a second, in which no limit holds; a moment tells no power at all."""
    assert doubted(drew(watts, seconds)) == told


def test_what_the_edges_may_have_added_is_not_held_against_a_counter() -> None:
    """Three times the error of 95 % is allowed, either way."""
    assert doubted(drew(400.0, error_j=45.0)) is not None
    assert doubted(drew(400.0, error_j=46.0)) is None
    assert doubted(drew(20.0, error_j=1.0)) is not None
    assert doubted(drew(20.0, error_j=2.0)) is None


def test_many_windows_may_each_begin_above_the_limit() -> None:
    """Of ten windows of 0.1 s each has its own tenth of a second."""
    assert doubted(drew(400.0, windows=10)) is None
    assert doubted(drew(400.0, windows=1)) is not None


def test_without_a_limit_no_power_is_too_high() -> None:
    """A counter whose sensor names no highest power, and one that stands apart, are not judged."""
    assert doubted(drew(9000.0), CPU) is None
    assert doubted(drew(9000.0), Domain("cpu:0", "cpu", max_power_w=200.0, counted=False)) is None


@pytest.mark.parametrize(("limit_w", "found"), [(300.0, True), (400.0, False), (None, False)])
def test_a_card_has_the_limit_that_its_driver_enforces(limit_w: float | None, found: bool) -> None:
    """As it is around the round, whatever it was before."""
    state = DeviceState(power_limit_w=limit_w, used=True)
    assert bool(doubted(card_drew(450.0, state), GPU)) == found


@pytest.mark.parametrize(
    ("watts", "idle", "found"),
    [(24.0, WORKING, True), (26.0, WORKING, False), (24.0, 0.87, True), (1.0, 0.89, False)],
)
def test_a_processor_at_work_draws_half_of_its_rest_or_more(
    watts: float, idle: float, found: bool
) -> None:
    """One that has as little to do as when it rested may sleep deeper, and says nothing."""
    told = "which is implausible: at rest it drew 50.0 W"
    assert doubted(drew(watts), idle=idle) == (
        f"cpu:0 counted {watts:.1f} W, {told}" * found or None
    )


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
    """One that was watched with the clocks of earlier work draws less once they have fallen."""
    assert bool(doubted(card_drew(20.0, state), GPU)) == found


def test_where_no_rest_is_known_no_power_is_too_low() -> None:
    """The machine was busy when the run began, or its counter told nothing then."""
    assert implausible(drew(0.0), LIMITED, Rest(), 0.0) is None


def test_a_counter_that_the_round_lacks_says_nothing() -> None:
    """It was lost, and there is no power to judge."""
    assert doubted(drew(100.0), GPU) is None
