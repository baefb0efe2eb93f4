"""One file of accepted work: its layout, readable in a diff, with a line for each operator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec

from pytest_greenops.baselines.baseline_file import decode_document, laid_out, read_data
from pytest_greenops.model.baseline import Revision, TestKey
from pytest_greenops.model.counted import (
    Amount,
    Count,
    Counted,
    Coverage,
    Operator,
    WorkTotals,
)
from pytest_greenops.model.work_baseline import WORK_SCHEMA, AcceptedWork, WorkBaseline

#: What separates the parts of an operator: `aten.mm | float32 | cpu`.
_APART = " | "
#: The parts of a file that have a line for each entry.
_OPENED = {
    *("", "measurements", "measurements.*"),
    *(f"measurements.*.{name}" for name in ("facts", "modules", "operators", "totals")),
}


class _Module(Amount, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one module did by itself, and its weighted sum."""

    weighted: Count = 0


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accepted work of one name; `totals` are for readers only."""

    accepted_at: str
    coverage: Coverage
    facts: dict[str, str]
    modules: dict[str, _Module]
    operators: dict[str, Amount]
    peak_bytes: Count
    revision: Revision
    totals: WorkTotals
    weights: str


class WorkFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file has."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    test: TestKey
    measurements: dict[str, _Table]


#: Made before the first test, as that of baselines.
_DECODER = msgspec.json.Decoder(WorkFile)


def read_existing(path: Path) -> WorkBaseline | None:
    """Read one file; return None if there is none. Raise `BaselineError`."""
    data = read_data(path)
    return None if data is None else decode(path, data)


def decode(path: Path, data: bytes) -> WorkBaseline:
    """Return the accepted work that a file has; raise `BaselineError`."""
    found = decode_document(path, data, _DECODER, WORK_SCHEMA, why_meaningless, _fewest_lines)
    measurements = {name: _accepted(table) for name, table in found.measurements.items()}
    return WorkBaseline(found.schema, found.test, measurements)


def _fewest_lines(found: WorkFile) -> int:
    return sum(len(table.operators) + len(table.modules) for table in found.measurements.values())


def encode(baseline: WorkBaseline) -> bytes:
    """Return the bytes of a file: sorted, a line for each operator, module and fact."""
    tables = {name: _table(accepted) for name, accepted in baseline.measurements.items()}
    return laid_out(WorkFile(baseline.schema, baseline.test, tables), _OPENED)


def why_meaningless(found: WorkFile) -> str | None:
    """Return what is wrong with the figures of a file, if anything."""
    for name, table in found.measurements.items():
        for operator in table.operators:
            if operator.count(_APART) < 2:
                return f"{name}: operator {operator!r}, expected NAME{_APART}DTYPES{_APART}DEVICE"
        coverage = table.coverage
        for share in (coverage.share or 0.0, coverage.threads, coverage.children):
            if not 0 <= share < math.inf:
                return f"{name}: a share of {share:g}, expected at least 0"
    return None


def _table(accepted: AcceptedWork) -> _Table:
    counted = accepted.counted
    return _Table(
        accepted_at=accepted.accepted_at,
        coverage=counted.coverage,
        facts=accepted.facts,
        modules={
            path: _module(amount, counted.weighted.get(path, 0))
            for path, amount in counted.modules.items()
        },
        operators={_APART.join(each): amount for each, amount in counted.operators.items()},
        peak_bytes=counted.peak_bytes,
        revision=accepted.revision,
        totals=counted.totals,
        weights=accepted.weights,
    )


def _module(amount: Amount, weighted: int) -> _Module:
    return _Module(**msgspec.structs.asdict(amount), weighted=weighted)


def _accepted(table: _Table) -> AcceptedWork:
    operators = {Operator(*each.rsplit(_APART, 2)): a for each, a in table.operators.items()}
    modules = {path: Amount(*each.counts[:-1]) for path, each in table.modules.items()}
    weighted = {path: each.weighted for path, each in table.modules.items() if each.weighted}
    counted = Counted(operators, modules, table.peak_bytes, table.coverage, weighted)
    return AcceptedWork(counted, table.facts, table.weights, table.accepted_at, table.revision)
