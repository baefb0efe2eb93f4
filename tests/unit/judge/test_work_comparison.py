"""The verdict on counted work, and what names its cause."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pytest_greenops.judge.weights import weighted
from pytest_greenops.judge.work_changes import largest_change, relative_change, steps
from pytest_greenops.judge.work_comparison import judge_work, proves_same
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict
from tests.unit.works import FACTS, GFLOP, accepted, calls, layers, table, verdict, views


def judged(
    now: Counted, before: Counted | None = None, facts: dict[str, str] | None = None, **budget: Any
) -> WorkVerdict:
    """Judge a table by another, with the same facts and these limits."""
    known = accepted(table() if before is None else before)
    return judge_work(now, FACTS if facts is None else facts, known, Budget(**budget))


def changed(**operators: Amount) -> Counted:
    """Return the usual table with other amounts of some operators of `aten` in float32."""
    usual = {"mm": calls(28, 537, 900), "gelu": calls(4), "t": views(28)}
    return table(
        {f"aten.{name} float32": amount for name, amount in {**usual, **operators}.items()}
    )


# --- outcomes --------------------------------------------------------------------------------


def test_equal_tables_are_the_same_work() -> None:
    """Nothing changed, and the baseline's date and commit are known."""
    assert judged(table()) == WorkVerdict(
        WorkOutcome.SAME,
        relative=0.0,
        share_before=0.97,
        accepted_at="2026-01-01T00:00:00+00:00",
        commit="1234567",
    )


def test_the_order_of_a_table_does_not_matter() -> None:
    """Nor does an operator that did nothing."""
    now = table()
    turned = dict(reversed([*now.operators.items(), (Operator("aten.x", "", "cpu"), Amount())]))
    assert judged(replace(now, operators=turned)).outcome is WorkOutcome.SAME


def test_renamed_modules_are_the_same_work() -> None:
    """A refactoring that calls the same operators changes no figure of the whole."""
    renamed = {path.replace("model.", "net."): amount for path, amount in layers(4).items()}
    found = judged(table(modules=renamed))
    assert (found.outcome, found.relative, found.largest) == (WorkOutcome.SAME, 0.0, None)


@pytest.mark.parametrize(
    ("gelu", "margin", "outcome"),
    [
        (calls(5), None, WorkOutcome.CHANGED),
        (calls(3), None, WorkOutcome.CHANGED),
        (calls(5), 0.0, WorkOutcome.MORE),
        (calls(3), 0.0, WorkOutcome.LESS),
        (calls(2000), None, WorkOutcome.MORE),
        (calls(2000), 0.5, WorkOutcome.CHANGED),
    ],
)
def test_the_margin_divides_a_change_from_an_increase(
    gelu: Amount, margin: float | None, outcome: WorkOutcome
) -> None:
    """It is 0.5 % unless the budget names another, and holds in both directions."""
    found = judged(changed(gelu=gelu), max_work=margin)
    assert found.outcome is outcome
    assert found.margin == (0.005 if margin is None else margin)
    assert found.red is (outcome is WorkOutcome.MORE)


def test_an_increase_by_exactly_the_margin_passes() -> None:
    """The margin is the largest increase that passes."""
    before = table({"aten.t float32": views(200)})
    assert judged(table({"aten.t float32": views(201)}), before).outcome is WorkOutcome.CHANGED
    assert judged(table({"aten.t float32": views(202)}), before).outcome is WorkOutcome.MORE


def test_peak_memory_alone_is_a_change() -> None:
    """It has no weight, so it is named and fails nothing; `max_memory` limits it."""
    found = judged(table(peak_mb=70))
    assert (found.outcome, found.relative) == (WorkOutcome.CHANGED, 0.0)
    assert found.largest == "peak memory 12 MB -> 70 MB"
    assert found.changes == ("peak memory 12 MB -> 70 MB",)


def test_the_share_of_the_baseline_is_kept_for_readers() -> None:
    """Work that left torch shows in a lower share alone."""
    known = accepted(table(share=0.94))
    found = judge_work(table(share=0.81), known.facts, known, Budget())
    assert (found.outcome, found.share_before) == (WorkOutcome.SAME, 0.94)


@pytest.mark.parametrize(("before", "now"), [(True, False), (False, True)])
def test_peak_memory_that_varies_is_not_compared(before: bool, now: bool) -> None:
    """Chance decides it, in either of the two tables."""
    known = accepted(table(peak_varies=before))
    found = judge_work(table(peak_mb=70, peak_varies=now), known.facts, known, Budget())
    assert found.outcome is WorkOutcome.SAME


def test_without_a_baseline_limits_are_judged() -> None:
    """They need none."""
    found = judge_work(table(), FACTS, None, Budget(max_flop=10**12, max_memory_bytes=2 * 10**7))
    assert (found.outcome, found.relative) == (WorkOutcome.NO_BASELINE, None)
    assert found.limits == (
        WorkLimit("flop", 28 * 537 * 10**6, 10**12),
        WorkLimit("memory", 12 * 10**6, 2 * 10**7),
    )


@pytest.mark.parametrize("limit", [{"max_flop": 10**10}, {"max_memory_bytes": 10**7}])
@pytest.mark.parametrize("facts", [FACTS, {**FACTS, "torch": "2.14.0"}, None])
def test_an_exceeded_limit_outweighs_every_comparison(
    limit: dict[str, int], facts: dict[str, str] | None
) -> None:
    """It fails the test whatever the baseline says, and without one."""
    known = accepted() if facts else None
    found = judge_work(table(), facts or FACTS, known, Budget(**limit))
    assert (found.outcome, found.red) == (WorkOutcome.OVER_LIMIT, True)
    assert [each.exceeded for each in found.limits] == [True]


def test_a_value_at_its_limit_passes() -> None:
    """A limit is the most that is allowed."""
    assert judged(table(), max_memory_bytes=12 * 10**6).outcome is WorkOutcome.SAME


# --- what cannot be compared -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"torch": "2.14.0"}, "torch 2.13.0 -> 2.14.0"),
        ({"mkldnn": "off", "attention": "math"}, "attention flash -> math, mkldnn on -> off"),
    ],
)
def test_other_facts_are_not_comparable(facts: dict[str, str], cause: str) -> None:
    """The cause names what differs, and the change is shown all the same."""
    found = judged(changed(mm=calls(56, 537, 900)), facts={**FACTS, **facts})
    assert (found.outcome, found.cause) == (WorkOutcome.NOT_COMPARABLE, cause)
    assert found.largest is not None
    assert found.largest.startswith("aten.mm float32 28 -> 56 calls, +15 GFLOP")
    assert found.relative == pytest.approx(1.0, abs=0.01)
    assert not found.red


def test_a_fact_that_is_gone_is_named() -> None:
    """The baseline's versions had something that decides which operators run."""
    facts = {name: value for name, value in FACTS.items() if name != "mkldnn"}
    assert judged(table(), facts=facts).cause == "mkldnn on -> none"


@pytest.mark.parametrize(
    ("before", "now", "cause"),
    [
        (["cpu"], ["cuda"], "device cpu -> cuda"),
        (["cuda", "cpu -> cuda"], ["cpu"], "device cuda -> cpu"),
        (["cuda"], ["xpu", "cpu"], "device cuda -> xpu"),
        (["cuda"], ["cuda", "cpu", "cuda -> cpu"], None),
        (["cuda"], [], None),
    ],
)
def test_another_kind_of_device_is_not_comparable(
    before: list[str], now: list[str], cause: str | None
) -> None:
    """It runs other operators for the same code; work that moves to the CPU in part is compared."""
    known, found = (
        table({f"aten.mm float32 on {device}": calls(28, 537) for device in each})
        for each in (before, now)
    )
    judgement = judge_work(found, FACTS, replace(accepted(), counted=known), Budget())
    assert judgement.cause == cause
    assert (judgement.outcome is WorkOutcome.NOT_COMPARABLE) == (cause is not None)


def test_packages_that_both_loaded_must_match() -> None:
    """Which packages a process loads depends on its other tests: one that is absent is not used."""
    facts = {**FACTS, "transformers": "5.23"}
    older = accepted(transformers="5.22")
    found = judge_work(table(), facts, older, Budget())
    assert (found.outcome, found.cause) == (WorkOutcome.NOT_COMPARABLE, "transformers 5.22 -> 5.23")
    assert judge_work(table(), facts, accepted(), Budget()).outcome is WorkOutcome.SAME
    assert judge_work(table(), FACTS, older, Budget()).outcome is WorkOutcome.SAME


def test_a_call_without_operators_is_not_counted() -> None:
    """Zero work is no evidence of the work that runs outside torch."""
    empty = table({}, {}, 0)
    for known in (None, accepted(empty)):
        found = judge_work(empty, FACTS, known, Budget())
        assert found.outcome is WorkOutcome.NOT_COUNTED
        assert found.cause == "the call runs no operator of torch"
    worker = replace(empty, coverage=Coverage(share=0.0, children=0.98))
    found = judge_work(worker, FACTS, None, Budget())
    assert found.outcome is WorkOutcome.NOT_COUNTED
    assert found.cause == "0 % covered: the work runs in another process"


def test_work_over_a_baseline_of_zero_is_more() -> None:
    """It has no percentage."""
    found = judged(table(), table({}, {}, 0))
    assert (found.outcome, found.relative) == (WorkOutcome.MORE, None)
    assert found.largest is not None
    assert found.largest.startswith("aten.mm float32 0 -> 28 calls, +15 GFLOP")


def test_work_that_is_gone_is_less() -> None:
    """All of it."""
    found = judged(table({}, {}, 0))
    assert (found.outcome, found.relative) == (WorkOutcome.LESS, -1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 10**30])
@pytest.mark.parametrize("of_baseline", [False, True])
def test_figures_that_no_count_has_raise_nothing(bad: Any, of_baseline: bool) -> None:
    """A formula may be wrong; the verdict is still one, and a document can hold it."""
    odd = table({"aten.mm float32": Amount(28, 0, bad, 5, 5, 5)})
    found = judged(table(), odd) if of_baseline else judged(odd)
    assert found.outcome is not WorkOutcome.SAME
    json.loads(msgspec.json.encode(found))


# --- the cause -------------------------------------------------------------------------------

ONE_LAYER_MORE = table({**{"aten.mm float32": calls(29, 537, 900)}}, layers(5))
#: Two tables by name, and what a reviewer of the change would name.
CAUSES = {
    "one layer more": (
        {"aten.mm float32": calls(28, 537, 900)},
        {"aten.mm float32": calls(29, 537, 900)},
        "aten.mm float32 28 -> 29 calls, +537 MFLOP",
    ),
    "weights in double precision": (
        {"aten.addmm float32": calls(24, 9, 3300), "aten.gelu float32": calls(12)},
        {"aten.addmm float64": calls(24, 9, 6600), "aten.gelu float64": calls(12, 0, 8)},
        "aten.addmm float32 -> float64: 24 calls, +79.2 MB",
    ),
    "double precision, and one layer more": (
        {"aten.addmm float32": calls(24, 9, 3300)},
        {"aten.addmm float64": calls(26, 9, 6600)},
        "aten.addmm float32 -> float64: 24 -> 26 calls, +18 MFLOP",
    ),
    "autocast lost": (
        {"aten.mm bfloat16": calls(24, 9, 50), "aten._to_copy float32 -> bfloat16": calls(48)},
        {"aten.mm float32": calls(24, 9, 100)},
        "aten.mm bfloat16 -> float32: 24 calls, +1.2 MB",
    ),
    "a copy to another dtype": (
        {"aten.mm float32": calls(4, 1)},
        {"aten.mm float32": calls(4, 1), "aten._to_copy float64 -> float32": calls(12, 0, 800)},
        "aten._to_copy float64 -> float32: 0 -> 12 calls, +9.6 MB",
    ),
    "a copy to another device": (
        {"aten.mm float32 on cuda": calls(4, 1)},
        {"aten.mm float32 on cuda": calls(4, 1), "aten._to_copy float32 on cuda -> cpu": calls(1)},
        "aten._to_copy float32 on cuda -> cpu: 0 -> 1 call, +4 kB",
    ),
    "another device": (
        {"aten.mm float32 on cuda": calls(4, 1)},
        {"aten.mm float32": calls(4, 1)},
        "aten.mm float32 on cuda -> float32 on cpu: 4 calls",
    ),
    "padding to the maximum": (
        {"aten.mm float32": calls(28, 10, 900)},
        {"aten.mm float32": calls(28, 40, 3600)},
        "aten.mm float32 28 calls, +840 MFLOP",
    ),
    "eager attention": (
        {"aten._flash_attention float32": calls(12, 67, 60), "aten.mm float32": calls(4, 9)},
        {
            "aten.bmm float32": calls(24, 33, 1500),
            "aten._softmax float32": calls(12, 0, 1200),
            "aten.mm float32": calls(4, 9),
        },
        "aten.bmm float32 0 -> 24 calls, +792 MFLOP, in place of aten._flash_attention",
    ),
    "fused attention": (
        {
            "aten.bmm float32": calls(24, 33, 1500),
            "aten._softmax float32": calls(12, 0, 1200),
        },
        {"aten._flash_attention float32": calls(12, 67, 60)},
        "aten.bmm float32 24 -> 0 calls, -792 MFLOP, replaced by aten._flash_attention",
    ),
    "dropout left on": (
        {"aten._flash_attention float32": calls(12, 67, 60)},
        {
            "aten.bmm float32": calls(24, 33, 1500),
            "aten.native_dropout float32": calls(36, 0, 90),
        },
        "aten.native_dropout float32 0 -> 36 calls, +3.24 MB",
    ),
    "the optimizer not fused": (
        {"aten._foreach_addcmul_ float32": calls(1, 0, 900)},
        {"aten.addcmul_ float32": calls(148, 0, 6)},
        "aten.addcmul_ float32 0 -> 148 calls, +888 kB",
    ),
    "a clone in each block": (
        {"aten.mm float32": calls(48, 900, 900)},
        {"aten.mm float32": calls(48, 900, 900), "aten.clone float32": calls(12, 0, 40)},
        "aten.clone float32 0 -> 12 calls, +480 kB",
    ),
    "only views": (
        {"aten.mm float32": calls(48, 900, 900), "aten.view float32": views(12)},
        {"aten.mm float32": calls(48, 900, 900), "aten.view float32": views(24)},
        "aten.view float32 12 -> 24 views",
    ),
    "many views and a few calls": (
        {"aten.mm float32": calls(48, 900, 900), "aten.view float32": views(12)},
        {
            "aten.mm float32": calls(48, 900, 900),
            "aten.view float32": views(60),
            "aten.bmm float32": calls(8, 0, 4),
        },
        "aten.bmm float32 0 -> 8 calls, +32 kB",
    ),
    "one call fewer": (
        {"aten.mm float32": calls(2, 9)},
        {"aten.mm float32": calls(1, 9)},
        "aten.mm float32 2 -> 1 call, -9 MFLOP",
    ),
    "batches of one": (
        {"aten.addmm float32": calls(12, 16, 900)},
        {"aten.addmm float32": calls(192, 1, 800)},
        "aten.addmm float32 12 -> 192 calls, +143 MB",
    ),
    "reads more and writes less": (
        {"aten.x float32": Amount(1, 0, 0, 100, 50, 4)},
        {"aten.x float32": Amount(1, 0, 0, 130, 20, 4)},
        "aten.x float32 1 call, +30 B read",
    ),
    "only other elements": (
        {"aten.x float32": Amount(1, 0, 0, 100, 50, 4)},
        {"aten.x float32": Amount(1, 0, 0, 100, 50, 1_234_567)},
        "aten.x float32 1 call, +1234560 elements",
    ),
}


@pytest.mark.parametrize(("before", "now", "said"), CAUSES.values(), ids=CAUSES)
def test_the_cause_is_what_a_reviewer_would_name(
    before: dict[str, Amount], now: dict[str, Amount], said: str
) -> None:
    """The operator or dtype whose weighted work explains the change of the whole."""
    assert largest_change(table(now, {}), table(before, {})) == said


def test_a_dtype_does_not_replace_one_of_far_more_calls() -> None:
    """Two unrelated changes of one operator stay apart."""
    before = table({"aten.mul float32": calls(20), "aten.mul int64": calls(5)})
    now = table({"aten.mul float32": calls(18), "aten.mul int64": calls(30)})
    assert [step.text for step in steps(now, before)] == [
        "aten.mul int64 5 -> 30 calls, +100 kB",
        "aten.mul float32 20 -> 18 calls, -8 kB",
    ]


def test_little_work_and_much_memory_is_named_by_memory_first() -> None:
    """So is a forgotten `no_grad`, which adds views and keeps every activation."""
    before = table(
        {"aten.mm float32": calls(28, 537, 900), "aten.detach float32": views(2)}, {}, 12
    )
    now = table({"aten.mm float32": calls(28, 537, 900), "aten.detach float32": views(40)}, {}, 70)
    said = "peak memory 12 MB -> 70 MB; aten.detach float32 2 -> 40 views"
    assert largest_change(now, before) == said
    more = table({"aten.mm float32": calls(56, 537, 900)}, {}, 70)
    assert largest_change(more, before) == "aten.mm float32 28 -> 56 calls, +15 GFLOP"


def test_memory_that_hardly_changed_has_digits_enough() -> None:
    """The two figures are never printed alike."""
    before, now = table(peak_mb=12), table(peak_mb=12.000001)
    assert largest_change(now, before) == "peak memory 12 MB -> 12.000001 MB"


def test_an_increase_is_explained_by_an_increase() -> None:
    """What became less is not its cause, however much it was."""
    before = table({"aten.mm float32": calls(10, 50), "aten.conv float32": calls(10, 60)}, {})
    now = table({"aten.mm float32": calls(30, 50), "aten.conv float32": calls(0, 60)}, {})
    assert largest_change(now, before) == "aten.mm float32 10 -> 30 calls, +1 GFLOP"
    said = "aten.mm float32 30 -> 10 calls, -1 GFLOP"
    assert largest_change(before, now) == said


# --- places ----------------------------------------------------------------------------------


def in_modules(now: dict[str, Amount], before: dict[str, Amount]) -> str:
    """Return which modules are named where one operator became more."""
    more, less = ({"aten.gelu float32": calls(number)} for number in (9, 8))
    said = largest_change(table(more, now), table(less, before)) or ""
    return said.removeprefix("aten.gelu float32 8 -> 9 calls, +4 kB").removeprefix(", in ")


MANY = layers(12)
PLACES = {
    "a new layer": (layers(5), layers(4), "model.layers.4.mlp"),
    "one module": ({**MANY, "head": calls(9, 99)}, MANY, "head"),
    "outside of modules": ({**MANY, "": calls(999)}, MANY, ""),
    "all layers alike": (
        {path: calls(3) if path.endswith("norm") else amount for path, amount in MANY.items()},
        MANY,
        "12 modules such as model.layers.0.norm",
    ),
    "two of twelve": (
        {**MANY, "model.layers.2.norm": calls(9), "model.layers.10.norm": calls(9)},
        MANY,
        "model.layers.2.norm and model.layers.10.norm",
    ),
    "two without numbers": (
        {"conv": calls(9), "fc": calls(9), "norm": calls(2)},
        {"conv": calls(2), "fc": calls(2), "norm": calls(2)},
        "conv and fc",
    ),
    "two numbers in a path": (
        {**MANY, **{f"model.layers.2.mlp.{n}": calls(9) for n in ("0", "2", "act.0")}},
        MANY,
        "model.layers.2.mlp",
    ),
    "parts of all blocks": (
        {**MANY, **{f"blocks.{n}.mlp.{m}": calls(9) for n in range(3) for m in range(0, 3, 2)}},
        MANY,
        "3 modules such as blocks.0.mlp",
    ),
    "all of them": ({path: calls(9, 9) for path in MANY}, {path: calls(4, 4) for path in MANY}, ""),
    "the only one": ({"Linear": calls(9)}, {"Linear": calls(4)}, ""),
    "none": ({}, {}, ""),
}


@pytest.mark.parametrize(("now", "before", "named"), PLACES.values(), ids=PLACES)
def test_the_place_is_named_in_a_few_words(
    now: dict[str, Amount], before: dict[str, Amount], named: str
) -> None:
    """It is the module around those that changed most, or one of many such modules."""
    assert in_modules(now, before) == named


def test_the_place_is_where_the_operator_may_have_run() -> None:
    """A module that changed more, but has no FLOP or no more calls, ran no more products."""
    before = {"act": calls(2), "fc": calls(2, 9, 9), "norm": calls(2), "wide": calls(3, 9, 9)}
    now = {**before, "act": calls(2000), "fc": calls(3, 9, 9), "wide": calls(3, 99, 999)}
    product, view = {"aten.mm float32": calls(5, 9, 9)}, {"aten.t float32": views(5)}
    more_products = {"aten.mm float32": calls(6, 9, 9)}
    assert largest_change(table(more_products, now), table(product, before)) == (
        "aten.mm float32 5 -> 6 calls, +9 MFLOP, in fc"
    )
    more_views = {"aten.t float32": views(6)}
    assert largest_change(table(more_views, now), table(view, before)) == (
        "aten.t float32 5 -> 6 views"
    )


def test_changes_are_listed_by_size() -> None:
    """Memory comes first; operators and modules follow, the largest change first."""
    found = judged(
        table(
            {
                "aten.mm float32": calls(29, 537, 900),
                "aten.gelu float32": calls(5),
                "aten.t float32": views(28),
            },
            layers(5),
            13,
        )
    )
    assert found.changes == (
        "peak memory 12 MB -> 13 MB",
        "aten.mm float32 28 -> 29 calls, +537 MFLOP",
        "aten.gelu float32 4 -> 5 calls, +4 kB",
    )
    assert found.modules == (
        "model.layers.4.mlp.down: 0 -> 2 calls, +1.07 GFLOP",
        "model.layers.4.mlp.gate: 0 -> 2 calls, +1.07 GFLOP",
        "model.layers.4.mlp.up: 0 -> 2 calls, +1.07 GFLOP",
        "model.layers.4.norm: 0 -> 2 calls, +8 kB",
    )


def test_a_long_list_is_cut() -> None:
    """The last line says how many there are besides; work outside of modules has a name."""
    now = table({f"aten.op{number:02} float32": calls(1) for number in range(40)}, {"": calls(40)})
    found = judged(now, table({}, {}, 12))
    assert len(found.changes) == 13
    assert found.changes[-1] == "and 28 more operators"
    assert found.modules == ("outside of modules: 0 -> 40 calls, +160 kB",)


def some_table(chance: random.Random) -> Counted:
    """Return any table."""
    names = ("aten.mm", "aten.add", "aten._to_copy", "aten.view", "aten.dropout")
    dtypes = ("float32", "float64", "float32 -> bfloat16", "", "float32, int64")
    found = {
        Operator(
            chance.choice(names), chance.choice(dtypes), chance.choice(("cpu", "cuda"))
        ): Amount(*(chance.choice((0, 1, chance.randrange(10**6))) for _ in range(6)))
        for _ in range(chance.randrange(6))
    }
    paths = chance.choices(("", "a", "a.b", "a.0", "a.0.b", "a.1.b", "a.10.c"), k=3)
    modules = {path: Amount(chance.randrange(9)) for path in paths}
    return Counted(found, modules, chance.randrange(3), Coverage())


def test_steps_add_up_to_the_whole_change() -> None:
    """Whatever the tables are: nothing raises, and no part is lost or counted twice."""
    chance = random.Random(5)
    for _ in range(500):
        before, now = some_table(chance), some_table(chance)
        whole = weighted(now) - weighted(before)
        assert sum(step.weighted for step in steps(now, before)) == pytest.approx(whole, abs=1e-3)
        found = judge_work(now, FACTS, accepted(before), Budget())
        assert (found.outcome is WorkOutcome.SAME) <= (relative_change(now, before) in (0, None))
        assert (largest_change(now, now), steps(now, now)) == (None, [])


# --- both sides ------------------------------------------------------------------------------


def test_a_difference_has_both_sides_of_what_changed() -> None:
    """Operators, modules and totals, each change as a share of the accepted weighted sum."""
    known = replace(table(), weighted={"head": 2 * GFLOP, "model": 10 * GFLOP})
    more = {**known.modules, "model.layers.4.mlp.up": calls(1, 537, 900)}
    now = replace(
        changed(mm=calls(29, 537, 900), gelu=views(4)),
        modules=more,
        weighted={"head": 2 * GFLOP, "model": 10 * GFLOP, "model.layers.4.mlp.up": GFLOP},
    )
    whole = weighted(known)
    found = judged(now, known).difference
    assert found is not None
    assert found.before == known.totals
    mm, gelu = found.operators
    assert (mm.name, mm.before, mm.now) == (
        *("aten.mm float32", calls(28, 537, 900), calls(29, 537, 900)),
    )
    assert (gelu.before, gelu.now) == (calls(4), views(4))
    assert mm.share + gelu.share == pytest.approx(relative_change(now, known))
    [module] = found.modules
    assert (module.name, module.before, module.now) == (
        *("model.layers.4.mlp.up", Amount(), calls(1, 537, 900)),
    )
    assert module.share == pytest.approx(GFLOP / whole)
    assert (found.operators_left_out, found.modules_left_out) == (0, 0)


def test_operators_that_came_and_went_are_in_a_difference() -> None:
    """With nothing on the other side."""
    before = table({"aten.mm float32": calls(2), "aten.gone float32": calls(5)}, {})
    now = table({"aten.mm float32": calls(2), "aten.came float32": calls(1)}, {})
    found = judged(now, before).difference
    assert found is not None
    assert [(row.name, row.before, row.now) for row in found.operators] == [
        ("aten.gone float32", calls(5), Amount()),
        ("aten.came float32", Amount(), calls(1)),
    ]


def test_a_difference_has_the_largest_changes() -> None:
    """At most 25 operators and modules, the largest first, and how many more there are."""
    before = table({f"aten.op{i}": calls(1) for i in range(40)}, {"a": calls(40)})
    now = table(
        {f"aten.op{i}": calls(1, mflop=i) for i in range(40)},
        {f"a.{i}": calls(1, mflop=i) for i in range(30)},
    )
    found = judged(now, before).difference
    assert found is not None
    assert [row.name for row in found.operators] == [f"aten.op{i}" for i in range(39, 14, -1)]
    assert [row.name for row in found.modules][:2] == ["a.29", "a.28"]
    assert (found.operators_left_out, found.modules_left_out) == (14, 6)
    assert found.modules[0].share is None  # these tables do not know the weights of modules


def test_only_a_change_has_two_sides() -> None:
    """Equal tables have no difference, also with renamed modules, nor has work without any."""
    renamed = {path.replace("model.", "net."): amount for path, amount in layers(4).items()}
    assert judged(table(modules=renamed)).difference is None
    assert judge_work(table(), FACTS, None, Budget()).difference is None
    memory = judged(table(peak_mb=70)).difference
    assert memory is not None
    assert (memory.before.peak_bytes, memory.operators) == (12_000_000, ())


# --- with joules -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "now", "before", "proves"),
    [
        (WorkOutcome.SAME, {"share": 0.97}, {"share": 0.96}, True),
        (WorkOutcome.SAME, {"share": 0.9}, {"share": 0.94}, True),
        (WorkOutcome.SAME, {"share": 0.89}, {"share": 0.89}, False),
        (WorkOutcome.SAME, {"share": 0.92}, {"share": 0.98}, False),
        (WorkOutcome.SAME, {"share": None}, {"share": 0.97}, False),
        (WorkOutcome.SAME, {"share": 0.97}, {"share": None}, False),
        (WorkOutcome.SAME, {"share": 0.97, "compiled": True}, {"share": 0.97}, False),
        (WorkOutcome.SAME, {"share": 0.97}, {"share": 0.97, "compiled": True}, False),
        (WorkOutcome.SAME, {"share": 1.2, "threads": 0.3}, {"share": 1.2}, False),
        (WorkOutcome.CHANGED, {"share": 0.97}, {"share": 0.97}, False),
        (WorkOutcome.NOT_COMPARABLE, {"share": 0.97}, {"share": 0.97}, False),
    ],
)
def test_the_same_work_proves_the_same_call_if_it_covers_the_call(
    outcome: WorkOutcome, now: dict[str, Any], before: dict[str, Any], proves: bool
) -> None:
    """At least 90 % of the CPU time, within 5 points of the baseline, and nothing compiled."""
    assert proves_same(verdict(outcome), Coverage(**now), Coverage(**before)) is proves
