"""Counted work as text: one clause, coverage, totals, limits and the message of a failure."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.work_and_joules import record
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.counted import Coverage, WorkTotals
from pytest_greenops.model.units import parse_flop, parse_memory
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict
from pytest_greenops.report import work_text
from pytest_greenops.report.reasons import work_increased
from tests.unit.builders import key
from tests.unit.report.samples import result
from tests.unit.works import FACTS, table, verdict

FLOP = WorkLimit("flop", 2_400_000_000, 2_200_000_000)
MEMORY = WorkLimit("memory", 1_700_000_000, 1_500_000_000)
WITHIN = WorkLimit("flop", 2_000_000_000, 2_200_000_000)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (verdict(), "work +24 %"),
        (verdict(WorkOutcome.SAME, relative=0.0), "same work"),
        (verdict(WorkOutcome.CHANGED, relative=0.0021), "work +0.2 %"),
        (verdict(WorkOutcome.CHANGED, relative=0.0), "work changed"),
        (verdict(WorkOutcome.CHANGED, relative=-0.0001), "work changed"),
        (verdict(WorkOutcome.LESS, relative=-0.5), "work -50 %"),
        (verdict(relative=None), "work where there was none"),
        (verdict(WorkOutcome.NO_BASELINE), "work not saved"),
        (verdict(WorkOutcome.NOT_COMPARABLE, relative=0.1), "work not comparable"),
        (verdict(WorkOutcome.NOT_COUNTED), "work not counted"),
        (verdict(WorkOutcome.OVER_LIMIT, limits=(FLOP,)), "work over its limit"),
        (verdict(WorkOutcome.OVER_LIMIT, relative=0.24), "work over its limit, +24 %"),
        (verdict(WorkOutcome.OVER_LIMIT, relative=0.0), "work over its limit"),
    ],
)
def test_each_outcome_has_a_clause(one: WorkVerdict, text: str) -> None:
    """A change has its sign; one that rounds to zero has no percentage."""
    assert work_text.cell(one) == text


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (
            WorkTotals(
                412, 30, {"bfloat16": 2 * 10**8, "float32": 2 * 10**9}, 79 * 10**6, 12_000_000
            ),
            "2.2 GFLOP, 79 MB moved, 412 calls, peak 12 MB",
        ),
        (WorkTotals(1, 0, {}, 512, 0), "512 B moved, 1 call"),
        (WorkTotals(1234, 0, {}, 0, 0), "1,234 calls"),
        (table().totals, "15 GFLOP, 25.2 MB moved, 32 calls, peak 12 MB"),
    ],
)
def test_totals(work: WorkTotals, text: str) -> None:
    """What is zero is left out, but for the calls."""
    assert work_text.totals(work) == text


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (table().totals, "15 GFLOP"),
        (WorkTotals(1, 0, {}, 0, 0), "1 call"),
        (WorkTotals(1234, 0, {}, 0, 0), "1,234 calls"),
    ],
)
def test_what_was_done_in_one_number(work: WorkTotals, text: str) -> None:
    """Calls of operators stand for FLOPs where there are none."""
    assert work_text.done(work) == text


@pytest.mark.parametrize(
    ("found", "share_before", "text"),
    [
        ({"share": 0.97}, None, "counted in torch, covers 97 % of CPU time"),
        ({"share": 0.971}, 0.94, "counted in torch, covers 97 % of CPU time"),
        (
            {"share": 0.81},
            0.97,
            "counted in torch, covers 81 % of CPU time (97 % before); "
            "not counted: what runs outside torch (19 %)",
        ),
        (
            {"unknown": "the call takes less than 1 ms"},
            0.97,
            "coverage unknown: the call takes less than 1 ms",
        ),
        ({}, None, "coverage unknown: not measured"),
        (
            {"share": 0.15, "threads": 0.8, "children": 0.04},
            None,
            "counted in torch, covers 15 % of CPU time; not counted: threads (80 %)",
        ),
        (
            {"share": 0.1, "threads": 0.2, "children": 0.3},
            None,
            "counted in torch, covers 10 % of CPU time; not counted: threads (20 %), other "
            "processes (30 %), what runs outside torch (40 %)",
        ),
        (
            {"share": 0.004, "children": 0.99},
            None,
            "0 % covered: the work runs in another process",
        ),
        (
            {"share": 0.0, "children": 0.7},
            0.5,
            "0 % covered: the work runs in another process (50 % before); "
            "not counted: what runs outside torch (30 %)",
        ),
        (
            {"share": 0.0, "children": 0.3},
            None,
            "counted in torch, covers 0 % of CPU time; not counted: other processes (30 %), "
            "what runs outside torch (70 %)",
        ),
        (
            {
                "share": 1.2,
                "compiled": True,
                "peak_varies": True,
                "blind": ("aten.x", "my.y"),
                "notes": ("once",),
            },
            None,
            "counted in torch, covers 120 % of CPU time; compiled parts counted as if they ran "
            "eagerly; peak memory varies from call to call, and is not compared; FLOP unknown of "
            "aten.x and my.y; once",
        ),
        (
            {"unknown": "CUDA runs by itself", "children": 0.5},
            None,
            "coverage unknown: CUDA runs by itself; not counted: other processes (50 %)",
        ),
    ],
)
def test_coverage_says_what_was_not_counted(
    found: dict[str, Any], share_before: float | None, text: str
) -> None:
    """It names the share, that of the baseline if it is another, and each gap above 5 %."""
    assert work_text.coverage(Coverage(**found), share_before) == text


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (
            verdict(),
            "call does +24 % work (limit +0.5 %): aten.mm float32 28 -> 29 calls, +537 MFLOP, in "
            "model.layers.4.mlp. Accept it: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            verdict(relative=0.0051, largest="aten.x 0 -> 1 call"),
            "call does +0.51 % work (limit +0.5 %): aten.x 0 -> 1 call. "
            "Accept it: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            verdict(relative=0.0000123, margin=0.0, largest="aten.x 0 -> 1 call"),
            "call does +0.0012 % work (limit +0 %): aten.x 0 -> 1 call. "
            "Accept it: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            verdict(relative=None, largest="aten.x 0 -> 1 call"),
            "call does work where its baseline did none: aten.x 0 -> 1 call. "
            "Accept it: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            verdict(WorkOutcome.OVER_LIMIT, limits=(FLOP,)),
            "call does 2.4 GFLOP (limit 2.2 GFLOP). If this is intended, raise it: "
            'energy_budget(max_flop="2.4 GFLOP")',
        ),
        (
            verdict(WorkOutcome.OVER_LIMIT, limits=(WITHIN, MEMORY)),
            "call takes 1.7 GB at once (limit 1.5 GB). If this is intended, raise it: "
            'energy_budget(max_memory="1.7 GB")',
        ),
        (
            verdict(WorkOutcome.OVER_LIMIT, limits=(FLOP, MEMORY), relative=0.24, largest="aten.x"),
            "call does 2.4 GFLOP (limit 2.2 GFLOP) and takes 1.7 GB at once (limit 1.5 GB), +24 % "
            "against its baseline: aten.x. If this is intended, raise it: "
            'energy_budget(max_flop="2.4 GFLOP", max_memory="1.7 GB")',
        ),
    ],
)
def test_a_failure_has_its_figures_the_cause_and_the_next_step(one: WorkVerdict, text: str) -> None:
    """One line: what increased, by how much, what did it, and how to accept it."""
    assert str(work_increased(key(), "call", one)) == text


def test_the_next_step_works_where_pytest_was_called() -> None:
    """The command is that of this run."""
    caller = Caller(start=("python", "-m", "pytest"), root="..")
    line = work_increased(key(param="a b"), "decode", verdict()).line(caller)
    assert line.startswith("decode does +24 % work ")
    assert line.endswith("python -m pytest --energy-save '../tests/test_x.py::test_parse[a b]'")


@pytest.mark.parametrize("value", [1, 99, 101, 2_204_000_000, 987_654_321_000, 3 * 10**14])
def test_the_offered_limit_lets_the_value_pass(value: int) -> None:
    """It is rounded up, and the marker reads it; value and limit never look the same."""
    limit = value - 1
    flop, memory = (WorkLimit(quantity, value, limit) for quantity in ("flop", "memory"))
    [offered] = re.findall(r'max_flop="(.+)"', work_text.raised(flop))
    assert value <= parse_flop(offered) <= value * 1.11
    [offered] = re.findall(r'max_memory="(.+)"', work_text.raised(memory))
    assert value <= parse_memory(offered) <= value * 1.11
    for over in (flop, memory):
        figures = re.findall(r"[\d.]+ \w+", work_text.over_limit(over))
        assert figures[0] != figures[1]


SAME = "Python, compilation, layout, values or the machine"


@pytest.mark.parametrize(
    ("one", "share", "text"),
    [
        (verdict(WorkOutcome.SAME), 0.97, f"counted work is the same: {SAME}"),
        (verdict(WorkOutcome.SAME), None, f"counted work is the same: {SAME}"),
        (
            verdict(WorkOutcome.SAME),
            0.04,
            f"counted work is the same, but covers only 4 % of CPU time: {SAME}",
        ),
        (
            verdict(),
            0.97,
            "counted work changed by +24 %: aten.mm float32 28 -> 29 calls, +537 MFLOP, in "
            "model.layers.4.mlp",
        ),
        (
            verdict(WorkOutcome.CHANGED, relative=0.0, largest="peak memory 12 MB -> 70 MB"),
            0.97,
            "counted work changed: peak memory 12 MB -> 70 MB",
        ),
        (verdict(WorkOutcome.NOT_COMPARABLE, relative=0.1, largest="aten.x"), 0.97, None),
        (verdict(WorkOutcome.NO_BASELINE), 0.97, None),
        (verdict(WorkOutcome.NOT_COUNTED), None, None),
    ],
)
def test_a_regression_of_joules_says_what_the_work_did(
    one: WorkVerdict, share: float | None, text: str | None
) -> None:
    """Equal work leaves what no count sees; other work is named; nothing else is said."""
    assert work_text.annotation(one, Coverage(share)) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Coverage(0.97), None),
        (Coverage(0.4, threads=0.6), "not counted: threads (60 %)"),
        (
            Coverage(None, "CUDA computes later", children=0.5),
            "coverage unknown: CUDA computes later; not counted: other processes (50 %)",
        ),
    ],
)
def test_what_is_left_out_is_one_line(found: Coverage, text: str | None) -> None:
    """JUnit's properties have it beside the share; nothing is said if all is counted."""
    assert work_text.left_out(found) == text


def test_no_joules_are_made_of_work() -> None:
    """No text of counted work has a unit of energy, power or mass."""
    found = Coverage(0.15, None, 0.3, 0.3, True, ("aten.x",))
    texts = [work_text.totals(table().totals), work_text.coverage(found, 0.9)]
    for outcome in WorkOutcome:
        one = verdict(outcome, relative=0.24, limits=(FLOP, MEMORY), largest="aten.mm 1 -> 2 calls")
        texts += [work_text.cell(one), str(work_increased(key(), "call", one))]
        texts += [work_text.annotation(one, found) or ""]
    assert [text for text in texts if re.search(r"\d ?[mkMGµ]?(J|W|Wh|g)\b", text)] == []


@pytest.mark.parametrize(
    ("outcome", "saved", "text"),
    [
        (WorkOutcome.NO_BASELINE, False, "not saved"),
        (WorkOutcome.NO_BASELINE, True, "saved"),
        (WorkOutcome.MORE, False, "+24 %"),
        (WorkOutcome.MORE, True, "+24 % (saved)"),
        (WorkOutcome.SAME, True, "same work"),
    ],
)
def test_a_row_says_whether_work_was_saved(outcome: WorkOutcome, saved: bool, text: str) -> None:
    """Its line on the work has the change, the totals and the coverage, also in a short form."""
    work = record(table(), FACTS)
    one = result(work_saved=saved, work=work)
    one = replace(one, verdict=replace(one.verdict, work=verdict(outcome)))
    totals = "15 GFLOP, 25.2 MB moved, 32 calls, peak 12 MB"
    assert list(work_text.table_lines(one)) == [
        (
            f"work  {text}: {totals}; counted in torch, covers 97 % of CPU time",
            f"work  {text}: 15 GFLOP; covers 97 % of CPU time",
        )
    ]


def test_a_row_says_what_was_not_counted() -> None:
    """On a line of its own, and the cause of a missing count is cut at its first clause."""
    work = record(table(share=0.15, threads=0.8), FACTS)
    one = result(work=work)
    one = replace(one, verdict=replace(one.verdict, work=verdict(WorkOutcome.SAME)))
    assert list(work_text.table_lines(one))[1:] == [("work  not counted: threads (80 %)",) * 2]
    differs = WorkVerdict(WorkOutcome.NOT_COUNTED, "calls differ: aten.mm 1 -> 2 calls")
    one = replace(one, work=None, verdict=replace(one.verdict, work=differs))
    assert list(work_text.table_lines(one)) == [
        (
            "work  not counted: calls differ: aten.mm 1 -> 2 calls",
            "work  not counted: calls differ",
        )
    ]


def test_a_section_says_where_work_changed() -> None:
    """A line for each module, and one for what no module does."""
    changed = verdict(modules=("layers.0: 1 -> 2 calls", "outside of modules: 7 calls"))
    one = result(work=record(table(), FACTS))
    one = replace(one, verdict=replace(one.verdict, work=changed))
    assert list(work_text.facts(one))[:2] == [
        "in layers.0: 1 -> 2 calls",
        "outside of modules: 7 calls",
    ]
