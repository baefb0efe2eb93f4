"""What is below the heading of each kind of energy failure, compared with `blocks.txt`.

After a change that is meant, write the file again and review its diff:
`GREENOPS_WRITE_SCREENS=1 python -m pytest tests/unit/report/test_blocks.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.work_and_joules import alone, with_work
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.explanation import Explanation, among_its_kind
from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import CauseKind, Limit, Outcome
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict
from pytest_greenops.report import reasons
from pytest_greenops.report.drawing import cells, visible, wrapped
from pytest_greenops.report.section import failure_sections
from tests.unit.builders import CPU, DRAM, GPU
from tests.unit.report.samples import (
    SAMPLES,
    by_pairs,
    change,
    inconclusive,
    nothing_compared,
    over_budget,
    pairs,
    regressed,
    result,
    unmeasured,
)
from tests.unit.report.test_layer_table import DOUBLED
from tests.unit.report.test_quality_text import fell
from tests.unit.works import record, verdict

FILE = Path(__file__).with_name("blocks.txt")
SURE: dict[str, Any] = {
    "p_value": 2e-5,
    "accepted_at": "2026-01-02T03:04",
    "commit": "1a2b3c4d5e6f",
}
CARD = Limit("power", 380.0, 372.0, 388.0, 350.0)
GRAMS = Limit("carbon", 0.0024, 0.0023, 0.0025, 0.002)
OVER_FLOP = WorkLimit("flop", 2_400_000_000, 2_200_000_000)
CAUSE = "other processes used up to 41 % of the machine in 3 of 5 rounds"
BUSY = Check(CheckName.CONTENTION, CAUSE, "rounds redone, then kept", untrusted=True)
IMPORTED = "mypkg was imported from site-packages, not from main"


def by_domain() -> Result:
    """Return a regression whose joules grew on the GPU."""
    before = {"cpu:0": 0.8, "dram:0": 0.1, "gpu:0": 1.1}
    grown = change(0.55, 0.48, 0.61, by_domain=before, **SURE)
    shares = {CPU: 0.26, DRAM: 0.03, GPU: 0.71}
    return result(Outcome.REGRESSED, change=grown, confirmed=0.57, **SAMPLES, shares=shares)


def counting(one: Result, work: WorkVerdict) -> Result:
    """Return a result whose work was counted beside its joules."""
    judged = with_work(one.verdict, work, "fail", same=False, strict=False)
    return replace(one, verdict=judged, work=record())


def counted(work: WorkVerdict) -> Result:
    """Return a result of a run that measures no joules."""
    one = unmeasured("no joules")
    return replace(one, verdict=alone(one.verdict, work, "fail"), work=record())


def joules_and_work(work: WorkVerdict) -> Result:
    """Return a regression of joules, annotated with its counted work."""
    one = regressed()
    return replace(one, verdict=replace(one.verdict, work=work), work=record())


KINDS = {
    "regressed, by domain": by_domain(),
    "regressed, estimated": regressed(estimated=True, sensor="estimate"),
    "regressed, by operator": joules_and_work(verdict()),
    "regressed, the same work": joules_and_work(verdict(WorkOutcome.SAME, relative=0.0)),
    "regressed, by layer": replace(
        regressed(), explained=Explanation(among_its_kind(DOUBLED), 6.0, call_j=6.0)
    ),
    "over budget": over_budget(shares={CPU: 0.3, DRAM: 0.08, GPU: 0.62}),
    "over budget, power": result(Outcome.OVER_BUDGET, limits=(CARD,)),
    "over budget, carbon": result(Outcome.OVER_BUDGET, limits=(GRAMS,)),
    "more work": counting(result(), verdict()),
    "more work alone": counted(verdict(changes=("peak memory 12 MB -> 70 MB",))),
    "more work against a ref": counted(verdict(against="3f2a91c (main)")),
    "over a limit of work": counted(verdict(WorkOutcome.OVER_LIMIT, limits=(OVER_FLOP,))),
    "A/B": by_pairs(),
    "A/B, with a stored baseline": by_pairs(change=change(0.06, 0.01, 0.12, **SURE)),
    "quality": fell(),
    "inconclusive, rounds decide": inconclusive(needs_rounds=20),
    "inconclusive, processes decide": inconclusive(needs_processes=3),
    "inconclusive, sessions decide": inconclusive(needs_sessions=2),
    "inconclusive, disturbed": inconclusive(
        cause=f"contention: {CAUSE}", cause_kind=CauseKind.SELF_CHECK, checks=(BUSY,)
    ),
    "inconclusive, not confirmed": inconclusive(
        cause="not confirmed by a fresh process (+0.4 %)", cause_kind=CauseKind.NOT_CONFIRMED
    ),
    "inconclusive, A/B": by_pairs(pairs(Outcome.INCONCLUSIVE, 0.04, 0.01, 0.07, needs_pairs=40)),
    "no baseline": result(Outcome.NO_BASELINE),
    "no baseline, A/B": nothing_compared(Outcome.NO_BASELINE, "not in main"),
    "not comparable": result(Outcome.NOT_COMPARABLE, cause="cores: 4 -> 8"),
    "not comparable, A/B": nothing_compared(Outcome.NOT_COMPARABLE, IMPORTED),
    "not measured": unmeasured("the test never called energy"),
    "not counted": counted(verdict(WorkOutcome.NOT_COUNTED, cause="torch was not loaded")),
}
#: Nothing can be accepted of these, or only by a change of the code.
NOT_ACCEPTED = {
    *("inconclusive, disturbed", "inconclusive, not confirmed", "inconclusive, A/B"),
    *("not comparable, A/B", "not measured", "not counted"),
}


def block(one: Result) -> Iterator[str]:
    """Yield the lines of a failure, without the name of its exception."""
    said = reasons.failure(one).line(Caller())
    yield from wrapped(visible(reasons.finding(one)), 79)
    for title, lines in failure_sections([one], said):
        yield f"--- {title} ---"
        yield from lines


def test_each_kind_of_failure() -> None:
    """Each says what happened, by how much and why, and how to go on."""
    text = "".join(f"=== {kind}\n" + "\n".join(block(one)) + "\n\n" for kind, one in KINDS.items())
    if os.environ.get("GREENOPS_WRITE_SCREENS"):
        FILE.write_text(text, encoding="utf-8")
    assert text == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_has_why_and_what_to_do(kind: str) -> None:
    """Each red one says why; each can be tried again, and accepted if it can be a baseline."""
    lines, one = list(block(KINDS[kind])), KINDS[kind]
    labels = {line[:16].rstrip() for line in lines}
    named = one.verdict.more_work is not None and one.verdict.more_work.largest
    assert "why" in labels or named or not one.verdict.red
    assert "try again" in labels
    accepts = labels & {"accept it", "allow it", "raise it"}
    assert bool(accepts) != (kind in NOT_ACCEPTED)
    assert [line for line in lines if cells(line) > 79 and "pytest" not in line] == []
