"""A trial of one test: what it counts, how long it takes, what it is compared with."""

from __future__ import annotations

import builtins
import math
import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Check, CheckName, Domain, Provenance
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.run.context import Probes, RunContext, Turn
from pytest_greenops.run.fresh_process import Answer, FreshFailure
from pytest_greenops.run.trial import Trial
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import MACHINE, baseline, grown, key, message_of, rounds, series, session

refusal = partial(message_of, GreenopsError)

#: Nothing else runs, nothing traces this process, and the test set nothing.
QUIET = Probes(load=NoLoad, instrumented=lambda: None, conditions=dict)


class Lab:
    """Trials with a fake sensor, and baselines to compare them with."""

    def __init__(self, folder: Path) -> None:
        self.sensor = FakeSensor(Domain("cpu:0", "cpu"))
        self.environment = Environment(MACHINE)
        self.store = Store(folder / "baselines", self.environment.slug)
        self.accepted: list[Series] = []
        self.progress: list[tuple[str, int, int]] = []
        self.probes = QUIET
        self.collected: set[TestKey] = set()

    def trial(
        self,
        *,
        test: TestKey | None = None,
        limits: Budget | None = None,
        left_s: Callable[[], float] = lambda: math.inf,
        **options: Any,
    ) -> Trial:
        """Return a trial of a test with this budget, in a run with these options."""
        context = RunContext(
            Instruments([self.sensor]),
            self.environment,
            self.store,
            Rules(session_sd=0.001, carbon=options.get("carbon")),
            Options(**{"counting": "off", **options}),
            self.accepted,
            self.collected,
            lambda *shown: self.progress.append(shown),
            self.probes,
        )
        return Trial(context, test or key(), limits or Budget(), left_s)

    def keep(self, test: TestKey | None = None, **known: Series) -> None:
        """Store a baseline."""
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
        """Measure work that takes 0.2 s a call and returns a value."""
        for trip in trial.trips(name, **plan):
            with trip.window(name):
                for _ in range(trip.iterations):
                    self.sensor.spend(joules, seconds=0.2)
            trip.units = trial.work(value, trip.iterations)
        return trial.results[name]

    def measure_loop(self, **joules: float) -> dict[str, Result]:
        """Measure a loop whose windows use these joules in 0.2 s each; return its results."""
        trial = self.trial()
        for trip in trial.trips():
            for name, used_j in joules.items():
                with trip.window(name):
                    self.sensor.spend(used_j, seconds=0.2)
        return trial.close()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab without baselines."""
    return Lab(tmp_path)


# --- results ---------------------------------------------------------------------------------


def test_a_measurement_becomes_a_result(lab: Lab) -> None:
    """The result is available after the last trip."""
    trial = lab.trial()
    result = lab.measure(trial)
    assert (result.test, result.name, result.domain) == (key(), "call", "total")
    assert (result.joules, result.seconds) == pytest.approx((2.0, 0.2))
    assert len(result.rounds) == 5
    assert result.verdict.outcome is Outcome.NO_BASELINE
    assert trial.close() == {"call": result}


def test_several_names_are_several_results(lab: Lab) -> None:
    """The results are in the order in which they were measured."""
    trial = lab.trial()
    lab.measure(trial, "encode", 1.0)
    lab.measure(trial, "decode", 3.0)
    energy = {name: result.joules for name, result in trial.close().items()}
    assert energy == {"encode": pytest.approx(1.0), "decode": pytest.approx(3.0)}


def test_windows_of_a_loop_are_results(lab: Lab) -> None:
    """Each window of a loop has a result."""
    results = lab.measure_loop(prefill=1.0, decode=3.0)
    energy = {name: result.joules for name, result in results.items()}
    assert energy == {"prefill": pytest.approx(1.0), "decode": pytest.approx(3.0)}


def test_quality_is_part_of_every_result(lab: Lab) -> None:
    """A quality reported after the measurement counts too."""
    trial = lab.trial()
    lab.measure(trial)
    trial.add_quality({"accuracy": 0.94})
    assert trial.close()["call"].quality == {"accuracy": 0.94}


def test_grams_need_the_carbon_intensity(lab: Lab) -> None:
    """2 J at 1,800 kg/kWh are one gram."""
    assert lab.measure(lab.trial(carbon=CarbonFactor(1.8e6))).grams == pytest.approx(1.0)
    assert lab.measure(lab.trial()).grams is None


def test_a_limit_of_carbon_needs_the_grid(lab: Lab) -> None:
    """A carbon limit without a carbon intensity is an error before anything is called."""
    trial = lab.trial(limits=Budget(max_carbon_g=1.0))
    message = refusal(lambda: lab.measure(trial))
    assert message.startswith(
        "energy_budget: max_carbon needs the carbon intensity of the grid; add "
    )
    assert lab.sensor.read() == FakeSensor(Domain("cpu:0", "cpu")).read()
    known = lab.trial(limits=Budget(max_carbon_g=9.0), carbon=CarbonFactor(1.8e6))
    assert lab.measure(known).verdict.outcome is Outcome.PASSED


# --- unfinished measurements -----------------------------------------------------------------


def test_a_loop_that_was_left_is_not_measured(lab: Lab) -> None:
    """After `break` in `energy.rounds()` nothing can be said."""
    trial = lab.trial()
    for trip in trial.trips():
        with trip.window("decode"):
            lab.sensor.spend(1.0)
        break
    [result] = trial.close().values()
    assert (result.name, result.verdict.outcome) == ("loop", Outcome.NOT_MEASURED)
    assert result.verdict.cause == "it was left before its rounds were done"


def test_an_unfinished_name_leaves_others_alone(lab: Lab) -> None:
    """A name that was measured before keeps its result."""
    trial = lab.trial()
    done = lab.measure(trial, "encode")
    next(iter(trial.trips("decode")))
    results = trial.close()
    assert results["encode"] == done
    assert results["decode"].verdict.outcome is Outcome.NOT_MEASURED


def test_a_test_that_measures_nothing(lab: Lab) -> None:
    """A test that never calls `energy` is not measured."""
    [result] = lab.trial(limits=Budget(energy_j=1.0)).close().values()
    assert (result.name, result.verdict.outcome) == ("call", Outcome.NOT_MEASURED)
    assert result.verdict.cause == "the test never called energy"


def test_a_repetition_has_its_number_while_it_runs(lab: Lab) -> None:
    """Trips count from 1, warm-up first, so that a failure can report its number."""
    trial = lab.trial()
    seen = []
    for trip in trial.trips("call"):
        seen.append(trial.repetition)
        with trip.window("call"):
            lab.sensor.spend(1.0, seconds=0.2)
    assert (seen, trial.repetition) == ([1, 2, 3, 4, 5, 6], 0)


def test_progress_names_the_test(lab: Lab) -> None:
    """Progress has the test's name with its parameters, and the rounds done and planned."""
    lab.measure(lab.trial(test=key(param="4")))
    assert lab.progress[-1] == ("test_parse[4]", 5, 5)


# --- units -----------------------------------------------------------------------------------


def test_work_is_constant_or_counted_from_the_result(lab: Lab) -> None:
    """Each unit is counted for all iterations of a round."""
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
    """The unit is the budget's, else the first that the test counts, else a call."""
    trial = lab.trial(limits=budget)
    trial.units = dict(units)
    result = lab.measure(trial)
    assert (trial.unit, result.unit) == (unit, unit)
    assert result.judged_j == pytest.approx(2.0 / units.get(unit, 1))


@pytest.mark.parametrize("declared", [{}, {"sample": 4}])
def test_a_budget_per_an_unknown_unit_is_an_error(lab: Lab, declared: dict[str, float]) -> None:
    """The error names the unit and how to declare it."""
    trial = lab.trial(limits=Budget(energy_j=1.0, per="token"))
    trial.units = dict(declared)
    assert refusal(lambda: lab.measure(trial)) == (
        "energy_budget: per='token', but the test does not count this unit; "
        "declare it before the call: energy.units(token=...)"
    )


def test_late_units_are_an_error(lab: Lab) -> None:
    """Units declared after the last measurement did not count it."""
    trial = lab.trial()
    trial.units = {"sample": 4}
    lab.measure(trial)
    assert list(trial.close()) == ["call"]
    trial.units = {"token": 4, "request": 2}
    assert refusal(trial.close) == (
        "energy.units(token, request=...) came after the last measurement, which did not count "
        "it; call it before"
    )


BOUNDED = "a number from 1e-30 to 1e+30"


@pytest.mark.parametrize(
    ("counted", "shown", "expected"),
    [
        (0, "0", "a number > 0"),
        (-3, "-3", "a number > 0"),
        (math.nan, "nan", "a number > 0"),
        (None, "None", "a number > 0"),
        ("8", "'8'", "a number > 0"),
        (math.inf, "inf", BOUNDED),
        (1e-300, "1e-300", BOUNDED),
    ],
)
def test_work_that_joules_cannot_be_divided_by_is_an_error(
    lab: Lab, counted: Any, shown: str, expected: str
) -> None:
    """A count from the result is a positive number, with joules per unit that are finite."""
    trial = lab.trial()
    trial.units = {"token": lambda value: counted}
    assert refusal(lambda: lab.measure(trial)) == (
        f"energy.units: counted {shown} token in a call; expected {expected}"
    )


# --- how long it takes -----------------------------------------------------------------------

AT_THE_MARGIN = 2.0995


@pytest.mark.parametrize(
    ("sessions", "joules", "rounds"),
    [(0, 2.0, 5), (1, 2.0, 10), (2, 2.0, 10), (3, 2.0, 5), (5, 2.0, 5), (5, AT_THE_MARGIN, 15)],
)
def test_looks_follow_the_sessions_of_the_name(
    lab: Lab, sessions: int, joules: float, rounds: int
) -> None:
    """A new test takes 5 rounds, a young baseline 10, a grown one up to 15."""
    if sessions:
        lab.keep(call=grown(sessions=sessions, spread=0.001))
    assert len(lab.measure(lab.trial(), joules=joules).rounds) == rounds


def test_the_last_look_may_decide_what_the_first_did_not(lab: Lab) -> None:
    """The second look may decide what the first did not."""
    lab.keep(call=grown(sessions=5, spread=0.08))
    trial = lab.trial()
    result = lab.measure(trial, joules=2.2)
    assert (len(result.rounds), result.verdict.outcome) == (10, Outcome.REGRESSED)


@pytest.mark.parametrize(
    ("sessions", "decode_j", "rounds", "outcome"),
    [(1, 2.0, 10, Outcome.PASSED), (5, AT_THE_MARGIN, 15, Outcome.INCONCLUSIVE)],
    ids=["youngest", "undecided"],
)
def test_a_loop_takes_the_rounds_of_the_window_that_needs_most(
    lab: Lab, sessions: int, decode_j: float, rounds: int, outcome: Outcome
) -> None:
    """That is the one with the fewest baseline sessions, or the last one that is decided."""
    known = grown(sessions=5, spread=0.001)
    lab.keep(prefill=known, decode=known if sessions == 5 else grown(sessions=sessions))
    results = lab.measure_loop(prefill=2.0, decode=decode_j)
    outcomes = {name: (len(r.rounds), r.verdict.outcome) for name, r in results.items()}
    assert outcomes == {"prefill": (rounds, Outcome.PASSED), "decode": (rounds, outcome)}


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
    """The test sets the rounds, else its budget, else the options; saving takes ten."""
    result = lab.measure(lab.trial(limits=budget, **options), **plan)
    assert len(result.rounds) == rounds


def calls(lab: Lab, trial: Trial, **plan: int | None) -> int:
    """Return how often a piece of work was called."""
    called = 0
    for trip in trial.trips("call", **plan):
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
def test_a_test_can_set_how_often_it_is_called(lab: Lab, plan: dict[str, int], called: int) -> None:
    """Rounds, warm-up and iterations are those that the test sets."""
    assert calls(lab, lab.trial(), **plan) == called


def test_work_that_cannot_be_repeated_is_called_once(lab: Lab) -> None:
    """`max_rounds=1` calls the work exactly once, with a baseline and when saving too."""
    lab.keep(call=grown())
    for save in (None, "all"):
        assert calls(lab, lab.trial(limits=Budget(max_rounds=1), save=save)) == 1


def test_windows_are_sized_by_the_margin_of_the_budget(lab: Lab) -> None:
    """A margin of 0.1 % gets longer rounds than a margin of 5 %."""
    spans = []
    for margin in (None, 0.001):
        trial = lab.trial(limits=Budget(max_increase=margin))
        spans.append(lab.measure(trial).rounds[0].seconds)
    assert spans[0] == pytest.approx(0.2)
    assert spans[1] >= 3.9


# --- what it is compared with ----------------------------------------------------------------


def test_a_baseline_of_another_machine_is_not_comparable(lab: Lab) -> None:
    """The difference is the cause, and no further rounds are measured."""
    lab.keep(call=grown())
    lab.environment = Environment({**MACHINE, "cpu": "B"})
    lab.store = Store(lab.store.folder, lab.environment.slug)
    result = lab.measure(lab.trial())
    assert (result.verdict.outcome, len(result.rounds)) == (Outcome.NOT_COMPARABLE, 5)
    assert result.verdict.cause == "cpu: AMD EPYC 9654 -> B"


def test_conditions_that_differ_are_not_comparable(lab: Lab) -> None:
    """A test that sets its number of threads is compared with the same number."""
    lab.keep(call=series(*grown().sessions, conditions={"threads": "4"}))
    lab.probes = changed(QUIET, conditions=lambda: {"threads": "8"})
    result = lab.measure(lab.trial())
    assert (result.verdict.outcome, result.verdict.cause) == (
        Outcome.NOT_COMPARABLE,
        "threads: 4 -> 8",
    )
    assert (result.conditions, len(result.rounds)) == ({"threads": "8"}, 5)


def test_a_damaged_file_of_another_machine_does_not_matter_here(lab: Lab) -> None:
    """If this machine has a baseline, those of other machines are not read."""
    lab.keep(call=grown())
    other = lab.store.path(key(), "other")
    other.parent.mkdir(parents=True)
    other.write_text("damaged")
    assert lab.measure(lab.trial()).verdict.outcome is Outcome.PASSED


def test_a_renamed_parameter_is_reported(lab: Lab) -> None:
    """If another parameter has a baseline but no test, the cause says how to move it."""
    old, new = key(param="4 gzip"), key(param="gzip-4")
    lab.keep(old, call=grown())
    lab.collected = {new}
    verdict = lab.measure(lab.trial(test=new)).verdict
    assert verdict.outcome is Outcome.NO_BASELINE
    assert verdict.cause == (
        "test_parse[4 gzip] has one and was not collected; if it was renamed: "
        f"git mv '{os.path.relpath(lab.store.path(old))}' '{os.path.relpath(lab.store.path(new))}'"
    )
    assert lab.measure(lab.trial(test=key("test_new"))).verdict.cause is None


def test_each_name_is_compared_with_its_own_baseline(lab: Lab) -> None:
    """A name that the baseline lacks has no baseline, although its test has a file."""
    lab.keep(encode=series(session(rounds(2.0)), session(rounds(2.0)), session(rounds(2.0))))
    trial = lab.trial()
    lab.measure(trial, "encode", 3.0)
    lab.measure(trial, "decode", 3.0)
    assert {name: result.verdict.outcome for name, result in trial.close().items()} == {
        "encode": Outcome.REGRESSED,
        "decode": Outcome.NO_BASELINE,
    }


def test_an_instrumented_trial_is_not_comparable(lab: Lab) -> None:
    """A tracer that is active when the measurement begins is the cause."""
    lab.probes = changed(QUIET, instrumented=lambda: "coverage")
    lab.keep(call=grown())
    verdict = lab.measure(lab.trial(), joules=9.0).verdict
    assert (verdict.outcome, verdict.cause) == (Outcome.NOT_COMPARABLE, "instrumented: coverage")


# --- sessions in fresh processes -------------------------------------------------------------

#: Joules that five sessions of 2 J with this spread leave undecided.
OPEN, SPREAD = 2.08, 0.08


class Fresh:
    """Fresh processes that use these joules, or fail."""

    def __init__(self, lab: Lab, joules: float = 2.0, failure: str | None = None) -> None:
        self.lab, self.joules, self.failure = lab, joules, failure
        self.started = 0
        self.change: Callable[[Result], Result] = lambda result: result

    def __call__(self) -> Answer:
        """Return the answer of one process."""
        self.started += 1
        if self.failure is not None:
            raise FreshFailure(self.failure)
        result = self.lab.measure(self.lab.trial(fresh_child=True), joules=self.joules)
        return Answer(self.lab.environment, (self.change(result),))


def confirmed(lab: Lab, fresh: Fresh, joules: float = 2.0, **trial: Any) -> Result:
    """Measure in a trial, let fresh processes confirm it, and return the result."""
    made = lab.trial(**trial)
    lab.measure(made, joules=joules)
    made.confirm(fresh)
    return made.results["call"]


def left_open(lab: Lab, **options: Any) -> Trial:
    """Return a trial whose looks could not decide."""
    lab.keep(call=grown(spread=SPREAD))
    trial = lab.trial(**options)
    assert lab.measure(trial, joules=OPEN).verdict.outcome is Outcome.INCONCLUSIVE
    return trial


def test_an_undecided_verdict_gets_one_fresh_session(lab: Lab) -> None:
    """The figures and the verdict then rest on both sessions."""
    trial, fresh = left_open(lab), Fresh(lab)
    trial.confirm(fresh)
    result = trial.results["call"]
    assert fresh.started == 1
    assert [len(rounds) for rounds in result.sessions] == [15, 10]
    assert result.joules == pytest.approx((2.0 * OPEN) ** 0.5)
    change = result.verdict.change
    assert change
    assert change.relative == pytest.approx((OPEN / 2.0) ** 0.5 - 1, abs=2e-3)
    assert trial.close() == {"call": result}


@pytest.mark.parametrize(
    ("known", "joules", "limits", "options"),
    [
        (grown(spread=0.01), 2.0, Budget(), {}),
        (grown(spread=SPREAD), OPEN, Budget(max_rounds=1), {}),
        (grown(spread=SPREAD), OPEN, Budget(), {"save": "all"}),
        (grown(spread=SPREAD), OPEN, Budget(), {"fresh_child": True}),
        (grown(sessions=2), OPEN, Budget(), {}),
    ],
    ids=["decided", "once", "saved", "itself fresh", "young baseline"],
)
def test_no_fresh_session_without_need(
    lab: Lab, known: Series, joules: float, limits: Budget, options: dict[str, Any]
) -> None:
    """No process starts for work that it cannot decide, runs once, or is judged elsewhere."""
    lab.keep(call=known)
    fresh = Fresh(lab)
    confirmed(lab, fresh, joules, limits=limits, **options)
    assert fresh.started == 0


@pytest.mark.parametrize("sessions", [1, 2, 5])
def test_a_regression_is_confirmed_before_it_fails(lab: Lab, sessions: int) -> None:
    """A confirmed regression keeps the figures of this process, whatever its baseline."""
    lab.keep(call=grown(sessions=sessions))
    trial, fresh = lab.trial(), Fresh(lab, 2.6)
    alone = lab.measure(trial, joules=2.5)
    trial.confirm(fresh)
    result = trial.results["call"]
    assert fresh.started == 1
    assert (result.verdict.outcome, result.fresh) == (Outcome.REGRESSED, ())
    assert result.verdict.change == alone.verdict.change
    assert result.verdict.confirmed == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("sessions", [1, 2, 5])
def test_a_contradicted_regression_is_inconclusive(lab: Lab, sessions: int) -> None:
    """If a fresh process does not find the increase, the cause has both changes."""
    lab.keep(call=grown(sessions=sessions))
    verdict = confirmed(lab, Fresh(lab, 2.0), joules=2.5).verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause
    assert re.fullmatch(
        r"not confirmed: \+25 % in this process, [+-]0\.\d % in a fresh one", verdict.cause
    )


@pytest.mark.parametrize(
    ("fresh_j", "outcome"), [(2.0, Outcome.INCONCLUSIVE), (2.5, Outcome.OVER_BUDGET)]
)
def test_a_budget_is_judged_by_both_sessions(lab: Lab, fresh_j: float, outcome: Outcome) -> None:
    """An exceeded budget must be exceeded in both sessions."""
    trial = lab.trial(limits=Budget(energy_j=2.236))
    assert lab.measure(trial, joules=2.5).verdict.outcome is Outcome.OVER_BUDGET
    trial.confirm(Fresh(lab, fresh_j))
    result = trial.results["call"]
    assert (result.verdict.outcome, len(result.sessions)) == (outcome, 2)


def test_an_unconfirmed_regression_may_stand(lab: Lab) -> None:
    """If the fresh process fails, the first session decides, and a check says why."""
    lab.keep(call=grown())
    result = confirmed(lab, Fresh(lab, failure="its test failed"), joules=2.5)
    assert result.verdict.outcome is Outcome.REGRESSED
    assert [(c.name, c.finding) for c in result.checks] == [("fresh session", "its test failed")]


def controls(joules: Callable[[], dict[str, float]]) -> Callable[[Instruments], Control]:
    """Return what makes control workloads that used these joules."""

    class KnownControl(Control):
        def joules(self, rounds: int) -> dict[str, float]:
            return joules()

    return KnownControl


def controlled(joules: float) -> list[Series]:
    """Return a series of five days whose controls used about these joules."""
    days = (replace(session(day=day), control_j={"cpu:0": joules * day}) for day in range(9, 14))
    return [series(*days)]


def test_nothing_is_decided_on_a_changed_machine(lab: Lab) -> None:
    """A control workload far from its history makes the verdict inconclusive."""
    lab.keep(call=grown())
    lab.accepted = controlled(2e-6)
    lab.probes = changed(QUIET, control=controls(lambda: {"cpu:0": 1.0}))
    result = lab.measure(lab.trial(), joules=2.5)
    [check] = result.checks
    assert (check.name, check.untrusted) == ("control", True)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert result.verdict.cause == f"control: {check.finding}"


def test_instrumented_work_says_nothing_of_the_machine(lab: Lab) -> None:
    """A tracer slows the control workload too: the tracer is reported, and no change."""
    lab.accepted = controlled(2e-6)
    known = controls(lambda: {"cpu:0": 1.0})
    lab.probes = changed(QUIET, control=known, instrumented=lambda: "tracemalloc")
    result = lab.measure(lab.trial(), joules=2.5)
    assert [check.name for check in result.checks] == ["instrumented"]
    assert result.verdict.outcome is Outcome.NOT_COMPARABLE


def test_a_run_that_saves_trusts_its_measurements(lab: Lab) -> None:
    """A run that saves reports that the machine has changed, and saves."""
    lab.accepted = controlled(2e-6)
    lab.probes = changed(QUIET, control=controls(lambda: {"cpu:0": 1.0}))
    [check] = lab.measure(lab.trial(save="all")).checks
    assert (check.name, check.untrusted) == ("control", False)


def test_each_session_has_the_control_of_its_own_process(lab: Lab) -> None:
    """Each session is saved with the control workload of its own process."""
    joules = iter([{"cpu:0": 1.0}, {"cpu:0": 3.0}])
    lab.probes = changed(QUIET, control=controls(lambda: next(joules)))
    result = confirmed(lab, Fresh(lab), sessions=2)
    assert (result.control_j, result.fresh_controls_j) == ({"cpu:0": 1.0}, ({"cpu:0": 3.0},))


def test_the_options_set_the_number_of_sessions(lab: Lab) -> None:
    """Each session has ten rounds, and all are judged together."""
    fresh = Fresh(lab, 2.2)
    result = confirmed(lab, fresh, sessions=4)
    assert fresh.started == 3
    assert [len(rounds) for rounds in result.sessions] == [10] * 4
    assert result.joules == pytest.approx((2.0 * 2.2**3) ** 0.25)


def test_a_failed_process_is_not_repeated(lab: Lab) -> None:
    """The reason becomes a check, and the verdict stays."""
    trial, fresh = lab.trial(sessions=4), Fresh(lab, failure="it broke")
    before = lab.measure(trial)
    trial.confirm(fresh)
    result = trial.results["call"]
    assert fresh.started == 1
    assert (result.verdict, result.fresh, result.untrusted) == (before.verdict, (), False)
    assert [(check.name, check.finding) for check in result.checks] == [
        ("fresh session", "it broke")
    ]


def unused(lab: Lab, change: Callable[[Result], Result]) -> str:
    """Return why a fresh session with a changed result was not used."""
    trial, fresh = left_open(lab), Fresh(lab)
    fresh.change = change
    trial.confirm(fresh)
    result = trial.results["call"]
    assert (result.fresh, result.verdict.outcome) == ((), Outcome.INCONCLUSIVE)
    [check] = result.checks
    return check.finding


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "other"}, "call was not measured there"),
        (
            {"verdict": Verdict(Outcome.NOT_MEASURED, "no sensor")},
            "call was not measured there (no sensor)",
        ),
        (
            {"checks": (Check(CheckName.CONTENTION, "30 % of others", "flagged", untrusted=True),)},
            "contention (30 % of others)",
        ),
        ({"domains": ()}, "it has other energy counters or units of work"),
        (
            {"provenance": Provenance({"cpu:0": "fake"}, True)},
            "it has other energy counters or units of work",
        ),
    ],
    ids=["no such name", "not measured", "untrusted", "counters", "estimated"],
)
def test_a_fresh_session_that_cannot_be_used(lab: Lab, change: dict[str, Any], why: str) -> None:
    """The reason becomes a check, and nothing else changes."""
    assert unused(lab, lambda result: replace(result, **change)) == why


def test_a_fresh_session_with_other_units(lab: Lab) -> None:
    """Rounds that count other units of work are not used."""

    def recounted(result: Result) -> Result:
        return replace(result, rounds=tuple(replace(r, units={"b": 1.0}) for r in result.rounds))

    assert unused(lab, recounted) == "it has other energy counters or units of work"


def test_a_fresh_session_under_other_conditions(lab: Lab) -> None:
    """The condition that the test set in one process only is the reason."""
    lab.probes = changed(QUIET, conditions=lambda: {"threads": "4"})
    assert unused(lab, lambda result: replace(result, conditions={"threads": "8"})) == (
        "it was measured under other conditions (threads: 8 -> 4)"
    )


def test_no_fresh_session_for_an_instrumented_process(lab: Lab) -> None:
    """If this process is traced, a fresh session would be of no use."""
    lab.probes = changed(QUIET, instrumented=lambda: "coverage (sys.settrace)")
    fresh = Fresh(lab)
    confirmed(lab, fresh, sessions=3)
    assert fresh.started == 0


def test_a_measurement_takes_half_of_the_time_that_is_left(lab: Lab) -> None:
    """A measurement ends within half of what its test's timeout leaves."""
    trial = lab.trial(left_s=lambda: 0.0)
    assert len(lab.measure(trial).rounds) == 1


def test_a_single_window_widens_no_other_measurement(lab: Lab) -> None:
    """The spread that is assumed for work measured once is not that of what follows it."""
    known = grown(sessions=1, spread=0.0)
    lab.keep(call=known, load=known)
    trial = lab.trial()
    single = lab.measure(trial, "load", joules=2.6, rounds=1)
    repeated = lab.measure(trial, "call", joules=2.6)
    assert single.verdict.outcome is Outcome.INCONCLUSIVE
    assert repeated.verdict.outcome is Outcome.REGRESSED


# --- threads ---------------------------------------------------------------------------------


def test_two_threads_measure_one_after_the_other(lab: Lab) -> None:
    """The second waits for the first, so neither has the joules of both."""
    trial, begun = lab.trial(), threading.Event()

    def measure_second() -> None:
        begun.wait()
        lab.measure(trial, "second", joules=3.0)

    thread = threading.Thread(target=measure_second)
    thread.start()
    for trip in trial.trips("first"):
        begun.set()
        with trip.window("first"):
            for _ in range(trip.iterations):
                lab.sensor.spend(2.0, seconds=0.2)
    thread.join()
    energy = {name: result.joules for name, result in trial.close().items()}
    assert energy == {"first": pytest.approx(2.0), "second": pytest.approx(3.0)}


def test_a_loop_that_a_test_keeps_does_not_stop_the_threads_of_later_tests(lab: Lab) -> None:
    """A measurement that was left without its end, and is not forgotten, ends with its test."""
    kept, later = lab.trial(), lab.trial()
    trips = kept.trips("kept")
    next(trips)
    kept.end()
    thread = threading.Thread(target=lambda: lab.measure(later, "later", joules=3.0))
    thread.start()
    thread.join(timeout=10.0)
    assert not thread.is_alive()
    assert later.close()["later"].joules == pytest.approx(3.0)
    trips.close()


def test_a_thread_does_not_wait_for_ever() -> None:
    """Measured work that waits for a measurement in another thread would never end."""
    turn = Turn()
    held = turn.take(1.0)
    assert turn.is_mine
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(refusal(lambda: turn.take(0.001))))
    thread.start()
    thread.join()
    assert messages[0].startswith("energy: another thread has been measuring for too long;")
    assert turn.take(1.0) == held + 1  # the first one was left without its end
    turn.give(held)
    assert turn.is_mine
    turn.give(held + 1)
    assert not turn.is_mine


def test_a_first_call_that_used_far_more_is_noted(lab: Lab) -> None:
    """A cached function computes once, in the warm-up; its rounds measure the cache."""
    trial, left = lab.trial(), [50.0]
    for trip in trial.trips("call"):
        with trip.window("call"):
            lab.sensor.spend(left.pop() if left else 0.1, seconds=0.2 * trip.iterations)
    result = trial.results["call"]
    assert [check.name for check in result.checks] == ["warm-up"]
    assert result.checks[0].finding.startswith("the first call used over 100 times as much as any")
    assert not result.untrusted
    assert lab.measure(lab.trial()).checks == ()


def test_a_failure_of_the_plugin_does_not_fail_the_test(lab: Lab) -> None:
    """The work runs once, and is not measured for a reason."""

    def fails() -> NoLoad:
        raise RuntimeError("a probe of ours")

    lab.probes = changed(QUIET, load=fails)
    trial, calls = lab.trial(), []
    for trip in trial.trips("call"):
        with trip.window("call"):
            calls.append(trip.iterations)
    assert calls == [1]
    verdict = trial.close()["call"].verdict
    assert verdict.outcome is Outcome.NOT_MEASURED
    assert verdict.cause == "the measurement failed (RuntimeError: a probe of ours)"


def test_what_the_test_replaces_is_its_own(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its `sum` and `math.log` are in place in its code, and those of before in ours."""
    trial = lab.trial(limits=Budget(energy_j=1.0))
    monkeypatch.setattr(builtins, "sum", lambda numbers: -1)
    monkeypatch.setattr(math, "exp", lambda number: -1.0)
    for trip in trial.trips("call"):
        with trip.window("call"):
            assert (sum([2]), math.exp(0.0)) == (-1, -1.0)
            lab.sensor.spend(2.0 * trip.iterations, seconds=0.2)
        trip.units = trial.work(None, trip.iterations)
    assert (sum([2]), math.exp(0.0)) == (-1, -1.0)
    result = trial.results["call"]
    assert (result.joules, result.verdict.outcome) == (pytest.approx(2.0), Outcome.OVER_BUDGET)
