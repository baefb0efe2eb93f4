"""The comparison of two JSON results: A is the baseline, and B is judged by it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.two_files import Comparison, compare
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Check, CheckName, Provenance, Round
from pytest_greenops.model.result import SCHEMA, Policy, Result, Results
from pytest_greenops.model.verdict import Cause, CauseKind, Limit, Outcome, QualityChange, Verdict
from tests.unit import builders
from tests.unit.builders import CPU, GPU, MACHINE, key, rounds

NO_VERDICT = Verdict(Outcome.NO_BASELINE)


def measured(
    joules: float = 2.0,
    *,
    test: TestKey | None = None,
    unit: str = "call",
    units: dict[str, float] | None = None,
    **more: Any,
) -> Result:
    """Return a result of a test that uses about this many joules a call."""
    given: dict[str, Any] = {
        "name": "call",
        "domain": "total",
        "verdict": NO_VERDICT,
        "domains": (CPU,),
        "rounds": rounds(joules, units=units),
        "provenance": Provenance({"cpu:0": "fake"}, False),
        **more,
    }
    per_unit = {name: joules / done for name, done in (units or {}).items()}
    return Result(test=test or key(), unit=unit, joules=joules, per_unit=per_unit, **given)


def results(*of: Result, margin: float = 0.05, machine: dict[str, str] = MACHINE) -> Results:
    """Return the results of a run on one machine."""
    policy = Policy("baselines", margin, "fail", "warn", strict=False)
    return Results(SCHEMA, "2026-01-02T00:00:00+00:00", "0.1", Environment(machine), policy, of)


def only(comparison: Comparison) -> Verdict:
    """Return the verdict on the one measurement that both have."""
    [result] = comparison.results
    return result.verdict


def judged(before: Result, after: Result, margin: float | None = None) -> Verdict:
    """Judge one result by another."""
    return only(compare(results(before), results(after), margin))


@pytest.mark.parametrize(
    ("joules", "outcome"),
    [(2.0, Outcome.PASSED), (3.0, Outcome.REGRESSED), (1.0, Outcome.IMPROVED)],
)
def test_b_is_judged_by_a(joules: float, outcome: Outcome) -> None:
    """The same energy passes, much more is a regression, much less an improvement."""
    compared = compare(results(measured()), results(measured(joules)))
    assert outcome == only(compared).outcome
    assert (outcome is Outcome.REGRESSED) == compared.regressed


def test_a_single_session_of_a_is_a_young_baseline() -> None:
    """A verdict on it is provisional."""
    change = judged(measured(2.0), measured(2.04)).change
    assert change is not None
    assert (1, True) == (change.sessions, change.provisional)
    assert change.baseline_j == pytest.approx(2.0, rel=1e-3)
    assert change.relative == pytest.approx(0.02, abs=1e-3)
    assert change.since_anchor is None


@pytest.mark.parametrize(
    "before",
    [
        measured(fresh=(rounds(2.01), rounds(1.99))),
        measured(fresh=(rounds(2.01),), confirming=rounds(1.99)),
    ],
    ids=["fresh", "confirming"],
)
def test_further_sessions_of_a_are_baseline_sessions(before: Result) -> None:
    """Three processes of A are three sessions of one occasion, confirming ones included."""
    change = judged(before, measured()).change
    assert change is not None
    assert (3, 1, True) == (change.sessions, change.occasions, change.provisional)


def test_fresh_sessions_of_b_count() -> None:
    """One process with an increase does not outweigh nine without."""
    alone = judged(measured(), measured(2.5))
    among = judged(measured(), measured(2.5, fresh=(rounds(2.0),) * 9))
    assert [Outcome.REGRESSED, Outcome.PASSED] == [alone.outcome, among.outcome]


@pytest.mark.parametrize(("confirming", "regressed"), [(2.5, True), (2.0, False)])
def test_the_confirming_session_of_b_counts(confirming: float, regressed: bool) -> None:
    """It supports the first session, or contradicts it."""
    verdict = judged(measured(), measured(2.5, confirming=rounds(confirming)))
    assert regressed == (verdict.outcome is Outcome.REGRESSED)


def test_p_values_are_adjusted_for_all_comparisons() -> None:
    """The adjustment (Holm) is for the comparisons of the two files."""
    pairs = [(measured(test=key(name)), measured(3.0, test=key(name))) for name in ("a", "b")]
    before, after = (results(*of) for of in zip(*pairs, strict=True))
    alone, together = (
        [result.verdict.change for result in compare(before, of).results]
        for of in (results(after.results[0]), after)
    )
    assert [c.p_value for c in alone if c] == [c.p_adjusted for c in alone if c]
    assert [2 * (c.p_value or 0.0) for c in together if c] == pytest.approx(
        [c.p_adjusted for c in together if c]
    )


STILL = (builders.a_round(0.0),)
TWICE = tuple(
    Round({name: 2 * uj for name, uj in r.energy_uj.items()}, r.seconds * 2, 2) for r in rounds(2.0)
)
EXCEEDED = Verdict(Outcome.OVER_BUDGET, limits=(Limit("energy", 2.0, 1.9, 2.1, 1.0),))
WITH_CARD = measured(
    domain="cpu",
    provenance=Provenance({"cpu:0": "fake"}, False),
    domains=(CPU, GPU),
    rounds=rounds(2.0, more={"gpu:0": 5.0}),
)
LOST = Check(CheckName.LOST, "gpu:0 fell off the bus", "left out")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (measured(fresh=(STILL,)), measured(fresh=(STILL,))),
        (measured(verdict=EXCEEDED), measured()),
        (measured(domain="cpu"), WITH_CARD),
        (measured(domain="cpu"), measured(domain="cpu", checks=(LOST,))),
        (measured(2.0), measured(rounds=TWICE)),
    ],
    ids=["session without energy", "A over its budget", "card of one side", "lost", "many calls"],
)
def test_what_does_not_affect_the_judged_joules_of_a_call_is_ignored(
    before: Result, after: Result
) -> None:
    """The same energy passes despite still sessions, budgets of A, other counters and batches."""
    assert Outcome.PASSED is judged(before, after).outcome


@pytest.mark.parametrize(
    ("of_run", "of_test", "given", "used"),
    [(0.5, None, None, 0.5), (0.05, 0.4, None, 0.4), (0.05, 0.4, 0.1, 0.1)],
)
def test_the_margin_is_the_given_one_or_that_of_b(
    of_run: float, of_test: float | None, given: float | None, used: float
) -> None:
    """A given margin comes first, then that of B's own verdict, then that of B's run."""
    own = None if of_test is None else replace(builders.change(), margin=of_test)
    after = measured(2.5, verdict=replace(NO_VERDICT, change=own))
    verdict = only(compare(results(measured()), results(after, margin=of_run), given))
    assert verdict.change is not None
    assert verdict.change.margin == used
    assert verdict.outcome is (Outcome.REGRESSED if used < 0.25 else Outcome.PASSED)


class TestNotComparable:
    """Results that are not compared, and why."""

    def test_other_machines(self) -> None:
        """A different fact of the machine is named, from A to B."""
        there = {**MACHINE, "cpu": "Xeon"}
        verdict = only(compare(results(measured(), machine=there), results(measured(3.0))))
        assert verdict.outcome is Outcome.NOT_COMPARABLE
        assert verdict.cause == "cpu: Xeon -> AMD EPYC 9654"

    @pytest.mark.parametrize(
        ("before", "cause"),
        [
            (measured(conditions={"threads": "1", "dtype": "float32"}), "threads: 1 -> 4"),
            (measured(domain="cpu"), "domain: cpu -> total"),
            (measured(unit="token", units={"token": 2.0}), "unit: token -> call"),
        ],
    )
    def test_other_conditions_domains_or_units(self, before: Result, cause: str) -> None:
        """A difference is named, unless it is a condition that only one side has."""
        verdict = judged(before, measured(3.0, conditions={"threads": "4"}))
        assert (Outcome.NOT_COMPARABLE, cause) == (verdict.outcome, verdict.cause)

    def test_a_traced_b(self) -> None:
        """A result with a tracer on is not judged."""
        traced = Check(CheckName.INSTRUMENTED, "coverage is on", "not judged", untrusted=True)
        verdict = judged(measured(), measured(3.0, checks=(traced,), untrusted=True))
        assert Outcome.NOT_COMPARABLE is verdict.outcome


class TestNothingToCompareWith:
    """A result of A that cannot be a baseline."""

    BUSY = Check(CheckName.CONTENTION, "others use 12 %", "flagged", untrusted=True)

    @pytest.mark.parametrize(
        ("before", "cause"),
        [
            (
                measured(
                    rounds=(),
                    provenance=Provenance({}, False),
                    verdict=Verdict(Outcome.NOT_MEASURED, "no sensor reads gpu here"),
                ),
                "no sensor reads gpu here",
            ),
            (measured(rounds=()), "not measured"),
            (measured(checks=(BUSY,), untrusted=True), "contention (others use 12 %)"),
            (measured(verdict=Verdict(Outcome.INCONCLUSIVE, "drift: +4 %")), "drift: +4 %"),
        ],
    )
    def test_is_no_baseline_with_the_reason(self, before: Result, cause: str) -> None:
        """The reason is A's, and nothing regresses."""
        verdict = judged(before, measured(9.0))
        assert Outcome.NO_BASELINE is verdict.outcome
        assert cause in (verdict.cause or "")


class TestDoubtfulB:
    """A result of B that is not reliable."""

    def test_was_not_measured(self) -> None:
        """Its own cause is kept."""
        why = Cause(CauseKind.NOTHING_MEASURED, "every round was void")
        verdict = Verdict(Outcome.NOT_MEASURED).with_cause(why)
        after = measured(rounds=(), provenance=Provenance({}, False), verdict=verdict)
        assert verdict == judged(measured(), after)

    @pytest.mark.parametrize("sensors", [{"cpu:0": "fake"}, {"cpu:0": "estimate"}])
    def test_is_no_regression(self, sensors: dict[str, str]) -> None:
        """A self-check that forbade a verdict in B's run forbids one here."""
        checks = (Check(CheckName.CONTENTION, "others use 12 %", "flagged", True, ("cpu",)),)
        provenance = Provenance(sensors, "estimate" in sensors.values())
        after = measured(9.0, checks=checks, untrusted=True, provenance=provenance)
        verdict = judged(measured(provenance=provenance), after)
        assert Outcome.INCONCLUSIVE is verdict.outcome
        assert verdict.cause == "contention: others use 12 %"


def test_an_estimated_regression_counts_too() -> None:
    """Estimates do not only warn here, whatever B's policy was."""
    estimate = Provenance({"cpu:0": "estimate"}, True)
    verdict = judged(measured(provenance=estimate), measured(3.0, provenance=estimate))
    assert (Outcome.REGRESSED, "fail", True) == (verdict.outcome, verdict.action, verdict.estimated)


def test_tests_are_paired_by_test_and_name() -> None:
    """Results that only one file has are listed in order."""
    names = ("prefill", "decode")
    a = results(measured(test=key("gone")), *(measured(name=name) for name in names))
    b = results(measured(name="decode"), measured(test=key("new")), measured(name="load"))
    compared = compare(a, b)
    assert ["decode"] == [r.name for r in compared.results]
    assert [("gone", "call"), ("test_parse", "prefill")] == [
        (r.test.name, r.name) for r in compared.only_a
    ]
    assert [("new", "call"), ("test_parse", "load")] == [
        (r.test.name, r.name) for r in compared.only_b
    ]


def test_no_result_is_marked_as_saved() -> None:
    """B's run may have saved it, but the comparison did not."""
    [result] = compare(results(measured()), results(measured(saved=True))).results
    assert not result.saved
    assert result.not_saved


def test_the_tests_of_a_share_no_suite() -> None:
    """Sessions of one run share its day, so they detect no smaller increase."""
    levels = ((2.0, 2.06, 1.94), (2.0, 2.02, 1.98), (2.0, 2.05, 1.95), (2.0, 2.03, 1.97))

    def of(sessions: tuple[float, ...], name: str) -> Result:
        first, *others = (rounds(joules) for joules in sessions)
        return measured(test=key(name), rounds=first, fresh=tuple(others))

    last = of((2.0, 2.04, 1.96), "test_last")
    more = [of(sessions, f"test_{number}") for number, sessions in enumerate(levels)]
    b = results(measured(2.05, test=key("test_last")))
    alone, among = (only(compare(results(*a), b)).change for a in ([last], [last, *more]))
    assert alone is not None
    assert among is not None
    assert alone.smallest == among.smallest


# --- qualities -----------------------------------------------------------------------------------


def reported(value: float | None, baseline: float | None = None, **quality: float) -> Result:
    """Return a result with an accuracy that may fall by 1 %, as JSON keeps it."""
    broken = value is None and baseline is not None
    held = QualityChange("accuracy", 0.01, value, baseline, exceeded=broken)
    return measured(verdict=replace(NO_VERDICT, qualities=(held,)), quality=quality)


@pytest.mark.parametrize("baseline", [None, 0.9])
def test_a_quality_that_broke_is_a_drop(baseline: float | None) -> None:
    """JSON has no NaN, but B's verdict names the quality."""
    verdict = judged(measured(quality={"accuracy": 0.9}), reported(None, baseline))
    assert Outcome.REGRESSED is verdict.outcome
    assert [(each.name, each.value, each.baseline) for each in verdict.drops] == [
        ("accuracy", None, 0.9)
    ]


def test_a_quality_that_b_no_longer_reports_is_not_compared() -> None:
    """It is listed, and is not a regression."""
    gone = QualityChange("accuracy", 0.01, None, 0.9)
    new = QualityChange("f1", 0.01, 0.9, None)
    after = measured(verdict=replace(NO_VERDICT, qualities=(gone, new)), quality={"f1": 0.9})
    verdict = judged(measured(quality={"accuracy": 0.9}), after)
    assert [each.name for each in verdict.qualities if each.unheld] == ["accuracy", "f1"]
    assert Outcome.PASSED is verdict.outcome


def test_a_quality_that_broke_in_a_leaves_the_joules_comparable() -> None:
    """The quality has nothing to compare with."""
    verdict = judged(reported(None), reported(0.9, accuracy=0.9))
    assert Outcome.PASSED is verdict.outcome
    assert [each.unheld for each in verdict.qualities] == [True]
