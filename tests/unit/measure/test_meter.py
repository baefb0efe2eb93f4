"""The meter: warm-up, calibration, rounds and what is done about spoilt ones, in virtual time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.measure import meter as metering
from pytest_greenops.measure.meter import MIN_ROUND_S, REDOS, Meter, Plan
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    DeviceState,
    Domain,
    LoadShare,
    Measurement,
    Reading,
    Rest,
    Uncounted,
)
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

CPU = Domain("cpu:0", "cpu")
GPU = Domain("gpu:0", "gpu")
PSYS = Domain("psys", "psys", counted=False)
#: A counter that moves so often that any round of 0.1 s is long enough.
OFTEN_S = 0.0001
QUIET = LoadShare(0.0, 0.0)
BUSY = LoadShare(0.2, 0.0, idle=0.5)


class FakeLoad:
    """Tells what the shares say, one for each trip; then nothing more."""

    def __init__(self, shares: Iterable[LoadShare]) -> None:
        self._shares = iter(shares)
        self.watching = False

    def start(self) -> None:
        """Begin to watch."""
        self.watching = True

    def stop(self) -> LoadShare:
        """The next share."""
        assert self.watching
        self.watching = False
        return next(self._shares, QUIET)


class Lab:
    """A meter over a fake sensor by whose clock it goes, and work that spends on that sensor.

    beside  further sensors, on which the work spends as much as on the first, in the same time
    judged  the domain that is judged
    calls  how often the work was called
    trips  the iterations of every trip, warm-up and all
    stepped  of every trip, whether its windows begin at unlike phases
    looks  the numbers of the looks that were taken
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, period_s: float = OFTEN_S) -> None:
        self.sensor = FakeSensor(CPU, update_period_s=period_s)
        self.beside: tuple[FakeSensor, ...] = ()
        self.judged = "total"
        self.stepped: list[bool] = []
        self.calls = 0
        self.trips: list[int] = []
        self.looks: list[int] = []
        self.progress: list[tuple[int, int]] = []
        self.kept: dict[str, Measurement] = {}
        monkeypatch.setattr(metering, "time", SimpleNamespace(monotonic=self.now))

    def now(self) -> float:
        """Seconds of the sensor's clock."""
        return self.sensor.read().time_ns * 1e-9

    def meter(
        self,
        plan: Plan,
        enough: Callable[[Mapping[str, Measurement], int], bool] = lambda known, number: False,
        **more: Any,
    ) -> Meter:
        """A meter of this lab; its looks and progress are noted down."""

        def noted(known: Mapping[str, Measurement], number: int) -> bool:
            self.looks.append(number)
            self.kept = dict(known)
            return enough(known, number)

        def note(done: int, most: int) -> None:
            self.progress.append((done, most))

        instruments = Instruments([self.sensor, *self.beside])
        instruments.judge_by(self.judged)
        return Meter(instruments, plan, noted, progress=note, **more)

    def measure(
        self,
        plan: Plan,
        work: Callable[[int], float] = lambda call: 1.0,
        seconds: float = 0.2,
        **more: Any,
    ) -> Measurement:
        """Measure a function that spends `work(number of the call)` joules in so many seconds."""
        meter = self.meter(plan, **more)
        for trip in meter.trips():
            self.trips.append(trip.iterations)
            self.stepped.append(trip.stepped)
            with trip.window("call"):
                for _ in range(trip.iterations):
                    self.calls += 1
                    joules = work(self.calls)
                    self.sensor.spend(joules, seconds=seconds)
                    for sensor in self.beside:
                        sensor.spend(joules, sensor.domains[0].name, seconds)
        return meter.measurements()["call"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose counter moves every tenth of a millisecond."""
    return Lab(monkeypatch)


def joules(measurement: Measurement) -> list[float]:
    """Joules of one call in each round."""
    return [r.energy_uj["cpu:0"] / 1e6 / r.iterations for r in measurement.rounds]


def numbered(call: int) -> float:
    """Joules that tell which call they are of, and hardly rise."""
    return 1.0 + call * 1e-4


def calls_of(measurement: Measurement) -> list[int]:
    """Which numbered calls the rounds were."""
    return [round((energy - 1.0) * 1e4) for energy in joules(measurement)]


def names(measurement: Measurement) -> list[str]:
    """The self-checks that did not hold."""
    return [check.name for check in measurement.checks]


# --- warm-up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("warmup", "dear"), [(None, 1), (1, 1), (3, 3), (0, 0)])
def test_the_warm_up_is_not_counted(lab: Lab, warmup: int | None, dear: int) -> None:
    """The first passes, one if nothing is said, are made and left out of every figure."""
    plan = Plan((5,), warmup=warmup)
    seen = lab.measure(plan, lambda call: 100.0 if call <= dear else 1.0)
    assert joules(seen) == [1.0] * 5
    assert lab.calls == dear + 5
    assert seen.uncounted == Uncounted(before=dear)


def test_every_call_is_in_a_round_or_uncounted(lab: Lab) -> None:
    """Warm-up and calibration come before the first round; a round made again lies between."""
    load = FakeLoad([*[QUIET] * 5, BUSY])
    seen = lab.measure(Plan((5,)), seconds=0.03, load=load)
    warm_up, calibration, *_, last = lab.trips
    assert seen.uncounted == Uncounted(warm_up + calibration, last)
    assert lab.calls == warm_up + calibration + last + sum(r.iterations for r in seen.rounds)


def test_rounds_that_were_dropped_are_uncounted(lab: Lab) -> None:
    """What drifted came before the first round that is kept, warm-up or not."""
    seen = lab.measure(Plan((5,), iterations=1), lambda call: max(1.0, 1.6 - 0.1 * call))
    assert (len(seen.rounds), seen.uncounted) == (5, Uncounted(before=6))


def test_work_without_a_warm_up_is_not_warmed_up_again(lab: Lab) -> None:
    """Where a test asks for none, its first rounds count, and their drift is flagged."""
    seen = lab.measure(Plan((5,), warmup=0, iterations=1), lambda call: 1.5 - 0.1 * call)
    assert (len(seen.rounds), seen.uncounted) == (5, Uncounted())
    assert [check.done for check in seen.checks] == ["flagged: the test has no warm-up"]


def test_garbage_of_the_test_is_collected_before() -> None:
    """A cycle that is left from before does not burden a window."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    left = weakref.ref(Cycle())
    sensor = FakeSensor(CPU)
    next(Meter(Instruments([sensor]), Plan((1,), once=True), lambda known, number: True).trips())
    assert left() is None


# --- calibration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period_s", "needed_s"),
    [(0.001, MIN_ROUND_S), (0.01, 0.78), (0.1, 7.8)],
)
def test_rounds_are_as_long_as_the_counters_updates_ask(
    monkeypatch: pytest.MonkeyPatch, period_s: float, needed_s: float
) -> None:
    """Edges that are late by 0.78 of an update are a fifth of 5 % of a round, or less."""
    lab = Lab(monkeypatch, period_s)
    seen = lab.measure(Plan((5,)), lambda call: 0.001, seconds=0.0005)
    spans = [round_.seconds for round_ in seen.rounds]
    assert [needed_s <= span <= needed_s * 1.6 for span in spans] == [True] * 5
    assert (names(seen), len({round_.iterations for round_ in seen.rounds})) == ([], 1)


def test_a_smaller_margin_asks_for_longer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 % of change takes five times as long as 5 %; 0 % takes long, but not for ever."""
    spans = []
    for margin in (0.05, 0.01, 0.0):
        seen = Lab(monkeypatch, 0.001).measure(Plan((5,), margin=margin), seconds=0.01)
        assert names(seen) == []
        spans.append(seen.rounds[0].seconds)
    assert spans[0] >= 0.1
    assert spans[1] >= 0.39
    assert 3.9 <= spans[2] < 6.5


def test_work_that_is_long_enough_is_done_once_a_round(lab: Lab) -> None:
    """Nothing is repeated that need not be, and the call that showed it counts as a round."""
    seen = lab.measure(Plan((5,)), seconds=0.2)
    assert ([r.iterations for r in seen.rounds], lab.calls) == ([1] * 5, 1 + 5)


def test_a_window_without_time_is_too_short(lab: Lab) -> None:
    """A clock that did not move during a call asks for more of them, and divides nothing."""
    meter = lab.meter(Plan((5,)))
    for number, trip in enumerate(meter.trips(), 1):
        with trip.window("call"):
            seconds = 2e-5 * trip.iterations if number > 3 else 0.0
            lab.sensor.spend(1.0 * trip.iterations, seconds=seconds)
    seen = meter.measurements()["call"]
    assert [round_.seconds >= MIN_ROUND_S for round_ in seen.rounds] == [True] * 5


def test_calibration_is_short(lab: Lab) -> None:
    """A call of a microsecond is brought to a tenth of a second in a few trips."""
    seen = lab.measure(Plan((5,)), lambda call: 1e-6, seconds=1e-6)
    assert len(lab.trips) <= 1 + 4 + 5
    assert seen.rounds[0].iterations >= 1e5


def test_many_windows_in_a_round_need_more_than_one_long_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each window of a loop has its own edges: their errors add up by the root of their number."""
    lab = Lab(monkeypatch, 0.001)
    meter = lab.meter(Plan((5,)))
    for trip in meter.trips():
        for _ in range(trip.iterations):
            with trip.window("step"):
                lab.sensor.spend(0.1, seconds=0.01)
    seen = meter.measurements()["step"]
    # 0.78 * 1 ms * sqrt(n) / (n * 10 ms) <= 1 % from 61 windows on
    assert [61 <= round_.windows <= 110 for round_ in seen.rounds] == [True] * 5
    assert [round_.iterations for round_ in seen.rounds] == [r.windows for r in seen.rounds]
    assert names(seen) == []


def test_the_shortest_of_several_windows_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are sized by the window that needs it most."""
    lab = Lab(monkeypatch, 0.001)
    meter = lab.meter(Plan((5,)))
    for trip in meter.trips():
        for name, seconds in (("long", 0.2), ("short", 0.01)):
            with trip.window(name):
                for _ in range(trip.iterations):
                    lab.sensor.spend(0.1, seconds=seconds)
    assert meter.measurements()["short"].rounds[0].seconds >= MIN_ROUND_S


def test_iterations_that_the_test_chose_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not calibrated; where that makes rounds too short, it is said."""
    lab = Lab(monkeypatch, 0.01)
    seen = lab.measure(Plan((5,), iterations=3), seconds=0.01)
    assert lab.trips == [3] * 6
    assert [(check.name, check.untrusted) for check in seen.checks] == [("too short", True)]


def test_rounds_do_not_outgrow_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where long enough rounds would not all fit, shorter ones are made and told."""
    lab = Lab(monkeypatch, 0.1)
    seen = lab.measure(Plan((5,), max_time_s=6.0), seconds=0.01)
    assert lab.now() <= 6.0
    assert len(seen.rounds) >= 4
    assert names(seen) == ["too short"]


@pytest.mark.parametrize(("least", "span_s"), [(5, 1.0), (2, 2.0)])
def test_the_least_rounds_share_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, least: int, span_s: float
) -> None:
    """A look after many rounds does not make them short: as many as must be fit, at their best."""
    lab = Lab(monkeypatch, 0.1)
    seen = lab.measure(Plan((10,), least=least, max_time_s=6.0), seconds=0.01)
    assert seen.rounds[0].seconds == pytest.approx(span_s, rel=0.1)


# --- once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1e-6, 0.2, 100.0])
def test_once_is_exactly_one_call(lab: Lab, seconds: float) -> None:
    """Work that cannot be repeated is called once, however short or long it is."""
    seen = lab.measure(Plan((1,), once=True), seconds=seconds)
    assert (lab.calls, joules(seen), lab.looks) == (1, [1.0], [1])


def test_once_is_not_done_again(lab: Lab) -> None:
    """A spoilt round of work that cannot be repeated is kept with a flag."""
    seen = lab.measure(Plan((1,), once=True), load=FakeLoad([BUSY]))
    assert (lab.calls, names(seen), seen.checks[0].untrusted) == (1, ["contention"], True)


def test_once_void_is_given_up(lab: Lab) -> None:
    """Work that cannot be repeated and could not be read has no round, but a reason."""
    lab.sensor.fail()
    seen = lab.measure(Plan((1,), once=True))
    assert (lab.calls, seen.rounds) == (1, ())
    assert seen.checks == (Check(CheckName.VOID, "cpu:0 could not be read", "1 round left out"),)


def test_a_single_round_may_have_iterations_and_a_warm_up(lab: Lab) -> None:
    """`pedantic(rounds=1, iterations=10, warmup_rounds=2)` does what it says."""
    seen = lab.measure(Plan((1,), once=True, iterations=10, warmup=2))
    assert (lab.trips, joules(seen)) == ([10, 10, 10], [1.0])


# --- void ------------------------------------------------------------------------------------


def failing(lab: Lab, trips: Iterable[int]) -> Callable[[int], float]:
    """Work during which the sensor fails in these trips, counted from 1, the warm-up first."""

    def work(call: int) -> float:
        if len(lab.trips) in trips:
            lab.sensor.fail()
        return 1.0

    return work


def test_void_rounds_are_made_again(lab: Lab) -> None:
    """A counter that cannot be read for a while costs rounds, not figures."""
    meter = lab.meter(Plan((5,), iterations=1))
    for number, trip in enumerate(meter.trips(), 1):
        with trip.window("call"):
            lab.sensor.spend(1.0)
            if number in (3, 4, 5):
                lab.sensor.fail()
        lab.sensor.recover()
    seen = meter.measurements()["call"]
    assert (joules(seen), number) == ([1.0] * 5, 1 + 5 + 3)
    assert seen.checks == (Check(CheckName.VOID, "cpu:0 could not be read", "3 rounds left out"),)


@pytest.mark.parametrize("iterations", [None, 1])
def test_a_round_that_stays_void_is_given_up(lab: Lab, iterations: int | None) -> None:
    """After three times more the measurement ends with its reason, calibrated or not."""
    seen = lab.measure(Plan((5,), iterations=iterations), failing(lab, range(2, 99)))
    assert len(lab.trips) == 1 + 1 + REDOS
    assert (seen.rounds, lab.looks) == ((), [1])
    assert seen.checks == (Check(CheckName.VOID, "cpu:0 could not be read", "4 rounds left out"),)


def test_rounds_before_a_breakdown_are_kept(lab: Lab) -> None:
    """A sensor that vanishes midway leaves what was measured, and the meter stops asking."""
    seen = lab.measure(Plan((5, 10, 15)), failing(lab, range(5, 99)))
    assert (joules(seen), lab.looks) == ([1.0] * 3, [1])
    assert names(seen) == ["void"]


def test_a_void_warm_up_is_no_matter(lab: Lab) -> None:
    """Only rounds are counted as left out."""
    meter = lab.meter(Plan((5,)))
    lab.sensor.fail()
    for trip in meter.trips():
        with trip.window("call"):
            lab.sensor.spend(1.0)
        lab.sensor.recover()
    seen = meter.measurements()["call"]
    assert (joules(seen), seen.checks) == ([1.0] * 5, ())


# --- lost ------------------------------------------------------------------------------------


class Card(FakeSensor):
    """A card that can tell its state, and may contradict its own power."""

    def __init__(self, domain: Domain = GPU, doubts: Mapping[str, str] | None = None) -> None:
        super().__init__(domain, name="card", update_period_s=OFTEN_S)
        self.doubts = doubts or {}
        self.state = DeviceState()

    def states(self) -> dict[str, DeviceState]:
        """Its state, as the test has set it."""
        return {self.domains[0].name: self.state}


def energies(measurement: Measurement) -> list[list[str]]:
    """The counters that are in each round."""
    return [list(round_.energy_uj) for round_ in measurement.rounds]


def after(lab: Lab, trips: int, act: Callable[[], object]) -> Callable[[int], float]:
    """Work that does something in each trip after the first so many, the warm-up among them."""

    def work(call: int) -> float:
        if len(lab.trips) > trips:
            act()
        return 1.0

    return work


LOST = Check(
    CheckName.LOST,
    "gpu:0 could not be read",
    "the other counters went on; nothing that holds it is judged",
)


@pytest.mark.parametrize("iterations", [None, 1])
@pytest.mark.parametrize("trips", [1, 3])
def test_a_counter_that_fails_for_good_is_given_up(
    lab: Lab, trips: int, iterations: int | None
) -> None:
    """After three times more the others go on, and no round holds it: not those before either."""
    card = Card()
    lab.beside = (card,)
    seen = lab.measure(Plan((5,), iterations=iterations), after(lab, trips, card.fail))
    assert (joules(seen), energies(seen)) == ([1.0] * 5, [["cpu:0"]] * 5)
    assert [list(round_.error_uj) for round_ in seen.rounds] == [["cpu:0"]] * 5
    assert len(lab.trips) == 1 + 5 + REDOS
    assert seen.lost == {"gpu:0": "gpu:0 could not be read"}
    assert LOST in seen.checks


def test_a_counter_that_recovers_in_time_is_kept(lab: Lab) -> None:
    """Three failures in a row cost three rounds, and no counter."""
    card = Card()
    lab.beside = (card,)

    def work(call: int) -> float:
        if call in (3, 4):
            card.fail()
        else:
            card.recover()
        return 1.0

    seen = lab.measure(Plan((5,), iterations=1), work)
    assert (energies(seen), seen.lost) == ([["cpu:0", "gpu:0"]] * 5, {})
    # The fifth call found the counter as the fourth had left it.
    assert seen.checks == (Check(CheckName.VOID, "gpu:0 could not be read", "3 rounds left out"),)


def test_a_lost_counter_stays_lost(lab: Lab) -> None:
    """Where it comes back, it is in no later round: rounds with and without it are not alike."""
    card = Card()
    lab.beside = (card,)

    def work(call: int) -> float:
        if 3 <= call <= 6:
            card.fail()
        elif call == 8:
            card.recover()
        return 1.0

    seen = lab.measure(Plan((8,), iterations=1), work)
    assert list(seen.lost) == ["gpu:0"]
    assert energies(seen) == [["cpu:0"]] * 8


def test_without_a_counter_nothing_goes_on(lab: Lab) -> None:
    """Where both fail, or one after the other, the measurement ends as that of a single one."""
    card = Card()
    lab.beside = (card,)

    def both() -> None:
        card.fail()
        lab.sensor.fail()

    seen = lab.measure(Plan((5,), iterations=1), after(lab, 3, both))
    assert (len(lab.trips), len(seen.rounds)) == (3 + 1 + REDOS, 2)
    assert (seen.lost, names(seen)) == ({}, ["void"])
    assert energies(seen) == [["cpu:0", "gpu:0"]] * 2


def test_one_after_the_other_they_are_lost(lab: Lab) -> None:
    """The first is given up; when the last fails too, there is nothing left to go on with."""
    card = Card()
    lab.beside = (card,)

    def work(call: int) -> float:
        if call == 3:
            card.fail()
        elif call == 8:
            lab.sensor.fail()
        return 1.0

    seen = lab.measure(Plan((9,), iterations=1), work)
    assert (energies(seen), list(seen.lost)) == ([["cpu:0"]] * 3, ["gpu:0"])
    assert len(lab.trips) == 7 + 1 + REDOS


def test_a_counter_that_no_total_holds_costs_no_round(lab: Lab) -> None:
    """What the wall plug cannot tell is left out at once, with its reason, and nothing is void."""
    wall = FakeSensor(PSYS, name="wall", update_period_s=OFTEN_S)
    lab.beside = (wall,)
    seen = lab.measure(Plan((5,), iterations=1), after(lab, 3, wall.fail))
    assert (energies(seen), len(lab.trips)) == ([["cpu:0"]] * 5, 1 + 5)
    assert seen.lost == {"psys": "psys could not be read"}
    assert names(seen) == ["lost"]


def test_the_last_counted_counter_is_not_lost_for_one_that_is_not(lab: Lab) -> None:
    """The wall plug alone is nothing to go on with."""
    lab.beside = (FakeSensor(PSYS, name="wall", update_period_s=OFTEN_S),)
    seen = lab.measure(Plan((5,), iterations=1), after(lab, 1, lab.sensor.fail))
    assert (seen.rounds, seen.lost, names(seen)) == ((), {}, ["void"])


def test_once_a_counter_that_fails_is_lost_at_once(lab: Lab) -> None:
    """Work that cannot be repeated is not; the other counters have their round."""
    card = Card()
    lab.beside = (card,)
    seen = lab.measure(Plan((1,), once=True), after(lab, 0, card.fail))
    assert (lab.calls, joules(seen), energies(seen)) == (1, [1.0], [["cpu:0"]])
    assert LOST in seen.checks


@pytest.mark.parametrize("plan", [Plan((1,), once=True), Plan((5,)), Plan((5,), iterations=1)])
def test_a_counter_that_fails_between_two_windows_is_lost(lab: Lab, plan: Plan) -> None:
    """What it told of the first window of a round is not in the round either."""
    card = Card()
    lab.beside = (card,)
    meter = lab.meter(plan)
    for trip in meter.trips():
        card.recover()
        for _ in range(2):
            with trip.window("step"):
                lab.sensor.spend(1.0, seconds=0.2)
                card.spend(1.0, "gpu:0", seconds=0.2)
            card.fail()
    seen = meter.measurements()["step"]
    assert energies(seen) == [["cpu:0"]] * plan.looks[0]
    assert [list(round_.error_uj) for round_ in seen.rounds] == energies(seen)
    assert list(seen.lost) == ["gpu:0"]


def test_every_name_loses_the_counter(lab: Lab) -> None:
    """It failed in one window of the loop; it is in the rounds of none."""
    card = Card()
    lab.beside = (card,)
    meter = lab.meter(Plan((5,), iterations=1))
    for number, trip in enumerate(meter.trips(), 1):
        for name in ("prefill", "decode"):
            with trip.window(name):
                lab.sensor.spend(1.0, seconds=0.2)
                card.spend(1.0, "gpu:0", seconds=0.2)
        if number == 3:
            card.fail()
    seen = meter.measurements()
    assert {name: energies(m) for name, m in seen.items()} == {
        name: [["cpu:0"]] * 5 for name in ("prefill", "decode")
    }
    assert [list(m.lost) for m in seen.values()] == [["gpu:0"]] * 2


# --- devices ---------------------------------------------------------------------------------


HOT = DeviceState(throttle_reasons=("hardware thermal slowdown",), used=True)
BUSY_CARD = DeviceState(used=True)
IDLE_CARD = DeviceState(used=False)


def with_card(lab: Lab, state: DeviceState = BUSY_CARD, **doubts: str) -> Card:
    """A card beside the CPU of a lab."""
    card = Card(doubts={name.replace("_", ":"): why for name, why in doubts.items()})
    card.state = state
    lab.beside = (card,)
    return card


def test_a_throttled_card_voids_the_round(lab: Lab) -> None:
    """Once it is cool again the round is made anew, and how many were left out is told."""
    card = with_card(lab)

    def work(call: int) -> float:
        card.state = HOT if call in (3, 4) else BUSY_CARD
        return 1.0

    seen = lab.measure(Plan((5,), iterations=1), work)
    # Its state at the beginning of a trip counts too, so that the trip after them is void as well.
    assert seen.checks == (
        Check(
            CheckName.VOID,
            "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)",
            "3 rounds left out",
        ),
    )
    assert (len(seen.rounds), lab.calls) == (5, 1 + 3 + 5)


def test_a_card_that_stays_throttled_ends_the_measurement(lab: Lab) -> None:
    """Nothing is lost by it, for its counter counts; but there is nothing to be said."""
    with_card(lab, HOT)
    seen = lab.measure(Plan((5,), iterations=1))
    assert (seen.rounds, seen.lost, len(lab.trips)) == ((), {}, 1 + 1 + REDOS)
    assert [check.finding for check in seen.checks] == [
        "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)"
    ]


@pytest.mark.parametrize(
    "state",
    [
        DeviceState(throttle_reasons=("hardware thermal slowdown",), used=False),
        DeviceState(throttle_reasons=("software power cap",), used=True),
    ],
    ids=["idle", "at its limit"],
)
def test_what_does_not_slow_the_work_down_voids_nothing(lab: Lab, state: DeviceState) -> None:
    """An idle card may be hot; one that keeps to its power limit is as it always is."""
    with_card(lab, state)
    seen = lab.measure(Plan((5,), iterations=1))
    assert (len(seen.rounds), seen.checks) == (5, ())


@pytest.mark.parametrize(("judged", "rounds"), [("cpu", 5), ("gpu", 0), ("total", 0)])
def test_a_device_that_is_not_judged_may_be_throttled(lab: Lab, judged: str, rounds: int) -> None:
    """The rounds are kept, and it is told; where it is judged there are none."""
    with_card(lab, HOT)
    lab.judged = judged
    seen = lab.measure(Plan((5,), iterations=1))
    found = "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)"
    kept = Check(
        CheckName.THROTTLED, found, "5 rounds kept, since gpu:0 is not judged", kinds=("gpu",)
    )
    assert len(seen.rounds) == rounds
    assert seen.checks == (
        (kept,) if rounds else (Check(CheckName.VOID, found, "4 rounds left out"),)
    )


def test_rounds_that_are_dropped_take_their_faults_along(lab: Lab) -> None:
    """What was throttled only in the rounds that were a longer warm-up is not told."""
    card = with_card(lab)
    lab.judged = "cpu"

    def work(call: int) -> float:
        card.state = HOT if call < 5 else BUSY_CARD
        return 1.0 + 0.1 * min(call, 6)

    seen = lab.measure(Plan((5,), iterations=1), work)
    assert (len(seen.rounds), seen.checks, lab.calls) == (5, (), 1 + 5 + 5)


def test_a_round_knows_the_state_of_its_devices(lab: Lab) -> None:
    """As it is after the round, with reasons and use from before it."""
    card = with_card(lab, DeviceState(throttle_reasons=("sync boost",), used=True))

    def work(call: int) -> float:
        card.state = DeviceState(temperature_c=70.0, throttle_reasons=("software power cap",))
        return 1.0

    seen = lab.measure(Plan((1,), once=True), work)
    assert seen.rounds[0].devices == {
        "gpu:0": DeviceState(
            temperature_c=70.0, throttle_reasons=("sync boost", "software power cap"), used=True
        )
    }


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        ([IDLE_CARD] * 6, False),
        ([IDLE_CARD] * 5 + [BUSY_CARD], True),
        ([IDLE_CARD] * 5 + [DeviceState(used=None)], True),
        ([BUSY_CARD] * 6, True),
    ],
)
def test_a_card_that_no_round_used_stands_apart(
    lab: Lab, states: list[DeviceState], counted: bool
) -> None:
    """One that had work in a single round, or may have had, is counted in all of them."""
    card = with_card(lab, states[0])

    def work(call: int) -> float:
        card.state = states[call - 1]
        return 1.0

    seen = lab.measure(Plan((5,), iterations=1), work)
    assert [(d.name, d.counted, d.idle) for d in seen.domains] == [
        ("cpu:0", True, False),
        ("gpu:0", counted, not counted),
    ]
    assert energies(seen) == [["cpu:0", "gpu:0"]] * 5


def test_a_card_of_the_warm_up_alone_is_idle(lab: Lab) -> None:
    """What had work on it before the rounds has none in them."""
    card = with_card(lab)

    def work(call: int) -> float:
        card.state = IDLE_CARD
        return 1.0

    seen = lab.measure(Plan((5,), iterations=1), work)
    assert [domain.idle for domain in seen.domains] == [False, True]


def test_joules_of_an_idle_card_do_not_drift(lab: Lab) -> None:
    """A card that warms up by itself is no drift of the work."""
    card = with_card(lab, IDLE_CARD)
    meter = lab.meter(Plan((5,), iterations=1))
    for number, trip in enumerate(meter.trips(), 1):
        with trip.window("call"):
            lab.sensor.spend(1.0, seconds=0.2)
            card.spend(1.0 + 0.1 * number, "gpu:0", seconds=0.2)
    assert number == 6
    assert names(meter.measurements()["call"]) == []


@pytest.mark.parametrize(("state", "told"), [(BUSY_CARD, True), (IDLE_CARD, False)])
def test_a_doubtful_counter_is_told_where_it_counts(
    lab: Lab, state: DeviceState, told: bool
) -> None:
    """Rounds are kept, and of an idle card nothing is said."""
    with_card(lab, state, gpu_0="gpu:0 counts 15 % less than its integrated power")
    seen = lab.measure(Plan((5,), iterations=1))
    assert (len(seen.rounds), names(seen)) == (5, ["disagreement"] * told)


@pytest.mark.parametrize("times", [1, 3, 4])
def test_a_round_beside_a_stranger_on_the_card_is_made_again(lab: Lab, times: int) -> None:
    """Up to three times; the fourth is kept, and told."""
    card = with_card(lab)

    def work(call: int) -> float:
        card.state = DeviceState(used=True, foreign=2 <= call < 2 + times)
        return 1.0

    seen = lab.measure(Plan((5,), iterations=1), work)
    # The state before a trip is that after the one before, so that one more is spoilt.
    spoilt = max(0, times + 1 - REDOS)
    assert (len(seen.rounds), lab.calls) == (5, 1 + 5 + times + 1 - spoilt)
    assert [check.finding for check in seen.checks] == [
        f"another process had gpu:0 in use in {spoilt} of 5 rounds"
    ] * bool(spoilt)


def test_a_stranger_on_the_card_for_good_forbids_a_verdict_on_it(lab: Lab) -> None:
    """But none on the CPU."""
    with_card(lab, DeviceState(used=True, foreign=True))
    seen = lab.measure(Plan((5,), iterations=1))
    assert (len(seen.rounds), lab.calls) == (5, 1 + REDOS + 5)
    assert (seen.untrusted("gpu"), seen.untrusted("cpu")) == (seen.checks[0], None)


def heating(lab: Lab, degrees_c: Callable[[int], float]) -> Callable[[int], float]:
    """Work of a constant energy, after each call of which a card has these degrees."""
    card = with_card(lab)

    def work(call: int) -> float:
        card.state = DeviceState(temperature_c=degrees_c(call), used=True)
        return 1.0

    return work


def test_rounds_of_a_card_that_warms_up_are_thrown_away_once(lab: Lab) -> None:
    """More than 5 degrees over five rounds were a longer warm-up; then it is warm."""
    seen = lab.measure(Plan((5,)), heating(lab, lambda call: min(40 + 2 * call, 52)))
    assert (len(seen.rounds), lab.calls, seen.checks) == (5, 1 + 5 + 5, ())
    assert {r.devices["gpu:0"].temperature_c for r in seen.rounds} == {52}


def test_a_card_that_warms_on_is_flagged(lab: Lab) -> None:
    """The second time the rounds are kept, and how far it warmed is told."""
    seen = lab.measure(Plan((5,)), heating(lab, lambda call: 40 + 2 * call))
    assert lab.calls == 1 + 5 + 5
    done = "warmed up once more, then flagged"
    assert seen.checks == (Check(CheckName.DRIFT, "gpu:0 warmed by 8 C over the rounds", done),)


# --- implausible -----------------------------------------------------------------------------


def limited(lab: Lab, watts: float = 10.0) -> None:
    """Let the CPU of a lab have a power limit; a call of 1 J takes 0.2 s."""
    domain = Domain("cpu:0", "cpu", max_power_w=watts)
    lab.sensor = FakeSensor(domain, update_period_s=OFTEN_S)


def test_a_round_of_implausible_power_is_made_again(lab: Lab) -> None:
    """A counter that jumps has told nothing; how often is told, with watts and limit."""
    limited(lab)
    seen = lab.measure(Plan((5,), iterations=1), lambda call: 9.0 if call in (3, 4) else 1.0)
    assert (joules(seen), lab.calls) == ([1.0] * 5, 1 + 5 + 2)
    found = "cpu:0 counted 45.0 W, which is implausible: its limit is 10.0 W"
    assert seen.checks == (Check(CheckName.VOID, found, "2 rounds left out"),)


def test_power_that_stays_implausible_ends_the_measurement(lab: Lab) -> None:
    """After three times more there is nothing to be said, but the reason."""
    limited(lab)
    seen = lab.measure(Plan((5,), iterations=1), lambda call: 9.0)
    assert (seen.rounds, seen.lost, lab.calls) == ((), {}, 1 + 1 + REDOS)
    assert names(seen) == ["void"]


def test_implausible_power_of_a_counter_that_is_not_judged_is_told(lab: Lab) -> None:
    """It spoils no round of the card; the first finding stands for all."""
    limited(lab)
    with_card(lab)
    lab.judged = "gpu"
    seen = lab.measure(Plan((5,), iterations=1), lambda call: 9.0)
    found = "cpu:0 counted 45.0 W, which is implausible: its limit is 10.0 W"
    done = "5 rounds kept, since cpu:0 is not judged"
    assert seen.checks == (Check(CheckName.IMPLAUSIBLE, found, done, kinds=("cpu",)),)
    assert (len(seen.rounds), seen.untrusted("gpu")) == (5, None)


@pytest.mark.parametrize(("busy", "rounds"), [(BUSY._replace(others=0.0), 0), (QUIET, 5)])
def test_a_round_below_the_power_at_rest_is_void_where_the_machine_worked(
    lab: Lab, busy: LoadShare, rounds: int
) -> None:
    """5 W are less than half of the 20 W that it drew at rest, unless it sleeps deeper now."""
    instruments = Instruments([lab.sensor])
    instruments.rest = Rest(watts={"cpu:0": 20.0})
    meter = Meter(
        instruments, Plan((5,), iterations=1), lambda known, n: True, load=load_of(*[busy] * 99)
    )
    for trip in meter.trips():
        with trip.window("call"):
            lab.sensor.spend(1.0, seconds=0.2)
    assert len(meter.measurements()["call"].rounds) == rounds


def test_an_estimate_is_never_implausible(monkeypatch: pytest.MonkeyPatch) -> None:
    """No counter stands behind it that could be wrong."""
    lab = Lab(monkeypatch)
    domain = Domain("cpu:0", "cpu", max_power_w=1.0)
    lab.sensor = FakeSensor(domain, update_period_s=OFTEN_S, source="estimated")
    assert (len(lab.measure(Plan((5,))).rounds), lab.calls) == (5, 1 + 5)


# --- edges -----------------------------------------------------------------------------------


class Edged(FakeSensor):
    """A sensor that makes edges of its own, each off by so much; its power is sampled."""

    phase_period_s = 0.0

    def __init__(self, error_j: float = 0.0, period_s: float = 0.0) -> None:
        super().__init__(CPU, update_period_s=OFTEN_S)
        self.phase_period_s = period_s
        self.error_uj = error_j * 1e6

    def begin(self, phase_s: float) -> Reading:
        """The counts, with their error."""
        return self.read()._replace(error_uj=[self.error_uj])

    def end(self) -> Reading:
        """The counts, with their error."""
        return self.begin(0.0)


def test_rounds_are_as_long_as_the_stated_error_asks(lab: Lab) -> None:
    """Edges that are off by 3 J each are off by less than 1 % of a round, which holds 424 J."""
    lab.sensor = Edged(error_j=3.0)
    seen = lab.measure(Plan((5,)), lambda call: 0.1, seconds=0.001)
    spent = [round_.energy_uj["cpu:0"] / 1e6 for round_ in seen.rounds]
    assert [424.0 <= each <= 424.0 * 1.6 for each in spent] == [True] * 5
    assert [round_.error_uj["cpu:0"] for round_ in seen.rounds] == pytest.approx(
        [18**0.5 * 1e6] * 5
    )
    assert names(seen) == []


def test_exact_edges_need_no_longer_rounds(lab: Lab) -> None:
    """Where a sensor knows its counts, a round is as short as any may be."""
    lab.sensor = Edged()
    seen = lab.measure(Plan((5,)), lambda call: 0.1, seconds=0.001)
    assert [MIN_ROUND_S <= r.seconds <= MIN_ROUND_S * 1.6 for r in seen.rounds] == [True] * 5


@pytest.mark.parametrize(
    ("seconds", "period_s", "stepped"),
    [
        (0.1, 0.1, [False, *[True] * 5]),
        (0.204, 0.1, [False, *[True] * 5]),
        (0.14, 0.1, [False] * 5),
        (0.1, 0.0, [False] * 5),
    ],
)
def test_work_in_step_with_a_sensor_is_spread_from_then_on(
    lab: Lab, seconds: float, period_s: float, stepped: list[bool]
) -> None:
    """The pass that showed it, whose windows all began at one phase, is no round."""
    lab.sensor = Edged(period_s=period_s)
    seen = lab.measure(Plan((5,), warmup=0), numbered, seconds)
    assert stepped == lab.stepped
    assert calls_of(seen) == list(range(len(stepped) - 4, len(stepped) + 1))


def test_the_warm_up_shows_that_work_is_in_step(lab: Lab) -> None:
    """Then no round is lost to finding out."""
    lab.sensor = Edged(period_s=0.1)
    lab.measure(Plan((5,)), seconds=0.1)
    assert lab.stepped == [False, *[True] * 5]


def test_work_of_many_windows_may_keep_in_step(lab: Lab) -> None:
    """How far apart its windows begin is not known: they are spread."""
    lab.sensor = Edged(period_s=0.1)
    meter = lab.meter(Plan((5,), iterations=2))
    stepped = []
    for trip in meter.trips():
        stepped.append(trip.stepped)
        for _ in range(trip.iterations):
            with trip.window("step"):
                lab.sensor.spend(1.0, seconds=0.14)
    assert stepped == [False, *[True] * 5]


# --- contention ------------------------------------------------------------------------------


def load_of(*shares: LoadShare) -> FakeLoad:
    """A load in the rounds after the warm-up."""
    return FakeLoad([QUIET, *shares])


def test_a_contended_round_is_made_again(lab: Lab) -> None:
    """Up to three times; if it is quiet then, nothing needs to be said."""
    seen = lab.measure(Plan((5,), iterations=1), numbered, load=load_of(BUSY, BUSY, BUSY))
    assert (calls_of(seen), seen.checks) == ([5, 6, 7, 8, 9], ())


def test_a_round_that_stays_contended_is_kept_with_a_flag(lab: Lab) -> None:
    """After three times more it counts, and how many such there are is told."""
    seen = lab.measure(Plan((5,), iterations=1), load=load_of(*[BUSY] * 4))
    assert (len(seen.rounds), lab.calls) == (5, 1 + 3 + 5)
    [check] = seen.checks
    assert check.finding == "other processes used up to 20 % of the machine in 1 of 5 rounds"
    assert not check.untrusted


def test_lasting_contention_does_not_last_for_ever(lab: Lab) -> None:
    """Once three rounds in a row were of no use, each is made once, until one is quiet."""
    seen = lab.measure(Plan((5,), iterations=1), load=load_of(*[BUSY] * 99))
    assert (len(seen.rounds), lab.calls) == (5, 1 + 3 + 5)
    assert [(check.name, check.untrusted) for check in seen.checks] == [("contention", True)]


def test_a_quiet_round_gives_the_redos_back(lab: Lab) -> None:
    """Two spells of contention are each waited out."""
    spell = [BUSY] * 3
    seen = lab.measure(Plan((5,), iterations=1), load=load_of(*spell, QUIET, *spell, QUIET))
    assert (names(seen), lab.calls) == ([], 1 + 3 + 3 + 5)


def test_a_void_round_in_a_contended_spell_is_made_again_too(lab: Lab) -> None:
    """Redos that contention has used up are not missed where a counter cannot be read."""
    meter = lab.meter(Plan((5,), iterations=1), load=load_of(*[BUSY] * 99))
    for number, trip in enumerate(meter.trips(), 1):
        with trip.window("call"):
            lab.sensor.spend(1.0)
            if number in (6, 7, 8):
                lab.sensor.fail()
        lab.sensor.recover()
    assert joules(meter.measurements()["call"]) == [1.0] * 5


@pytest.mark.parametrize("share", [LoadShare(0.031, 0.0), LoadShare(0.0, 0.01)])
def test_others_and_the_hypervisor_contend(lab: Lab, share: LoadShare) -> None:
    """More than 3 % of others, or any steal."""
    lab.measure(Plan((5,), iterations=1), load=load_of(share))
    assert lab.calls == 1 + 1 + 5


def test_a_call_that_calibrates_beside_others_is_no_round(lab: Lab) -> None:
    """It tells how long rounds are, not how dear."""
    seen = lab.measure(Plan((5,)), numbered, load=load_of(BUSY))
    assert calls_of(seen) == [3, 4, 5, 6, 7]


# --- drift -----------------------------------------------------------------------------------


def test_rounds_that_drift_are_thrown_away_once(lab: Lab) -> None:
    """Five rounds that rise are a longer warm-up; then it is level, and nothing is told."""
    seen = lab.measure(Plan((5,)), lambda call: 1.0 + 0.02 * min(call, 6))
    assert joules(seen) == [1.12] * 5
    assert (lab.calls, seen.checks) == (1 + 5 + 5, ())


def test_rounds_that_drift_on_are_flagged(lab: Lab) -> None:
    """The second time they are kept, and how far they drift is told."""
    seen = lab.measure(Plan((5,)), lambda call: 1.02**call)
    assert lab.calls == 1 + 5 + 5
    assert joules(seen)[0] == pytest.approx(1.02**7, abs=1e-6)
    assert seen.checks == (
        Check(CheckName.DRIFT, "+8.2 % over the rounds", "warmed up once more, then flagged"),
    )


def test_contention_before_a_drift_is_forgotten_with_its_rounds(lab: Lab) -> None:
    """A flag is about rounds that are kept."""
    seen = lab.measure(
        Plan((5,), iterations=1),
        lambda call: 1.0 + 0.02 * min(call, 9),
        load=load_of(*[BUSY] * 4),
    )
    assert (joules(seen), seen.checks) == ([1.18] * 5, ())


# --- looks and limits ------------------------------------------------------------------------


@pytest.mark.parametrize(("decided", "rounds"), [(1, 5), (2, 10), (3, 15), (99, 15)])
def test_a_look_that_is_enough_ends_it(lab: Lab, decided: int, rounds: int) -> None:
    """No round is made after the look that decides; the last look ends it in any case."""
    seen = lab.measure(Plan((5, 10, 15)), enough=lambda known, number: number == decided)
    assert (len(seen.rounds), lab.calls) == (rounds, rounds + 1)
    assert lab.looks == list(range(1, min(decided, 3) + 1))


def test_a_look_sees_the_rounds_so_far(lab: Lab) -> None:
    """At each look there are as many rounds as were planned for it."""
    seen: list[int] = []

    def enough(known: Mapping[str, Measurement], number: int) -> bool:
        seen.append(len(known["call"].rounds))
        return False

    lab.measure(Plan((5, 10, 15)), enough=enough)
    assert seen == [5, 10, 15]


def test_no_round_begins_that_would_end_too_late(lab: Lab) -> None:
    """Rounds of 0.4 s in 3 s after the warm-up are seven, and the look is taken all the same."""
    seen = lab.measure(Plan((5, 10, 15), max_time_s=3.0), seconds=0.4)
    assert (len(seen.rounds), lab.looks) == (7, [1, 2])
    assert lab.now() == pytest.approx(0.4 + 7 * 0.4)


def test_work_that_is_longer_than_the_limit_gets_one_round(lab: Lab) -> None:
    """Something is measured however short the time; here after a warm-up of 100 s."""
    seen = lab.measure(Plan((5, 10, 15), max_time_s=60.0), seconds=100.0)
    assert (len(seen.rounds), lab.calls, lab.looks) == (1, 2, [1])
    assert len(lab.measure(Plan((5,), max_time_s=0.0)).rounds) == 1


def test_the_warm_up_does_not_use_up_the_time(lab: Lab) -> None:
    """Compiling for a minute leaves the whole limit to the rounds."""
    meter = lab.meter(Plan((5,), max_time_s=3.0))
    for trip in meter.trips():
        with trip.window("call"):
            lab.sensor.spend(1.0, seconds=0.2 if lab.calls else 60.0)
            lab.calls += 1
    assert len(meter.measurements()["call"].rounds) == 5


@pytest.mark.parametrize("spoilt", ["contended", "void"])
def test_no_round_is_made_again_too_late(lab: Lab, spoilt: str) -> None:
    """A spoilt round is not repeated past the limit."""
    load = load_of(*[BUSY] * 99) if spoilt == "contended" else None
    work = failing(lab, range(2, 99)) if spoilt == "void" else lambda call: 1.0
    lab.measure(Plan((5,), max_time_s=1.0, iterations=1), work, seconds=0.6, load=load)
    assert lab.calls == 1 + 1


def test_progress_is_told_after_each_round(lab: Lab) -> None:
    """How many are done, and how many there may be at the most."""
    lab.measure(Plan((5, 10), iterations=1), enough=lambda known, number: True)
    assert lab.progress == [(number, 10) for number in (1, 2, 3, 4, 5)]


# --- windows ---------------------------------------------------------------------------------


def test_several_windows_are_several_measurements(lab: Lab) -> None:
    """Each name of a loop has a round for each trip; its figures are its own."""
    meter = lab.meter(Plan((5,)))
    for trip in meter.trips():
        for name, amount in (("prefill", 3.0), ("decode", 2.0)):
            with trip.window(name):
                lab.sensor.spend(amount, seconds=0.2)
        trip.units = {"token": 4.0}
    seen = meter.measurements()
    assert {name: joules(m) for name, m in seen.items()} == {
        "prefill": [3.0] * 5,
        "decode": [2.0] * 5,
    }
    assert seen["decode"].rounds[0].units == {"token": 4.0}
    assert list(lab.kept) == ["prefill", "decode"]


@pytest.mark.parametrize(("opened", "rounds"), [((1,), 0), ((1, 3), 1), ((4, 5, 6), 3)])
def test_a_window_that_is_not_opened_each_time_has_fewer_rounds(
    lab: Lab, opened: tuple[int, ...], rounds: int
) -> None:
    """What a loop measures only now and then, or in its warm-up alone, does not hold it up."""
    meter = lab.meter(Plan((5,), iterations=1))
    for number, trip in enumerate(meter.trips(), 1):
        assert number < 50
        with trip.window("always"):
            lab.sensor.spend(1.0, seconds=0.2)
        if number in opened:
            with trip.window("sometimes"):
                lab.sensor.spend(1.0, seconds=0.2)
    seen = meter.measurements()
    assert {name: len(m.rounds) for name, m in seen.items()} == {"always": 5, "sometimes": rounds}


def test_a_loop_without_a_window_is_told_what_to_write(lab: Lab) -> None:
    """It fails at once, after its first trip."""
    passes: Iterator[Trip] = lab.meter(Plan((5,))).trips()
    next(passes)
    with pytest.raises(GreenopsError, match="no window was opened in the loop"):
        next(passes)


def test_devices_are_waited_for(lab: Lab) -> None:
    """What the meter is told to wait for is waited for at both edges of each window."""
    waits: list[int] = []
    lab.measure(Plan((5,)), synchronize=lambda: waits.append(lab.calls))
    assert waits == [edge for call in range(6) for edge in (call, call + 1)]


# --- what a measurement carries --------------------------------------------------------------


def test_a_measurement_knows_its_sensors() -> None:
    """Counters, their sensors, and which of them are estimated, come from the instruments."""
    cpu = FakeSensor(CPU, name="guess", source="estimated")
    gpu = FakeSensor(Domain("gpu:0", "gpu"), name="card")
    meter = Meter(Instruments([cpu, gpu]), Plan((1,), once=True), lambda known, number: True)
    for trip in meter.trips():
        with trip.window("call"):
            cpu.spend(1.0)
            gpu.spend(1.0, "gpu:0")
    seen = meter.measurements()["call"]
    assert (seen.name, [domain.name for domain in seen.domains]) == ("call", ["cpu:0", "gpu:0"])
    assert (seen.sensors, seen.estimated) == ({"cpu:0": "guess", "gpu:0": "card"}, ("cpu:0",))


def test_a_tracer_is_among_the_checks(lab: Lab) -> None:
    """What traces this process is said of every measurement."""
    seen = lab.measure(Plan((5,)), instrumented="coverage")
    assert names(seen) == ["instrumented"]
