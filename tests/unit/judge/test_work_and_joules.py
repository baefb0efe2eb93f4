"""What counted work does to a verdict on joules."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.work_and_joules import alone, as_interleaved, record, with_work
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.verdict import CauseKind, Limit, Outcome, Verdict
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict
from tests.unit.works import FACTS, calls, operator, table, verdict, views

SAME, MORE = verdict(WorkOutcome.SAME), verdict(WorkOutcome.MORE)
OVER = verdict(WorkOutcome.OVER_LIMIT, limits=(WorkLimit("flop", 3, 2),))
OPEN = Verdict(Outcome.INCONCLUSIVE, estimated=True, needs_rounds=40, needs_sessions=2)


def judged(
    joules: Verdict, work: Any = SAME, *, same: bool = True, strict: bool = False
) -> Verdict:
    """Return a verdict on joules with one on work that fails a test if it is red."""
    return with_work(joules, work, "fail", same=same, strict=strict)


class TestMoreWork:
    """Work beyond its limit."""

    @pytest.mark.parametrize(
        "outcome",
        [each for each in Outcome if each not in (Outcome.REGRESSED, Outcome.OVER_BUDGET)],
    )
    @pytest.mark.parametrize(
        ("work", "expected"),
        [(MORE, Outcome.REGRESSED), (OVER, Outcome.OVER_BUDGET)],
        ids=["more", "over its limit"],
    )
    def test_fails_whatever_the_joules_show(
        self, outcome: Outcome, work: Any, expected: Outcome
    ) -> None:
        """The outcome of the joules is kept beside it."""
        found = judged(Verdict(outcome, estimated=True, action="warn"), work)
        assert (found.outcome, found.action, found.more_work) == (expected, "fail", work)
        assert found.energy is outcome

    def test_fails_where_estimated_joules_only_warn(self) -> None:
        """So the test fails by its work, and the joules are still a regression."""
        found = judged(Verdict(Outcome.REGRESSED, estimated=True, action="warn"), MORE)
        assert (found.outcome, found.action) == (Outcome.REGRESSED, "fail")
        assert found.more_work is MORE
        assert found.energy is Outcome.REGRESSED

    @pytest.mark.parametrize("outcome", [Outcome.REGRESSED, Outcome.OVER_BUDGET])
    def test_leaves_joules_that_fail_the_test(self, outcome: Outcome) -> None:
        """Then the work is told beside them."""
        joules = Verdict(outcome, action="fail")
        assert judged(joules, MORE) == replace(joules, work=MORE)
        assert judged(joules, MORE).more_work is None


class TestTheSameWork:
    """Work that is the same as far as counts can show it."""

    def test_passes_estimated_joules_that_are_open(self) -> None:
        """And nothing else is needed to decide."""
        found = judged(OPEN)
        assert (found.outcome, found.cause_kind) == (Outcome.PASSED, CauseKind.SAME_WORK)
        assert (found.needs_rounds, found.needs_processes, found.needs_sessions) == (None,) * 3

    @pytest.mark.parametrize(
        ("joules", "given"),
        [
            (replace(OPEN, estimated=False), {}),
            (OPEN, {"same": False}),
            (OPEN, {"strict": True}),
            (replace(OPEN, limits=(Limit("energy", 1.0, 0.8, 1.2, 1.1),)), {}),
            (Verdict(Outcome.REGRESSED, estimated=True, action="warn"), {}),
            (Verdict(Outcome.NO_BASELINE, estimated=True), {}),
            (Verdict(Outcome.NOT_COMPARABLE, estimated=True), {}),
        ],
        ids=[
            *("sensed", "not proven", "strict", "open limit", "regressed", "no baseline"),
            "not comparable",
        ],
    )
    def test_changes_no_other_verdict(self, joules: Verdict, given: dict[str, bool]) -> None:
        """It is kept beside the joules."""
        assert judged(joules, SAME, **given) == replace(joules, work=SAME)

    def test_passes_with_a_limit_that_is_kept(self) -> None:
        """Only a limit inside the interval leaves the joules open."""
        kept = Limit("energy", 1.0, 0.8, 1.2, 1.5)
        assert judged(replace(OPEN, limits=(kept,))).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("work", "outcome"),
    [
        (WorkOutcome.SAME, Outcome.PASSED),
        (WorkOutcome.CHANGED, Outcome.PASSED),
        (WorkOutcome.LESS, Outcome.IMPROVED),
        (WorkOutcome.MORE, Outcome.REGRESSED),
        (WorkOutcome.OVER_LIMIT, Outcome.OVER_BUDGET),
        (WorkOutcome.NO_BASELINE, Outcome.NO_BASELINE),
        (WorkOutcome.NOT_COMPARABLE, Outcome.NOT_COMPARABLE),
        (WorkOutcome.NOT_COUNTED, Outcome.NOT_MEASURED),
    ],
)
def test_without_joules_the_work_decides(work: WorkOutcome, outcome: Outcome) -> None:
    """The verdict is that on the work, with its cause and the action of the test."""
    on_work = verdict(work, cause="why")
    found = alone(Verdict(Outcome.NOT_MEASURED, cause="no joules"), on_work, "warn")
    assert (found.outcome, found.cause, found.action) == (outcome, "why", "warn")
    assert (found.energy, found.alone) == (outcome, on_work)
    assert (found.more_work is not None) == (found.red) == on_work.red


def test_a_record_is_sorted_and_weighted() -> None:
    """Operators and modules by name, the weighted sum with the version of its weights."""
    counted = table(
        {"aten.t float32": views(2), "aten.mm float32": calls(1, 3)},
        {"b": calls(1), "a": calls(1, 3)},
        share=0.5,
    )
    found = record(counted, FACTS)
    assert [each.name for each in found.operators] == ["aten.mm", "aten.t"]
    assert list(found.modules) == ["a", "b"]
    assert (found.totals, found.coverage) == (counted.totals, counted.coverage)
    assert found.facts == FACTS
    assert found.weighted > 0
    assert found.counted == counted
    weights = {"b": 7, "a": 9}
    assert record(replace(counted, weighted=weights), FACTS).counted.weighted == weights
    assert operator("aten.mm float32") in found.counted.operators


@pytest.mark.parametrize(
    ("work", "cause"),
    [
        (verdict(largest="aten.mm 28 -> 29 calls", cause="why"), "aten.mm 28 -> 29 calls"),
        (verdict(largest=None, cause="why"), "why"),
        (verdict(largest=None), "more work"),
    ],
)
def test_work_against_a_ref_is_a_comparison_without_pairs(work: WorkVerdict, cause: str) -> None:
    """It has the ref for readers, its commit, and what changed most."""
    found = as_interleaved(replace(work, against="3f2a91c (main)"))
    assert found == Interleaved(
        "3f2a91c (main)", "3f2a91c", Outcome.REGRESSED, work.margin, cause, 0.24
    )


def test_work_against_nothing_names_no_ref() -> None:
    """It is compared with what was accepted."""
    assert (as_interleaved(MORE).ref, as_interleaved(MORE).commit) == ("", "")
