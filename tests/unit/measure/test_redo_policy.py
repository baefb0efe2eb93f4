"""Spoilt trips: when the meter repeats them, keeps them with a flag, or gives up."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.redo_policy import RedoPolicy
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import Check, CheckName, DeviceState, LoadShare, Rest
from pytest_greenops.sensors.instruments import Instruments
from tests.unit.builders import FakeClock
from tests.unit.measure.lab import (
    BUSY,
    CALIBRATED,
    FIVE,
    ONCE,
    QUIET,
    Card,
    Lab,
    calls_of,
    fails,
    joules,
    load_of,
    names,
    numbered,
)

HOT = DeviceState(throttle_reasons=("hardware thermal slowdown",), used=True)
USED = DeviceState(used=True)
UNREADABLE = "cpu:0 could not be read"
THROTTLED = "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)"
IMPLAUSIBLE = "cpu:0 counted 45.0 W, which is implausible: its limit is 10.0 W"


@pytest.fixture
def lab() -> Lab:
    """Return a lab with a CPU."""
    return Lab()


def test_contended_trips_share_three_redos_until_a_round_is_quiet() -> None:
    """Each use costs one; a quiet round restores all."""
    policy = RedoPolicy(clock=FakeClock())
    assert [policy.repeats_contended() for _ in range(4)] == [True, True, True, False]
    policy.restore()
    assert policy.repeats_contended()


def test_a_void_trip_has_three_redos_of_its_own() -> None:
    """They do not depend on what contention used up."""
    policy = RedoPolicy(clock=FakeClock())
    while policy.repeats_contended():
        pass
    assert [policy.repeats_void(tries) for tries in (1, 2, 3, 4)] == [True, True, True, False]


def test_no_trip_is_repeated_that_would_end_too_late() -> None:
    """A trip is expected to take as long as the last one."""
    clock = FakeClock()
    policy = RedoPolicy(clock=clock)
    policy.set_deadline(1.0)
    policy.trip_s = 0.6
    assert (policy.late, policy.repeats_void(1)) == (False, True)
    clock.sleep(0.6)
    assert (policy.late, policy.repeats_void(1), policy.repeats_contended()) == (True, False, False)


@pytest.mark.parametrize("domain", ["cpu:0", "gpu:0"])
def test_void_rounds_are_repeated(domain: str) -> None:
    """A counter that cannot be read for a while costs rounds, but no figures and no counter."""
    lab = Lab(Card())
    sensor = lab.sensor if domain == "cpu:0" else lab.more[0]
    seen = lab.measure(FIVE, fails(sensor, (3, 4)))
    assert (joules(seen), seen.lost, lab.calls) == ([1.0] * 5, {}, 1 + 5 + 3)
    assert seen.checks == (
        Check(CheckName.VOID, f"{domain} could not be read", "3 rounds left out"),
    )


@pytest.mark.parametrize("plan", [CALIBRATED, FIVE], ids=["calibrated", "chosen"])
def test_a_round_that_stays_void_is_given_up(lab: Lab, plan: Plan) -> None:
    """After three redos the measurement ends with its reason."""
    seen = lab.measure(plan, fails(lab.sensor, range(2, 99)))
    assert (lab.calls, seen.rounds, lab.looks) == (1 + 1 + 3, (), [1])
    assert seen.checks == (Check(CheckName.VOID, UNREADABLE, "4 rounds left out"),)


def test_rounds_before_a_breakdown_are_kept(lab: Lab) -> None:
    """If a sensor vanishes midway, the rounds so far remain, and no further look follows."""
    seen = lab.measure(Plan((5, 10, 15)), fails(lab.sensor, range(5, 99)))
    assert (joules(seen), lab.looks, names(seen)) == ([1.0] * 3, [1], ["void"])


def test_a_void_warm_up_costs_nothing(lab: Lab) -> None:
    """Only rounds are counted as left out."""
    lab.sensor.fail()
    seen = lab.measure(CALIBRATED, fails(lab.sensor, ()))
    assert (joules(seen), seen.checks) == ([1.0] * 5, ())


def test_once_void_is_given_up(lab: Lab) -> None:
    """Work that cannot be repeated and could not be read has no round, but a reason."""
    lab.sensor.fail()
    seen = lab.measure(ONCE)
    assert (lab.calls, seen.rounds) == (1, ())
    assert seen.checks == (Check(CheckName.VOID, UNREADABLE, "1 round left out"),)


def test_a_throttled_card_voids_the_round() -> None:
    """The round is repeated once the card is cool."""
    card = Card(USED)
    lab = Lab(card)
    seen = lab.measure(FIVE, lambda call: card.become(HOT if call in (3, 4) else USED))
    # The state at the beginning of a trip counts too, so the trip after them is void as well.
    assert seen.checks == (Check(CheckName.VOID, THROTTLED, "3 rounds left out"),)
    assert (len(seen.rounds), lab.calls) == (5, 1 + 5 + 3)


def test_a_round_of_implausible_power_is_repeated(lab: Lab) -> None:
    """The jump of a counter is reported with watts and limit."""
    lab.limit_power(10.0)
    seen = lab.measure(FIVE, lambda call: 9.0 if call in (3, 4) else 1.0)
    assert (joules(seen), lab.calls) == ([1.0] * 5, 1 + 5 + 2)
    assert seen.checks == (Check(CheckName.VOID, IMPLAUSIBLE, "2 rounds left out"),)


@pytest.mark.parametrize("fault", [THROTTLED, IMPLAUSIBLE], ids=["throttled", "implausible"])
def test_a_fault_that_stays_ends_the_measurement(fault: str) -> None:
    """No counter is lost, for it counts; but after three redos there is only the reason."""
    lab = Lab(Card(HOT if fault == THROTTLED else USED))
    lab.limit_power(10.0)
    seen = lab.measure(FIVE, lambda call: 9.0 if fault == IMPLAUSIBLE else 1.0)
    assert (seen.rounds, seen.lost, lab.calls) == ((), {}, 1 + 1 + 3)
    assert seen.checks == (Check(CheckName.VOID, fault, "4 rounds left out"),)


@pytest.mark.parametrize(
    "state",
    [
        DeviceState(throttle_reasons=("hardware thermal slowdown",), used=False),
        DeviceState(throttle_reasons=("software power cap",), used=True),
    ],
    ids=["idle", "at its limit"],
)
def test_what_does_not_slow_the_work_down_voids_nothing(state: DeviceState) -> None:
    """An idle card may be hot, and a card may always run at its power limit."""
    seen = Lab(Card(state)).measure()
    assert (len(seen.rounds), seen.checks) == (5, ())


@pytest.mark.parametrize(
    ("judged", "state", "watts", "check"),
    [
        (
            "cpu",
            HOT,
            1e3,
            Check(
                CheckName.THROTTLED,
                THROTTLED,
                "5 rounds kept, since gpu:0 is not judged",
                kinds=("gpu",),
            ),
        ),
        (
            "gpu",
            USED,
            10.0,
            Check(
                CheckName.IMPLAUSIBLE,
                IMPLAUSIBLE,
                "5 rounds kept, since cpu:0 is not judged",
                kinds=("cpu",),
            ),
        ),
    ],
)
def test_a_fault_of_a_device_that_is_not_judged_voids_nothing(
    judged: str, state: DeviceState, watts: float, check: Check
) -> None:
    """The rounds are kept, and the first finding is reported."""
    lab = Lab(Card(state), judged=judged)
    lab.limit_power(watts)
    seen = lab.measure(FIVE, lambda call: 9.0)
    assert (len(seen.rounds), seen.checks, seen.untrusted(judged)) == (5, (check,), None)


@pytest.mark.parametrize("judged", ["gpu", "total"])
def test_a_fault_of_a_device_that_is_judged_voids_every_round(judged: str) -> None:
    """The card may be judged alone, or in the total."""
    seen = Lab(Card(HOT), judged=judged).measure()
    assert (seen.rounds, names(seen)) == ((), ["void"])


@pytest.mark.parametrize(("busy", "rounds"), [(BUSY._replace(others=0.0), 0), (QUIET, 5)])
def test_a_round_below_the_power_at_rest_is_void_if_the_machine_worked(
    lab: Lab, busy: LoadShare, rounds: int
) -> None:
    """5 W are less than half of the 20 W at rest, unless the machine sleeps deeper now."""
    instruments = Instruments([lab.sensor])
    instruments.rest = Rest(watts={"cpu:0": 20.0})
    seen = lab.measure(instruments=instruments, load=load_of(*[busy] * 99))
    assert len(seen.rounds) == rounds


def test_an_estimate_is_never_implausible() -> None:
    """It has no counter that could be wrong."""
    lab = Lab(source="estimated")
    seen = lab.measure(CALIBRATED, lambda call: 1e6)
    assert (len(seen.rounds), lab.calls) == (5, 1 + 5)


def test_a_contended_round_is_repeated(lab: Lab) -> None:
    """Up to three times; if it is quiet then, no check reports it."""
    seen = lab.measure(FIVE, numbered, load=load_of(BUSY, BUSY, BUSY))
    assert (calls_of(seen), seen.checks) == ([5, 6, 7, 8, 9], ())


@pytest.mark.parametrize(("contended", "kept", "untrusted"), [(4, 1, False), (99, 5, True)])
def test_rounds_that_stay_contended_are_kept_with_a_flag(
    lab: Lab, contended: int, kept: int, untrusted: bool
) -> None:
    """After three redos each round is made once, until one is quiet."""
    seen = lab.measure(load=load_of(*[BUSY] * contended))
    assert (len(seen.rounds), lab.calls) == (5, 1 + 3 + 5)
    [check] = seen.checks
    assert check.finding == f"other processes used up to 20 % of the machine in {kept} of 5 rounds"
    assert check.untrusted == untrusted


def test_a_quiet_round_restores_the_redos(lab: Lab) -> None:
    """Two spells of contention are both waited out."""
    spell = [BUSY] * 3
    seen = lab.measure(load=load_of(*spell, QUIET, *spell, QUIET))
    assert (names(seen), lab.calls) == ([], 1 + 3 + 3 + 5)


def test_a_void_round_in_a_contended_spell_is_repeated_too(lab: Lab) -> None:
    """Redos that contention used up are not missed when a counter cannot be read."""
    seen = lab.measure(FIVE, fails(lab.sensor, (6, 7)), load=load_of(*[BUSY] * 99))
    assert joules(seen) == [1.0] * 5


@pytest.mark.parametrize("share", [LoadShare(0.031, 0.0), LoadShare(0.0, 0.01)])
def test_other_processes_and_the_hypervisor_contend(lab: Lab, share: LoadShare) -> None:
    """More than 3 % by others, or any steal, repeats a round."""
    lab.measure(load=load_of(share))
    assert lab.calls == 1 + 1 + 5


@pytest.mark.parametrize(
    ("foreign", "repeated", "kept"), [(1, 2, 0), (2, 3, 0), (3, 3, 1), (4, 3, 2)]
)
def test_a_round_with_a_foreign_process_on_the_card_is_repeated(
    foreign: int, repeated: int, kept: int
) -> None:
    """Up to three times; what is still shared then is kept and reported."""
    card = Card(USED)
    lab = Lab(card)
    shared = DeviceState(used=True, foreign=True)
    seen = lab.measure(FIVE, lambda call: card.become(shared if 2 <= call < 2 + foreign else USED))
    # The state before a trip is that after the one before it, so one more trip is spoilt.
    assert (len(seen.rounds), lab.calls) == (5, 1 + 5 + repeated)
    findings = [f"another process used gpu:0 in {kept} of 5 rounds"] if kept else []
    assert [check.finding for check in seen.checks] == findings


def test_a_foreign_process_that_stays_on_the_card_forbids_a_verdict_on_it() -> None:
    """A verdict on the CPU is allowed."""
    lab = Lab(Card(DeviceState(used=True, foreign=True)))
    seen = lab.measure()
    assert (len(seen.rounds), lab.calls) == (5, 1 + 3 + 5)
    assert (seen.untrusted("gpu"), seen.untrusted("cpu")) == (seen.checks[0], None)


@pytest.mark.parametrize("spoilt", ["contended", "void"])
def test_no_round_is_repeated_too_late(lab: Lab, spoilt: str) -> None:
    """A spoilt round is not repeated past the limit."""

    def make_trip(trip: Trip, number: int) -> None:
        with trip.window("call"):
            lab.spend(1.0, 0.6)
            if spoilt == "void" and number > 1:
                lab.sensor.fail()

    load = load_of(*[BUSY] * 99) if spoilt == "contended" else None
    lab.run(Plan((5,), max_time_s=1.0, iterations=1), make_trip, load=load)
    assert len(lab.trips) == 1 + 1
