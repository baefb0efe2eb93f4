"""The meter: warm-up, calibration, looks and windows, in virtual time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

import pytest

from pytest_greenops.measure.meter import MIN_ROUND_S, Meter, Plan
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import CheckName, Domain, Measurement, Reading, Uncounted
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU
from tests.unit.measure.lab import (
    BUSY,
    CALIBRATED,
    FIVE,
    OFTEN_S,
    ONCE,
    QUIET,
    Card,
    FakeLoad,
    Lab,
    calls_of,
    joules,
    load_of,
    names,
    numbered,
    within,
)


@pytest.fixture
def lab() -> Lab:
    """Return a lab whose counter moves every tenth of a millisecond."""
    return Lab()


# --- warm-up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("warmup", "first"), [(None, 1), (1, 1), (3, 3), (0, 0)])
def test_the_warm_up_is_not_counted(lab: Lab, warmup: int | None, first: int) -> None:
    """The first trips, one by default, are made and enter no figure."""
    plan = Plan((5,), warmup=warmup)
    seen = lab.measure(plan, lambda call: 100.0 if call <= first else 1.0)
    assert joules(seen) == [1.0] * 5
    assert lab.calls == first + 5
    assert seen.uncounted == Uncounted(before=first)


@pytest.mark.parametrize(("large", "checks"), [(1, [CheckName.WARM_UP]), (2, [])])
def test_the_first_of_several_warm_ups_shows_a_cache(
    lab: Lab, large: int, checks: list[CheckName]
) -> None:
    """A later call of the warm-up that uses far more than the rounds is not the first of all."""
    seen = lab.measure(Plan((5,), warmup=3), lambda call: 2.0 if call == large else 1e-3)
    assert names(seen) == checks


def test_every_call_is_in_a_round_or_uncounted(lab: Lab) -> None:
    """Warm-up and calibration come before the first round; a repeated round lies between."""
    load = FakeLoad(*[QUIET] * 5, BUSY)
    seen = lab.measure(CALIBRATED, seconds=0.03, load=load)
    assert lab.trips == [1, 1, 4, 4, 4, 4, 4, 4]
    assert seen.uncounted == Uncounted(before=1 + 1, later=4)
    assert [round_.iterations for round_ in seen.rounds] == [4] * 5


def test_garbage_of_the_test_is_collected_before(lab: Lab) -> None:
    """A cycle from before the measurement does not burden a window."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    left = weakref.ref(Cycle())
    next(Meter(Instruments([lab.sensor]), ONCE, lambda seen, number: True).trips())
    assert left() is None


# --- calibration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period_s", "margin", "least_s"),
    [
        (0.001, 0.05, MIN_ROUND_S),
        (0.01, 0.05, 0.78),
        (0.1, 0.05, 7.8),
        (0.001, 0.01, 0.39),
        (0.001, 0.0, 3.9),
    ],
)
def test_rounds_are_as_long_as_counter_and_margin_require(
    period_s: float, margin: float, least_s: float
) -> None:
    """Edges are late by 0.78 of an update, which may be a fifth of the margin, or of 0.1 %."""
    seen = Lab(update_period_s=period_s).measure(
        Plan((5,), margin=margin), lambda call: 0.001, seconds=0.0005
    )
    assert within((round_.seconds for round_ in seen.rounds), least_s)
    assert (names(seen), len({round_.iterations for round_ in seen.rounds})) == ([], 1)


def test_work_that_is_long_enough_is_done_once_a_round(lab: Lab) -> None:
    """Nothing is repeated needlessly, and the call that shows it counts as a round."""
    seen = lab.measure(CALIBRATED)
    assert ([r.iterations for r in seen.rounds], lab.calls) == ([1] * 5, 1 + 5)


def test_a_window_without_time_is_too_short(lab: Lab) -> None:
    """If the clock did not move during a call, more calls are made and nothing is divided."""

    def make_trip(trip: Trip, number: int) -> None:
        with trip.window("call"):
            lab.spend(1.0 * trip.iterations, 2e-5 * trip.iterations if number > 3 else 0.0)

    seen = lab.run(CALIBRATED, make_trip)["call"]
    assert [round_.seconds >= MIN_ROUND_S for round_ in seen.rounds] == [True] * 5


def test_calibration_is_short(lab: Lab) -> None:
    """A call of a microsecond grows to a tenth of a second in a few trips."""
    seen = lab.measure(CALIBRATED, lambda call: 1e-6, seconds=1e-6)
    assert len(lab.trips) <= 1 + 4 + 5
    assert seen.rounds[0].iterations >= 1e5


def test_many_windows_in_a_round_need_more_than_one_long_one() -> None:
    """Each window of a loop has its own edges: their errors grow by the root of their number."""
    lab = Lab(update_period_s=0.001)

    def make_trip(trip: Trip, number: int) -> None:
        for _ in range(trip.iterations):
            with trip.window("step"):
                lab.spend(0.1, 0.01)

    seen = lab.run(CALIBRATED, make_trip)["step"]
    # 0.78 * 1 ms * sqrt(n) / (n * 10 ms) <= 1 % from 61 windows on
    assert [61 <= round_.windows <= 110 for round_ in seen.rounds] == [True] * 5
    assert [round_.iterations for round_ in seen.rounds] == [r.windows for r in seen.rounds]
    assert names(seen) == []


def test_the_shortest_of_several_windows_is_long_enough() -> None:
    """The window that needs most iterations sizes the rounds."""
    lab = Lab(update_period_s=0.001)

    def make_trip(trip: Trip, number: int) -> None:
        for name, seconds in (("long", 0.2), ("short", 0.01)):
            with trip.window(name):
                for _ in range(trip.iterations):
                    lab.spend(0.1, seconds)

    assert lab.run(CALIBRATED, make_trip)["short"].rounds[0].seconds >= MIN_ROUND_S


def test_iterations_that_the_test_chose_are_kept() -> None:
    """They are not calibrated; if that makes rounds too short, a check reports it."""
    lab = Lab(update_period_s=0.01)
    seen = lab.measure(Plan((5,), iterations=3), seconds=0.01)
    assert lab.trips == [3] * 6
    assert [(check.name, check.untrusted) for check in seen.checks] == [("too short", True)]


def test_rounds_do_not_outgrow_the_time_limit() -> None:
    """If rounds with spare length would not all fit, shorter ones are made."""
    lab = Lab(update_period_s=0.012)
    seen = lab.measure(Plan((5,), max_time_s=6.0), seconds=0.01)
    assert lab.now_ns() <= 6.0e9
    assert len(seen.rounds) >= 4
    assert names(seen) == []


@pytest.mark.parametrize(("least", "span_s"), [(5, 1.0), (2, 2.0)])
def test_the_least_rounds_share_the_time_limit(least: int, span_s: float) -> None:
    """A late look does not shorten the rounds: only the least number of them has to fit."""
    lab = Lab(update_period_s=0.012 * span_s)
    seen = lab.measure(Plan((10,), least=least, max_time_s=6.0), seconds=0.01)
    assert seen.rounds[0].seconds == pytest.approx(span_s, rel=0.1)


def test_rounds_that_stay_too_short_are_not_made() -> None:
    """If no round that fits into the time is long enough, the calibration says so and stops."""
    lab = Lab(update_period_s=0.1)
    seen = lab.measure(Plan((5, 10), max_time_s=6.0), seconds=0.01)
    assert (len(seen.rounds), lab.looks) == (1, [2])
    assert lab.now_ns() <= 1.1e9
    [check] = seen.checks
    assert (check.name, check.untrusted) == ("too short", True)
    assert check.finding.startswith(
        "rounds of 1.00 s, the longest that fit into the time, would be "
    )


def two_windows(lab: Lab, short_s: float, long_s: float) -> Callable[[Trip, int], None]:
    """Return a loop with two windows of 2 W."""

    def make_trip(trip: Trip, number: int) -> None:
        for _ in range(trip.iterations):
            for name, seconds in (("short", short_s), ("long", long_s)):
                with trip.window(name):
                    lab.spend(2.0 * seconds, seconds)

    return make_trip


def test_a_window_that_stays_too_short_sizes_no_round() -> None:
    """Windows of 0.85 ms of a counter of 1 ms get no verdict; those of 4.5 ms beside them do."""
    lab = Lab(update_period_s=0.001)
    seen = lab.run(CALIBRATED, two_windows(lab, 0.00085, 0.0045))
    assert {name: names(each) for name, each in seen.items()} == {
        "short": ["too short"],
        "long": [],
    }
    assert lab.now_ns() < 20e9


def test_a_loop_of_windows_that_stay_too_short_is_left() -> None:
    """It is made as often as shows how its error falls, not for all the time that there is."""
    lab = Lab(update_period_s=0.001)
    seen = lab.run(Plan((5,), max_time_s=6.0), two_windows(lab, 0.0012, 0.0015))
    assert {name: names(each) for name, each in seen.items()} == {
        "short": ["too short"],
        "long": ["too short"],
    }
    assert (len(lab.trips), len(seen["short"].rounds)) == (3, 1)
    assert lab.now_ns() < 0.5e9


class Startled(FakeSensor):
    """A sensor whose readings are far less certain at first."""

    error_uj = 1500.0

    def read(self) -> Reading:
        """Return the counts, with their errors."""
        return super().read()._replace(error_uj=[self.error_uj])


def test_one_uncertain_call_does_not_end_a_measurement(lab: Lab) -> None:
    """A longer trip is made before it is given up, and decides."""
    lab.sensor = sensor = Startled(CPU, update_period_s=OFTEN_S)
    make_trip = two_windows(lab, 0.004, 0.0045)

    def then_certain(trip: Trip, number: int) -> None:
        make_trip(trip, number)
        if number == 2:
            sensor.error_uj = 0.1

    seen = lab.run(Plan((5,), max_time_s=0.6), then_certain)
    assert {name: (len(each.rounds) >= 4, names(each)) for name, each in seen.items()} == {
        "short": (True, []),
        "long": (True, []),
    }


def test_only_the_judged_counters_make_rounds_hopeless() -> None:
    """A card whose windows are too short does not end a measurement of the CPU."""
    card = FakeSensor(Domain("gpu:0", "gpu"), name="card", update_period_s=0.1)
    lab = Lab(card, judged="cpu")
    seen = lab.measure(Plan((5,), max_time_s=6.0), seconds=0.01)
    assert len(seen.rounds) >= 4
    assert names(seen) == ["too short"]


def test_a_contended_trip_of_the_calibration_is_not_a_round(lab: Lab) -> None:
    """It shows how long rounds are, but not how much energy they use."""
    seen = lab.measure(CALIBRATED, numbered, load=load_of(BUSY))
    assert calls_of(seen) == [3, 4, 5, 6, 7]


# --- once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1e-6, 0.2, 100.0])
def test_once_is_exactly_one_call(lab: Lab, seconds: float) -> None:
    """Work that cannot be repeated is called once, however short or long it is."""
    seen = lab.measure(ONCE, seconds=seconds)
    assert (lab.calls, joules(seen), lab.looks) == (1, [1.0], [1])


def test_once_is_not_repeated(lab: Lab) -> None:
    """A contended round of work that cannot be repeated is kept with a flag."""
    seen = lab.measure(ONCE, load=FakeLoad(BUSY))
    assert (lab.calls, names(seen), seen.checks[0].untrusted) == (1, ["contention"], True)


def test_a_single_round_may_have_iterations_and_a_warm_up(lab: Lab) -> None:
    """`pedantic(rounds=1, iterations=10, warmup_rounds=2)` does what it says."""
    seen = lab.measure(Plan((1,), once=True, iterations=10, warmup=2))
    assert (lab.trips, joules(seen)) == ([10, 10, 10], [1.0])


# --- edges -----------------------------------------------------------------------------------


class Edged(FakeSensor):
    """A sensor that makes its own edges, each off by `error_j`, and samples its power."""

    phase_period_s = 0.0

    def __init__(self, error_j: float = 0.0, period_s: float = 0.0) -> None:
        super().__init__(CPU, update_period_s=OFTEN_S)
        self.phase_period_s = period_s
        self.error_uj = error_j * 1e6

    def begin(self, phase_s: float) -> Reading:
        """Return the counts with their error."""
        return self.read()._replace(error_uj=[self.error_uj])

    def end(self) -> Reading:
        """Return the counts with their error."""
        return self.begin(0.0)


def test_rounds_are_as_long_as_the_stated_error_requires(lab: Lab) -> None:
    """Two edges that are off by 3 J each are off by 1 % of 424 J, and a round has at least that."""
    lab.sensor = Edged(error_j=3.0)
    seen = lab.measure(CALIBRATED, lambda call: 0.1, seconds=0.001)
    assert within((round_.energy_uj["cpu:0"] / 1e6 for round_ in seen.rounds), 424.0)
    errors_uj = [round_.error_uj["cpu:0"] for round_ in seen.rounds]
    assert errors_uj == pytest.approx([4_242_641] * 5)
    assert names(seen) == []


def test_exact_edges_need_no_longer_rounds(lab: Lab) -> None:
    """If a sensor knows its counts exactly, a round has the minimum length."""
    lab.sensor = Edged()
    seen = lab.measure(CALIBRATED, lambda call: 0.1, seconds=0.001)
    assert within((round_.seconds for round_ in seen.rounds), MIN_ROUND_S)


@pytest.mark.parametrize(
    ("seconds", "period_s", "stepped", "kept"),
    [
        (0.1, 0.1, [False, True, True, True, True, True], [2, 3, 4, 5, 6]),
        (0.204, 0.1, [False, True, True, True, True, True], [2, 3, 4, 5, 6]),
        (0.14, 0.1, [False] * 5, [1, 2, 3, 4, 5]),
        (0.1, 0.0, [False] * 5, [1, 2, 3, 4, 5]),
    ],
)
def test_work_in_step_with_a_sensor_is_spread_from_then_on(
    lab: Lab, seconds: float, period_s: float, stepped: list[bool], kept: list[int]
) -> None:
    """The trip that shows it is not a round, since all its windows began at one phase."""
    lab.sensor = Edged(period_s=period_s)
    seen = lab.measure(Plan((5,), warmup=0), numbered, seconds)
    assert (lab.stepped, calls_of(seen)) == (stepped, kept)


def test_the_warm_up_shows_that_work_is_in_step(lab: Lab) -> None:
    """Then no round is lost to find it out."""
    lab.sensor = Edged(period_s=0.1)
    lab.measure(CALIBRATED, seconds=0.1)
    assert lab.stepped == [False, True, True, True, True, True]


def test_work_of_many_windows_may_keep_in_step(lab: Lab) -> None:
    """Nothing is known of the time between windows of a loop, so they are spread."""
    lab.sensor = Edged(period_s=0.1)

    def make_trip(trip: Trip, number: int) -> None:
        for _ in range(trip.iterations):
            with trip.window("step"):
                lab.spend(1.0, 0.14)

    lab.run(Plan((5,), iterations=2), make_trip)
    assert lab.stepped == [False, True, True, True, True, True]


# --- looks and limits ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "rounds", "looks"),
    [(1, 5, [1]), (2, 10, [1, 2]), (3, 15, [1, 2, 3]), (99, 15, [1, 2, 3])],
)
def test_a_look_that_is_enough_ends_it(
    lab: Lab, decided: int, rounds: int, looks: list[int]
) -> None:
    """No round is made after the look that decides; the last look always ends it."""
    seen = lab.measure(Plan((5, 10, 15)), enough=lambda seen, number: number == decided)
    assert (len(seen.rounds), lab.calls, lab.looks) == (rounds, rounds + 1, looks)


def test_a_look_sees_the_rounds_so_far(lab: Lab) -> None:
    """Each look has as many rounds as were planned for it."""
    rounds: list[int] = []

    def enough(seen: Mapping[str, Measurement], number: int) -> bool:
        rounds.append(len(seen["call"].rounds))
        return False

    lab.measure(Plan((5, 10, 15)), enough=enough)
    assert rounds == [5, 10, 15]


def test_no_round_begins_that_would_end_too_late(lab: Lab) -> None:
    """In 3 s after the warm-up there are seven rounds of 0.4 s, and the look still happens."""
    seen = lab.measure(Plan((5, 10, 15), max_time_s=3.0), seconds=0.4)
    assert (len(seen.rounds), lab.looks, lab.now_ns()) == (7, [1, 2], 3_200_000_000)


@pytest.mark.parametrize(("max_time_s", "seconds"), [(60.0, 100.0), (0.0, 0.2)])
def test_work_that_is_longer_than_the_limit_gets_one_round(
    lab: Lab, max_time_s: float, seconds: float
) -> None:
    """Something is measured however short the time."""
    seen = lab.measure(Plan((5, 10, 15), max_time_s=max_time_s), seconds=seconds)
    assert (len(seen.rounds), lab.calls, lab.looks) == (1, 2, [1])


def test_the_warm_up_does_not_use_up_the_time(lab: Lab) -> None:
    """Compilation for a minute leaves the whole limit to the rounds."""

    def make_trip(trip: Trip, number: int) -> None:
        with trip.window("call"):
            lab.spend(1.0, 60.0 if number == 1 else 0.2)

    assert len(lab.run(Plan((5,), max_time_s=3.0), make_trip)["call"].rounds) == 5


def test_progress_is_reported_after_each_round(lab: Lab) -> None:
    """It has the rounds done, and the most there may be; warm-up and calibration report too."""
    lab.measure(Plan((5, 10)), seconds=0.06, enough=lambda seen, number: True)
    assert lab.progress == [(0, 10)] * 3 + [(number, 10) for number in range(2, 6)]


# --- windows ---------------------------------------------------------------------------------


def test_several_windows_are_several_measurements(lab: Lab) -> None:
    """Each name of a loop has its own figures, and one round for each trip."""

    def make_trip(trip: Trip, number: int) -> None:
        for name, amount in (("prefill", 3.0), ("decode", 2.0)):
            with trip.window(name):
                lab.spend(amount)
        trip.units = {"token": 4.0}

    seen = lab.run(CALIBRATED, make_trip)
    assert joules(seen["prefill"]) == [3.0] * 5
    assert joules(seen["decode"]) == [2.0] * 5
    assert seen["decode"].rounds[0].units == {"token": 4.0}
    assert list(lab.seen) == ["prefill", "decode"]


@pytest.mark.parametrize(("opened", "rounds"), [((1,), 0), ((1, 3), 1), ((4, 5, 6), 3)])
def test_a_window_that_is_not_opened_each_time_has_fewer_rounds(
    lab: Lab, opened: tuple[int, ...], rounds: int
) -> None:
    """A window that a loop opens rarely, or in the warm-up only, does not prolong it."""

    def make_trip(trip: Trip, number: int) -> None:
        assert number < 50
        for name in ("always", "sometimes") if number in opened else ("always",):
            with trip.window(name):
                lab.spend(1.0)

    seen = lab.run(FIVE, make_trip)
    assert {name: len(m.rounds) for name, m in seen.items()} == {"always": 5, "sometimes": rounds}


def test_a_loop_without_a_window_is_an_error(lab: Lab) -> None:
    """It fails at once, after its first trip."""
    with pytest.raises(GreenopsError, match="no window was opened in the loop"):
        lab.run(CALIBRATED, lambda trip, number: None)
    assert len(lab.trips) == 1


def test_both_edges_of_each_window_wait_for_devices(lab: Lab) -> None:
    """The meter calls `synchronize` before and after each of six calls."""
    waits: list[int] = []
    lab.measure(CALIBRATED, synchronize=lambda: waits.append(lab.calls))
    assert waits == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_a_measurement_knows_its_sensors() -> None:
    """Counters, their sensors, and which of them are estimated, come from the instruments."""
    seen = Lab(Card(), name="guess", source="estimated").measure(ONCE)
    assert (seen.name, [domain.name for domain in seen.domains]) == ("call", ["cpu:0", "gpu:0"])
    assert (seen.sensors, seen.estimated) == ({"cpu:0": "guess", "gpu:0": "card"}, ("cpu:0",))


def test_a_tracer_is_among_the_checks(lab: Lab) -> None:
    """Every measurement reports what traces this process."""
    assert names(lab.measure(instrumented="coverage")) == [CheckName.INSTRUMENTED]


@pytest.mark.parametrize("plan", [CALIBRATED, FIVE, ONCE], ids=["calibrated", "chosen", "once"])
def test_a_clock_that_stands_still_measures_nothing(lab: Lab, plan: Plan) -> None:
    """There is no figure of 0 s, the calls are bounded, and the reason is known."""
    measurement = lab.measure(plan, seconds=0.0)
    assert measurement.rounds == ()
    assert lab.calls <= 8
    [check] = measurement.checks
    assert check.finding == "the clock of the sensor fake stood still or went back"
