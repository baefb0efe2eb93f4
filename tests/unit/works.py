"""Tables of counted work, with defaults for what a test does not state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_greenops.model.baseline import Revision
from pytest_greenops.model.counted import (
    Amount,
    Counted,
    Coverage,
    Operator,
    OperatorWork,
    WorkRecord,
)
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.model.work_verdict import WorkChange, WorkDifference, WorkOutcome, WorkVerdict

FACTS = {"attention": "flash", "mkldnn": "on", "torch": "2.13.0"}
MB, MFLOP, GFLOP = 10**6, 10**6, 10**9


def operator(text: str) -> Operator:
    """Return an operator by its text: `aten.mm float32`, `aten.mm float32 on cuda`."""
    name, _, rest = text.partition(" ")
    dtypes, _, device = rest.partition(" on ")
    return Operator(name, dtypes, device or "cpu")


def calls(number: int, mflop: int = 0, kb: int = 4) -> Amount:
    """Return the amount of some equal calls: of each its MFLOP, and the kB that it moves."""
    each = Amount(1, 0, mflop * MFLOP, kb * 750, kb * 250, kb * 62)
    return Amount(*(number * count for count in each.counts))


def views(number: int) -> Amount:
    """Return the amount of some views."""
    return Amount(views=number)


def table(
    operators: Mapping[str, Amount] | None = None,
    modules: Mapping[str, Amount] | None = None,
    peak_mb: float = 12,
    **coverage: Any,
) -> Counted:
    """Return a table by the texts of operators; by default that of a model of four layers."""
    if operators is None:
        operators = {
            "aten.mm float32": calls(28, 537, 900),
            "aten.gelu float32": calls(4),
            "aten.t float32": views(28),
        }
    return Counted(
        {operator(text): amount for text, amount in operators.items()},
        dict(layers(4) if modules is None else modules),
        round(peak_mb * MB),
        Coverage(**{"share": 0.97, **coverage}),
    )


def record(counted: Counted | None = None) -> WorkRecord:
    """Return a table as results have it."""
    made = table() if counted is None else counted
    operators = tuple(OperatorWork(*each, amount) for each, amount in made.operators.items())
    return WorkRecord(made.totals, made.coverage, 1e9, "v1", FACTS, operators, dict(made.modules))


def layers(number: int, mflop: int = 537, kb: int = 900) -> dict[str, Amount]:
    """Return the modules of a model with this number of layers, and what is outside."""
    found = {"": calls(2), "head": calls(1, 20, 80)}
    for layer in range(number):
        found |= {f"model.layers.{layer}.norm": calls(2)}
        for name in ("up", "gate", "down"):
            found[f"model.layers.{layer}.mlp.{name}"] = calls(2, mflop, kb)
    return found


def accepted(counted: Counted | None = None, **facts: str) -> AcceptedWork:
    """Return accepted work, with some other facts."""
    return AcceptedWork(
        table() if counted is None else counted,
        {**FACTS, **facts},
        "v1",
        "2026-01-01T00:00:00+00:00",
        Revision("1234567", dirty=False),
    )


def verdict(outcome: WorkOutcome = WorkOutcome.MORE, **fields: Any) -> WorkVerdict:
    """Return a verdict; by default on a call that does 24 % more."""
    more = {
        "relative": 0.24,
        "largest": "aten.mm float32 28 -> 29 calls, +537 MFLOP, in model.layers.4.mlp",
    }
    return WorkVerdict(outcome, **{**(more if outcome is WorkOutcome.MORE else {}), **fields})


def changed_verdict(operators: int = 3, modules: int = 2, left_out: int = 0) -> WorkVerdict:
    """Return a verdict on a call that does 24 % more, with both sides of some rows."""
    rows = tuple(
        WorkChange(f"aten.op_{n} float32", calls(n + 1, 500), calls(n + 2, 500), 0.24 / (n + 1))
        for n in range(operators)
    )
    by_module = tuple(
        WorkChange(f"model.layers.{n}.mlp", calls(1), calls(n + 2, 300), 0.2 - n / 100)
        for n in range(modules)
    )
    found = WorkDifference(table().totals, rows, by_module, left_out, left_out)
    return verdict(difference=found)
