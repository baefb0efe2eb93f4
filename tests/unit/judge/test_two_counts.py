"""The counted work of two JSON results: that of B is judged by that of A."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.two_files import compare
from pytest_greenops.judge.work_and_joules import alone, record
from pytest_greenops.judge.work_comparison import not_counted
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.measurement import Provenance
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict
from pytest_greenops.report.comparison import OF_TWO_FILES
from tests.unit.judge.test_two_files import measured, results
from tests.unit.works import FACTS, calls, layers, table, verdict

NOT_MEASURED = Verdict(Outcome.NOT_MEASURED)
MORE = table(
    {"aten.mm float32": calls(35, 537, 900), "aten.gelu float32": calls(4)}, layers(5), share=0.97
)
NO_BASELINE = verdict(WorkOutcome.NO_BASELINE)


def counted(
    work: Counted | None = None, on_work: WorkVerdict = NO_BASELINE, **facts: str
) -> Result:
    """Return a result without joules, of a run that had no baseline."""
    return replace(
        measured(),
        joules=float("nan"),
        rounds=(),
        provenance=Provenance({}, False),
        verdict=alone(NOT_MEASURED, on_work, "fail"),
        work=record(work or table(), {**FACTS, **facts}),
    )


def both(work: Counted | None = None, joules: float = 2.0, **more: Any) -> Result:
    """Return a result with joules and work."""
    found = Verdict(Outcome.NO_BASELINE, work=NO_BASELINE)
    return replace(measured(joules, **more), verdict=found, work=record(work or table(), FACTS))


def judged(before: Result, after: Result) -> Result:
    """Return the result of B, judged by that of A."""
    [only] = compare(results(before), results(after)).results
    return only


def said(result: Result) -> str:
    """Return the sentence below the table."""
    return OF_TWO_FILES.explain(result).text


@pytest.mark.parametrize("before", [counted(), both()], ids=["without joules", "with joules"])
def test_work_alone_is_judged_by_work(before: Result) -> None:
    """Whether or not A has joules as well."""
    assert judged(before, counted()).verdict.outcome is Outcome.PASSED
    more = judged(before, counted(MORE))
    assert (more.verdict.outcome, more.verdict.red) == (Outcome.REGRESSED, True)
    assert said(more).startswith("call does +2")
    assert "work (limit +0.5 %): aten.mm float32 28 -> 35 calls, +3.76 GFLOP" in said(more)
    assert judged(counted(MORE), counted()).verdict.outcome is Outcome.IMPROVED
    assert compare(results(before), results(counted(MORE))).regressed


def test_the_margin_is_that_of_b() -> None:
    """A test may allow more work."""
    allowed = verdict(WorkOutcome.NO_BASELINE, margin=0.5)
    assert judged(counted(), counted(MORE, allowed)).verdict.outcome is Outcome.PASSED


def test_more_work_is_a_regression_beside_the_same_joules() -> None:
    """And explains joules that increased."""
    more = judged(both(), both(MORE))
    assert (more.verdict.outcome, more.verdict.energy) == (Outcome.REGRESSED, Outcome.PASSED)
    grown = judged(both(), both(MORE, 4.0))
    assert said(grown).startswith("call used 4.00 J in B, 2.00 J in A (")
    assert "; counted work changed by +2" in said(grown)


def test_estimated_joules_that_are_open_pass_with_the_same_work() -> None:
    """As in a run."""
    estimate: Any = {"provenance": Provenance({"cpu:0": "estimate"}, True)}
    found = judged(both(**estimate), both(joules=2.12, **estimate)).verdict
    assert found.outcome is Outcome.PASSED
    assert found.cause == "the counted work is the same"


def test_other_versions_are_not_comparable() -> None:
    """The cause names both."""
    other = judged(counted(), counted(torch="2.14.0"))
    assert other.verdict.outcome is Outcome.NOT_COMPARABLE
    assert said(other) == "not comparable (torch 2.13.0 -> 2.14.0)"


def test_work_that_one_file_lacks() -> None:
    """Nothing is compared, and the reason says which."""
    assert said(judged(measured(), counted())) == (
        "nothing to compare with in A: its work was not counted"
    )
    differs = replace(counted(), work=None, verdict=alone(NOT_MEASURED, not_counted("why"), "fail"))
    assert said(judged(counted(), differs)) == "not counted in B: why"
    assert judged(measured(), both()).verdict.work is None
    assert judged(both(), measured()).verdict.outcome is Outcome.PASSED
