"""One run of one test: what it counts, how long it goes on, what it is compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops import machine
from pytest_greenops.judge import Rules
from pytest_greenops.meter import NoLoad
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Domain
from pytest_greenops.model.options import Options
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.store import Store
from pytest_greenops.testing import FakeSensor
from pytest_greenops.trial import Bench, Trial
from tests.unit.builders import MACHINE, baseline, grown, key, rounds, series, session


@pytest.fixture(autouse=True)
def _quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else runs, nothing traces, and nothing was set, whatever this runs beside."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(machine, "LoadProbe", NoLoad)
    monkeypatch.setattr(machine, "instrumented", lambda: None)
    monkeypatch.setattr(machine, "conditions", dict)


class Lab:
    """Trials over a fake sensor, and baselines to compare them with."""

    def __init__(self, folder: Path) -> None:
        self.sensor = FakeSensor(Domain("cpu:0", "cpu"))
        self.environment = Environment(MACHINE)
        self.store = Store(folder / "baselines", self.environment.slug)
        self.told: list[tuple[str, int, int]] = []
        self.collected: set[TestKey] = set()

    def trial(
        self, *, test: TestKey | None = None, limits: Budget | None = None, **options: Any
    ) -> Trial:
        """A trial of a test with this budget, in a run with these options."""
        bench = Bench(
            Instruments([self.sensor]),
            self.environment,
            self.store,
            Rules(session_sd=0.001, grams_per_kwh=options.get("grams_per_kwh")),
            Options(**options),
            self.collected,
            lambda label, done, most: self.told.append((label, done, most)),
        )
        return Trial(bench, test or key(), limits or Budget())

    def keep(self, test: TestKey | None = None, **known: Series) -> None:
        """Put a baseline in place."""
        saved = baseline(test, **known)
        Store(self.store.folder, self.store.machine).update(saved.test, lambda old: saved)

    def measure(
        self,
        trial: Trial,
        name: str = "call",
        joules: float = 2.0,
        value: object = None,
        **plan: int | None,
    ) -> Result:
        """Measure work of 0.2 s a call that returns a value."""
        for trip in trial.passes(name, **plan):
            with trip.window(name):
                for _ in range(trip.iterations):
                    self.sensor.spend(joules, seconds=0.2)
            trip.units = trial.work(value, trip.iterations)
        return trial.results[name]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab without baselines."""
    return Lab(tmp_path)


def refusal(act: Callable[[], object]) -> str:
    """What a `GreenopsError` says."""
    with pytest.raises(GreenopsError) as raised:
        act()
    return str(raised.value)


# --- results ---------------------------------------------------------------------------------


def test_a_measurement_becomes_a_result(lab: Lab) -> None:
    """It stands under its name when its last pass is made."""
    trial = lab.trial()
    result = lab.measure(trial)
    assert (result.test, result.name, result.domain) == (key(), "call", "total")
    assert (result.joules, result.seconds) == pytest.approx((2.0, 0.2))
    assert len(result.rounds) == 5
    assert result.verdict.outcome is Outcome.NO_BASELINE
    assert trial.close() == {"call": result}


def test_several_names_are_several_results(lab: Lab) -> None:
    """In the order in which they were measured."""
    trial = lab.trial()
    lab.measure(trial, "encode", 1.0)
    lab.measure(trial, "decode", 3.0)
    energy = {name: result.joules for name, result in trial.close().items()}
    assert energy == {"encode": pytest.approx(1.0), "decode": pytest.approx(3.0)}


def test_windows_of_a_loop_are_results(lab: Lab) -> None:
    """A loop names its windows itself."""
    trial = lab.trial()
    for trip in trial.passes():
        for name, joules in (("prefill", 1.0), ("decode", 3.0)):
            with trip.window(name):
                lab.sensor.spend(joules, seconds=0.2)
    energy = {name: result.joules for name, result in trial.close().items()}
    assert energy == {"prefill": pytest.approx(1.0), "decode": pytest.approx(3.0)}


def test_quality_stands_beside_every_result(lab: Lab) -> None:
    """Also where it is told after the measurement."""
    trial = lab.trial()
    lab.measure(trial)
    trial.quality["accuracy"] = 0.94
    assert trial.close()["call"].quality == {"accuracy": 0.94}


def test_grams_are_told_where_the_grid_is_known(lab: Lab) -> None:
    """2 J at 1,800 kg/kWh are a gram."""
    assert lab.measure(lab.trial(grams_per_kwh=1.8e6)).grams == pytest.approx(1.0)
    assert lab.measure(lab.trial()).grams is None


def test_a_limit_of_carbon_needs_the_grid(lab: Lab) -> None:
    """It is an error before anything is called, not a limit that is passed over."""
    trial = lab.trial(limits=Budget(max_carbon_g=1.0))
    told = refusal(lambda: lab.measure(trial))
    assert told.startswith("energy_budget: max_carbon needs to know the grid; add ")
    assert lab.sensor.read() == FakeSensor(Domain("cpu:0", "cpu")).read()
    known = lab.trial(limits=Budget(max_carbon_g=9.0), grams_per_kwh=1.8e6)
    assert lab.measure(known).verdict.outcome is Outcome.PASSED


# --- what is left ----------------------------------------------------------------------------


def test_a_loop_that_was_left_is_not_measured(lab: Lab) -> None:
    """`break` in `energy.rounds()` leaves too little to say anything."""
    trial = lab.trial()
    for trip in trial.passes():
        with trip.window("decode"):
            lab.sensor.spend(1.0)
        break
    [result] = trial.close().values()
    assert (result.name, result.verdict.outcome) == ("loop", Outcome.NOT_MEASURED)
    assert result.verdict.cause == "it was left before its rounds were done"


def test_a_name_that_was_left_stands_beside_those_that_were_not(lab: Lab) -> None:
    """What was measured before keeps its figures."""
    trial = lab.trial()
    done = lab.measure(trial, "encode")
    next(iter(trial.passes("decode")))
    results = trial.close()
    assert results["encode"] == done
    assert results["decode"].verdict.outcome is Outcome.NOT_MEASURED


def test_a_test_that_measures_nothing_is_told(lab: Lab) -> None:
    """A budget without a call of `energy` was not held against anything."""
    [result] = lab.trial(limits=Budget(energy_j=1.0)).close().values()
    assert (result.name, result.verdict.outcome) == ("call", Outcome.NOT_MEASURED)
    assert result.verdict.cause == "the test never called energy"


def test_a_repetition_has_its_number_while_it_runs(lab: Lab) -> None:
    """From 1, the warm-up first, so that a failure can say which it was; then none."""
    trial = lab.trial()
    seen = []
    for trip in trial.passes("call"):
        seen.append(trial.repetition)
        with trip.window("call"):
            lab.sensor.spend(1.0, seconds=0.2)
    assert (seen, trial.repetition) == ([1, 2, 3, 4, 5, 6], 0)


def test_progress_names_the_test(lab: Lab) -> None:
    """With its parameters, the rounds done and the most there may be."""
    lab.measure(lab.trial(test=key(param="4")))
    assert lab.told[-1] == ("test_parse[4]", 5, 5)


# --- units -----------------------------------------------------------------------------------


def test_work_is_constant_or_counted_from_the_result(lab: Lab) -> None:
    """Each unit by itself, for all iterations of a round."""
    trial = lab.trial()
    trial.units = {"sample": 64, "token": lambda value: len(value)}
    assert trial.work("abcd", 3) == {"sample": 192.0, "token": 12.0}
    result = lab.measure(trial, value="abcd")
    assert result.per_unit == {"sample": pytest.approx(2 / 64), "token": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("units", "budget", "unit"),
    [
        ({}, Budget(), "call"),
        ({"sample": 2, "token": 4}, Budget(), "sample"),
        ({"sample": 2, "token": 4}, Budget(per="token"), "token"),
        ({"sample": 2}, Budget(per="call"), "call"),
    ],
)
def test_the_unit_that_is_judged(
    lab: Lab, units: dict[str, float], budget: Budget, unit: str
) -> None:
    """The budget's, else the first that the test counts, else a call."""
    trial = lab.trial(limits=budget)
    trial.units = dict(units)
    result = lab.measure(trial)
    assert (trial.unit, result.unit) == (unit, unit)
    assert result.judged_j == pytest.approx(2.0 / units.get(unit, 1))


@pytest.mark.parametrize("declared", [{}, {"sample": 4}])
def test_a_budget_per_a_unit_that_nobody_counts_is_an_error(
    lab: Lab, declared: dict[str, float]
) -> None:
    """It names the unit and what to write, after the first call."""
    trial = lab.trial(limits=Budget(energy_j=1.0, per="token"))
    trial.units = dict(declared)
    assert refusal(lambda: lab.measure(trial)) == (
        "energy_budget: per='token', but the test counts no such unit; "
        "declare it before the call: energy.units(token=...)"
    )


def test_units_that_come_too_late_are_an_error(lab: Lab) -> None:
    """What was measured without them cannot be divided by them any more."""
    trial = lab.trial()
    trial.units = {"sample": 4}
    lab.measure(trial)
    assert list(trial.close()) == ["call"]
    trial.units = {"token": 4, "request": 2}
    assert refusal(trial.close) == (
        "energy.units(token, request=...) came after the last measurement, which did not count "
        "it; call it before"
    )


@pytest.mark.parametrize(
    ("counted", "shown"), [(0, "0"), (-3, "-3"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_no_work_is_nothing_to_divide_by(lab: Lab, counted: float, shown: str) -> None:
    """A count from the result that is no positive number is an error, not a figure."""
    trial = lab.trial()
    trial.units = {"token": lambda value: counted}
    assert refusal(lambda: lab.measure(trial)) == (
        f"energy.units: {shown} token is no work to divide joules by; count at least one"
    )


# --- how long it goes on ---------------------------------------------------------------------

AT_THE_MARGIN = 2.0995


@pytest.mark.parametrize(
    ("sessions", "joules", "rounds"),
    [(0, 2.0, 5), (1, 2.0, 10), (2, 2.0, 10), (3, 2.0, 5), (5, 2.0, 5), (5, AT_THE_MARGIN, 15)],
)
def test_looks_follow_the_sessions_of_the_name(
    lab: Lab, sessions: int, joules: float, rounds: int
) -> None:
    """New: five rounds; young: ten; grown: until it is decided, fifteen at the most."""
    if sessions:
        lab.keep(call=grown(sessions=sessions, spread=0.001))
    assert len(lab.measure(lab.trial(), joules=joules).rounds) == rounds


def test_the_last_look_may_decide_what_the_first_did_not(lab: Lab) -> None:
    """Each look is judged as the one it is: the second may spend more than the first."""
    lab.keep(call=grown(sessions=5, spread=0.08))
    trial = lab.trial()
    result = lab.measure(trial, joules=2.2)
    assert (len(result.rounds), result.verdict.outcome) == (10, Outcome.REGRESSED)


def test_a_loop_looks_by_its_youngest_name(lab: Lab) -> None:
    """Windows are measured together, so the one with the fewest sessions sets the pace."""
    lab.keep(prefill=grown(sessions=5, spread=0.001), decode=grown(sessions=1))
    trial = lab.trial()
    for trip in trial.passes():
        for name in ("prefill", "decode"):
            with trip.window(name):
                lab.sensor.spend(2.0, seconds=0.2)
    assert {name: len(r.rounds) for name, r in trial.close().items()} == {
        "prefill": 10,
        "decode": 10,
    }


def test_a_loop_goes_on_until_every_name_is_decided(lab: Lab) -> None:
    """One window that passes does not end the looks of another."""
    lab.keep(prefill=grown(sessions=5, spread=0.001), decode=grown(sessions=5, spread=0.001))
    trial = lab.trial()
    for trip in trial.passes():
        for name, joules in (("prefill", 2.0), ("decode", AT_THE_MARGIN)):
            with trip.window(name):
                lab.sensor.spend(joules, seconds=0.2)
    outcomes = {name: (len(r.rounds), r.verdict.outcome) for name, r in trial.close().items()}
    assert outcomes == {
        "prefill": (15, Outcome.PASSED),
        "decode": (15, Outcome.INCONCLUSIVE),
    }


@pytest.mark.parametrize(
    ("budget", "options", "plan", "rounds"),
    [
        (Budget(energy_j=2.0), {}, {}, 15),
        (Budget(energy_j=9.0), {}, {}, 5),
        (Budget(max_power_w=10.0), {}, {}, 15),
        (Budget(min_rounds=7), {}, {}, 7),
        (Budget(max_rounds=3), {}, {}, 3),
        (Budget(max_rounds=1), {}, {}, 1),
        (Budget(min_rounds=30), {}, {}, 30),
        (Budget(max_time_s=0.0), {}, {}, 1),
        (Budget(), {"min_rounds": 6}, {}, 6),
        (Budget(min_rounds=4), {"min_rounds": 6}, {}, 4),
        (Budget(), {"max_rounds": 4}, {}, 4),
        (Budget(), {"max_time_s": 0.0}, {}, 1),
        (Budget(max_time_s=60.0), {"max_time_s": 0.0}, {}, 5),
        (Budget(), {"save": "all"}, {}, 10),
        (Budget(), {"save": "new"}, {}, 10),
        (Budget(max_rounds=3), {"save": "all"}, {}, 3),
        (Budget(min_rounds=12), {"save": "all"}, {}, 12),
        (Budget(min_rounds=12), {}, {"rounds": 2}, 2),
    ],
)
def test_how_many_rounds(
    lab: Lab, budget: Budget, options: dict[str, Any], plan: dict[str, Any], rounds: int
) -> None:
    """As the test itself says, else its budget, else the options; to save takes ten."""
    result = lab.measure(lab.trial(limits=budget, **options), **plan)
    assert len(result.rounds) == rounds


def calls(lab: Lab, trial: Trial, **plan: int | None) -> int:
    """How often a piece of work was called to be measured."""
    called = 0
    for trip in trial.passes("call", **plan):
        with trip.window("call"):
            for _ in range(trip.iterations):
                called += 1
                lab.sensor.spend(1.0, seconds=0.2)
    return called


@pytest.mark.parametrize(
    ("plan", "called"),
    [
        ({"rounds": 1}, 1),
        ({"rounds": 1, "iterations": 10}, 10),
        ({"rounds": 1, "warmup": 2}, 3),
        ({"rounds": 4, "warmup": 0, "iterations": 3}, 12),
        ({"rounds": 4, "iterations": 3}, 15),
        ({"warmup": 3}, 8),
    ],
)
def test_a_test_that_says_how_often_is_called_so_often(
    lab: Lab, plan: dict[str, int], called: int
) -> None:
    """Rounds, warm-up and iterations of `pedantic` are kept to."""
    assert calls(lab, lab.trial(), **plan) == called


def test_work_that_cannot_be_repeated_is_called_once(lab: Lab) -> None:
    """`max_rounds=1` calls it exactly once, with a baseline and where it is saved too."""
    lab.keep(call=grown())
    for save in (None, "all"):
        assert calls(lab, lab.trial(limits=Budget(max_rounds=1), save=save)) == 1


def test_windows_are_sized_by_the_margin_of_the_budget(lab: Lab) -> None:
    """A budget that asks for 0.1 % gets longer rounds than one that asks for 5 %."""
    spans = []
    for margin in (None, 0.001):
        trial = lab.trial(limits=Budget(max_increase=margin))
        spans.append(lab.measure(trial).rounds[0].seconds)
    assert spans[0] == pytest.approx(0.2)
    assert spans[1] >= 3.9


# --- what it is compared with ----------------------------------------------------------------


def test_a_baseline_of_another_machine_is_not_comparable(lab: Lab) -> None:
    """The difference is the cause, and nothing is waited for that cannot be had."""
    lab.keep(call=grown())
    lab.environment = Environment({**MACHINE, "cpu": "B"})
    lab.store = Store(lab.store.folder, lab.environment.slug)
    result = lab.measure(lab.trial())
    assert (result.verdict.outcome, len(result.rounds)) == (Outcome.NOT_COMPARABLE, 5)
    assert result.verdict.cause == "cpu: AMD EPYC 9654 -> B"


def test_conditions_that_differ_are_not_comparable(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that sets its threads is compared with the same number of threads."""
    lab.keep(call=series(*grown().sessions, conditions={"threads": "4"}))
    monkeypatch.setattr(machine, "conditions", lambda: {"threads": "8"})
    result = lab.measure(lab.trial())
    assert (result.verdict.outcome, result.verdict.cause) == (
        Outcome.NOT_COMPARABLE,
        "threads: 4 -> 8",
    )
    assert (result.conditions, len(result.rounds)) == ({"threads": "8"}, 5)


def test_a_damaged_file_of_another_machine_does_not_matter_here(lab: Lab) -> None:
    """Where this machine has a baseline, others are not read."""
    lab.keep(call=grown())
    other = lab.store.path(key(), "other")
    other.parent.mkdir(parents=True)
    other.write_text("damaged")
    assert lab.measure(lab.trial()).verdict.outcome is Outcome.PASSED


def test_a_renamed_parameter_is_pointed_at(lab: Lab) -> None:
    """A new test whose function has a baseline of a test that is gone is told how to move it."""
    old, new = key(param="4 gzip"), key(param="gzip-4")
    lab.keep(old, call=grown())
    lab.collected = {new}
    verdict = lab.measure(lab.trial(test=new)).verdict
    assert verdict.outcome is Outcome.NO_BASELINE
    assert verdict.cause == (
        "test_parse[4 gzip] has one and was not collected; if it was renamed: "
        f"git mv '{lab.store.shown(old)}' '{lab.store.shown(new)}'"
    )
    assert lab.measure(lab.trial(test=key("test_new"))).verdict.cause is None


def test_each_name_is_compared_with_its_own_baseline(lab: Lab) -> None:
    """A name that the baseline lacks has none, though its test has a file."""
    lab.keep(encode=series(session(rounds(2.0)), session(rounds(2.0)), session(rounds(2.0))))
    trial = lab.trial()
    lab.measure(trial, "encode", 3.0)
    lab.measure(trial, "decode", 3.0)
    assert {name: result.verdict.outcome for name, result in trial.close().items()} == {
        "encode": Outcome.REGRESSED,
        "decode": Outcome.NO_BASELINE,
    }


def test_an_instrumented_trial_is_not_comparable(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever traces when the measurement begins is noted."""
    monkeypatch.setattr(machine, "instrumented", lambda: "coverage")
    lab.keep(call=grown())
    verdict = lab.measure(lab.trial(), joules=9.0).verdict
    assert (verdict.outcome, verdict.cause) == (Outcome.NOT_COMPARABLE, "instrumented: coverage")
