"""The rounds of a measurement: counters that are lost, devices that are idle, rounds that drift."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.round_book import RoundBook
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import Check, CheckName, DeviceState, Domain, Uncounted
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, GPU, PSYS, a_round
from tests.unit.measure.lab import (
    BUSY,
    CALIBRATED,
    FIVE,
    OFTEN_S,
    ONCE,
    QUIET,
    Card,
    Lab,
    counters,
    fails,
    joules,
    load_of,
    names,
)

USED, UNUSED = DeviceState(used=True), DeviceState(used=False)
HOT = DeviceState(throttle_reasons=("hardware thermal slowdown",), used=True)
LOST = Check(
    CheckName.LOST,
    "gpu:0 could not be read",
    "the other counters continued; domains that include it are not judged",
)


@pytest.fixture
def card() -> Card:
    """Return a card that does not say whether it has work."""
    return Card()


@pytest.fixture
def lab(card: Card) -> Lab:
    """Return a lab with a CPU and a card."""
    return Lab(card)


def wall() -> FakeSensor:
    """Return a wall plug, which enters no total."""
    return FakeSensor(PSYS, name="wall", update_period_s=OFTEN_S)


@pytest.mark.parametrize("plan", [CALIBRATED, FIVE], ids=["calibrated", "chosen"])
@pytest.mark.parametrize("first", [2, 4])
def test_a_counter_that_fails_for_good_is_given_up(
    lab: Lab, card: Card, first: int, plan: Plan
) -> None:
    """After three redos the others continue, and no round contains it, earlier ones included."""
    seen = lab.measure(plan, fails(card, range(first, 99)))
    assert (joules(seen), counters(seen)) == ([1.0] * 5, [["cpu:0"]] * 5)
    assert [list(round_.error_uj) for round_ in seen.rounds] == [["cpu:0"]] * 5
    assert lab.calls == 1 + 5 + 3
    assert seen.lost == {"gpu:0": "gpu:0 could not be read"}
    assert LOST in seen.checks


def test_a_lost_counter_stays_lost(lab: Lab, card: Card) -> None:
    """If it comes back, it enters no later round: rounds must be alike."""
    seen = lab.measure(Plan((8,), iterations=1), fails(card, range(3, 8)))
    assert list(seen.lost) == ["gpu:0"]
    assert counters(seen) == [["cpu:0"]] * 8


def test_without_a_counter_nothing_continues(lab: Lab, card: Card) -> None:
    """If all fail at the same time, none is lost and the measurement ends."""

    def work(call: int) -> None:
        if call >= 4:
            card.fail()
            lab.sensor.fail()

    seen = lab.measure(FIVE, work)
    assert (lab.calls, len(seen.rounds)) == (3 + 1 + 3, 2)
    assert (seen.lost, names(seen)) == ({}, ["void"])
    assert counters(seen) == [["cpu:0", "gpu:0"]] * 2


def test_one_after_the_other_they_are_lost(lab: Lab, card: Card) -> None:
    """The first is given up; when the last fails too, the measurement ends."""

    def work(call: int) -> None:
        if call == 3:
            card.fail()
        elif call == 8:
            lab.sensor.fail()

    seen = lab.measure(Plan((9,), iterations=1), work)
    assert (counters(seen), list(seen.lost)) == ([["cpu:0"]] * 3, ["gpu:0"])
    assert lab.calls == 7 + 1 + 3


def test_a_counter_in_no_total_costs_no_round() -> None:
    """A wall plug that fails is left out at once, with its reason, and no round is void."""
    plug = wall()
    lab = Lab(plug)
    seen = lab.measure(FIVE, fails(plug, range(4, 99)))
    assert (counters(seen), lab.calls) == ([["cpu:0"]] * 5, 1 + 5)
    assert (seen.lost, names(seen)) == ({"psys": "psys could not be read"}, ["lost"])


def test_lost_counters_are_in_the_order_of_the_sensors() -> None:
    """Equal runs write equal files: the order does not depend on the hashes of names."""
    domains = [Domain(f"psys:{number}", "psys", counted=False) for number in range(8)]
    plug = FakeSensor(*domains, name="wall", update_period_s=OFTEN_S)
    seen = Lab(plug).measure(FIVE, fails(plug, range(4, 99)))
    assert list(seen.lost) == [domain.name for domain in domains]


def test_the_last_counted_counter_is_not_lost_for_one_that_is_not_counted() -> None:
    """A measurement does not continue with the wall plug alone."""
    lab = Lab(wall())
    seen = lab.measure(FIVE, fails(lab.sensor, range(2, 99)))
    assert (seen.rounds, seen.lost, names(seen)) == ((), {}, ["void"])


def test_once_a_counter_that_fails_is_lost_at_once(lab: Lab, card: Card) -> None:
    """Work that cannot be repeated is not; the other counters have their round."""
    seen = lab.measure(ONCE, fails(card, (1,)))
    assert (lab.calls, joules(seen), counters(seen)) == (1, [1.0], [["cpu:0"]])
    assert LOST in seen.checks


@pytest.mark.parametrize("plan", [ONCE, CALIBRATED, FIVE])
def test_a_counter_that_fails_between_two_windows_is_lost(lab: Lab, card: Card, plan: Plan) -> None:
    """Its energy of the first window is not in the round either."""

    def make_trip(trip: Trip, number: int) -> None:
        card.recover()
        for _ in range(2):
            with trip.window("step"):
                lab.spend(1.0)
            card.fail()

    seen = lab.run(plan, make_trip)["step"]
    assert counters(seen) == [["cpu:0"]] * plan.looks[0]
    assert [list(round_.error_uj) for round_ in seen.rounds] == [["cpu:0"]] * plan.looks[0]
    assert list(seen.lost) == ["gpu:0"]


def test_every_name_loses_the_counter(lab: Lab, card: Card) -> None:
    """A counter that failed in one window of the loop is in the rounds of none."""

    def make_trip(trip: Trip, number: int) -> None:
        for name in ("prefill", "decode"):
            with trip.window(name):
                lab.spend(1.0)
        if number == 3:
            card.fail()

    seen = lab.run(FIVE, make_trip)
    for name in ("prefill", "decode"):
        assert counters(seen[name]) == [["cpu:0"]] * 5
        assert list(seen[name].lost) == ["gpu:0"]


def test_a_round_knows_the_state_of_its_devices(lab: Lab, card: Card) -> None:
    """It is the state after the round, with reasons and use from before it."""
    card.state = DeviceState(throttle_reasons=("sync boost",), used=True)
    later = DeviceState(temperature_c=70.0, throttle_reasons=("software power cap",))
    seen = lab.measure(ONCE, lambda call: card.become(later))
    reasons = ("sync boost", "software power cap")
    assert seen.rounds[0].devices == {
        "gpu:0": DeviceState(temperature_c=70.0, throttle_reasons=reasons, used=True)
    }


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        ([UNUSED] * 6, False),
        ([USED] + [UNUSED] * 6, False),
        ([UNUSED] * 5 + [USED], True),
        ([UNUSED] * 5 + [DeviceState(used=None)], True),
        ([USED] * 6, True),
    ],
    ids=["never", "before the warm-up", "in one round", "perhaps in one", "always"],
)
def test_a_card_that_no_round_used_is_idle(
    lab: Lab, card: Card, states: list[DeviceState], counted: bool
) -> None:
    """One that had work in a single round, or may have had, is counted in all of them."""
    card.state = states[0]
    after = states[-6:]
    seen = lab.measure(FIVE, lambda call: card.become(after[call - 1]))
    assert [(d.name, d.counted, d.idle) for d in seen.domains] == [
        ("cpu:0", True, False),
        ("gpu:0", counted, not counted),
    ]
    assert counters(seen) == [["cpu:0", "gpu:0"]] * 5


@pytest.mark.parametrize(("state", "checks"), [(USED, ["disagreement"]), (UNUSED, [])])
def test_a_doubtful_counter_is_reported_if_it_counts(state: DeviceState, checks: list[str]) -> None:
    """Rounds are kept, and nothing is reported of an idle card."""
    doubt = "gpu:0 counts 15 % less than its integrated power"
    seen = Lab(Card(state, doubt)).measure()
    assert (len(seen.rounds), names(seen)) == (5, checks)


def test_rounds_that_drift_are_dropped_once(lab: Lab) -> None:
    """Five rounds that rise are a longer warm-up; level ones follow, and no check fails."""
    seen = lab.measure(CALIBRATED, lambda call: 1.0 + 0.02 * min(call, 6))
    assert joules(seen) == [1.12] * 5
    assert (lab.calls, seen.checks, seen.uncounted) == (1 + 5 + 5, (), Uncounted(before=6))


def test_rounds_that_drift_again_are_flagged(lab: Lab) -> None:
    """The second time they are kept, and their drift is reported."""
    seen = lab.measure(CALIBRATED, lambda call: 1.02**call)
    assert lab.calls == 1 + 5 + 5
    assert joules(seen)[0] == pytest.approx(1.148686, abs=1e-6)
    assert seen.checks == (
        Check(CheckName.DRIFT, "+8.2 % over the rounds", "warmed up once more, then flagged"),
    )


def test_work_without_a_warm_up_is_not_warmed_up_again(lab: Lab) -> None:
    """If a test requests none, its first rounds count, and their drift is flagged."""
    seen = lab.measure(Plan((5,), warmup=0, iterations=1), lambda call: 1.5 - 0.1 * call)
    assert (len(seen.rounds), seen.uncounted) == (5, Uncounted())
    assert [check.done for check in seen.checks] == ["flagged: the test has no warm-up"]


def test_dropped_rounds_take_their_contention_along(lab: Lab) -> None:
    """A flag is about rounds that are kept."""
    load = load_of(*[BUSY] * 4)
    seen = lab.measure(FIVE, lambda call: 1.0 + 0.02 * min(call, 9), load=load)
    assert (joules(seen), seen.checks) == ([1.18] * 5, ())


def test_dropped_rounds_take_their_faults_along() -> None:
    """A card that was throttled only in the longer warm-up is not reported."""
    card = Card(USED)
    lab = Lab(card, judged="cpu")

    def work(call: int) -> float:
        card.become(HOT if call < 5 else USED)
        return 1.0 + 0.1 * min(call, 6)

    seen = lab.measure(FIVE, work)
    assert (len(seen.rounds), seen.checks, lab.calls) == (5, (), 1 + 5 + 5)


def test_joules_of_an_idle_card_do_not_drift(lab: Lab, card: Card) -> None:
    """A card that warms up by itself is no drift of the work."""
    card.state = UNUSED
    seen = lab.measure(FIVE, lambda call: card.spend(0.1 * call, "gpu:0", 0.0))
    assert (lab.calls, names(seen)) == (6, [])


@pytest.mark.parametrize(
    ("hottest_c", "checks"),
    [
        (52.0, ()),
        (
            99.0,
            (
                Check(
                    CheckName.DRIFT,
                    "gpu:0 warmed by 8 C over the rounds",
                    "warmed up once more, then flagged",
                ),
            ),
        ),
    ],
)
def test_rounds_of_a_card_that_warms_up_are_dropped_once(
    lab: Lab, card: Card, hottest_c: float, checks: tuple[Check, ...]
) -> None:
    """More than 5 degrees over five rounds are a longer warm-up; the second time, a check."""

    def work(call: int) -> None:
        card.become(DeviceState(temperature_c=min(40.0 + 2 * call, hottest_c), used=True))

    seen = lab.measure(CALIBRATED, work)
    assert (len(seen.rounds), lab.calls, seen.checks) == (5, 1 + 5 + 5, checks)


def test_a_lost_counter_leaves_no_power_over_time() -> None:
    """Rounds from before it was lost keep the curves of the other counters alone."""
    curve = PowerCurve((0.1,), (10.0,))
    round_ = replace(a_round(more={"gpu:0": 2.0}), power={"cpu:0": curve, "gpu:0": curve})
    made: Any = SimpleNamespace(
        trip=SimpleNamespace(iterations=1, names=("call",), missing={}),
        rounds={"call": round_},
        faults=lambda: (),
        **{"void": None, "dispensable": set(), "share": QUIET, "thread": None},
    )
    book = RoundBook(Instruments([FakeSensor(CPU), FakeSensor(GPU)]), 0.05, True, None)
    book.enter(made)
    book.keep(made)
    assert book.lose({"gpu:0": "it fell off the bus"})
    [kept] = book.measurements()["call"].rounds
    assert (kept.energy_uj, kept.power) == ({"cpu:0": 1_000_000}, {"cpu:0": curve})
    assert not book.lose({"cpu:0": "it failed too"})
    assert list(book.lost) == ["gpu:0"]
