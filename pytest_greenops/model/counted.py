"""Counted work: what one call computes and moves inside torch; no joules are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple

import msgspec

#: No count that a file holds is larger.
MOST = 1 << 62
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


class Operator(NamedTuple):
    """An operator as torch's dispatcher calls it: what it does, to which data, and where.

    name    with its namespace: `aten.mm`
    dtypes  of its floating-point tensors, or of its integers if it has no other: `float32`; with
            those of its results if they differ: `float64 -> float32`
    device  the kinds of device: `cpu`; `cpu -> cuda` for a copy
    """

    name: str
    dtypes: str
    device: str

    @property
    def dtype(self) -> str:
        """The dtype of its work: of the first of its operands."""
        return self.dtypes.partition(" -> ")[0].partition(", ")[0]

    def __str__(self) -> str:
        """Return what readers see: `aten.mm float32`, and the device unless it is the CPU."""
        shown = f"{self.name} {self.dtypes}".rstrip()
        return shown if self.device in ("", "cpu") else f"{shown} on {self.device}"


def accelerators(devices: Iterable[str]) -> set[str]:
    """Return the kinds of device but the CPU in what operators name as theirs: `cpu -> cuda`."""
    named = {kind for each in devices for kind in each.replace(" -> ", ", ").split(", ")}
    return named - {"", "cpu", "meta"}


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What calls of an operator, or of a module, did.

    calls     calls that did something
    views     calls that only looked at the same memory in another way
    flop      floating-point operations of matrix products, convolutions and attention
    read      bytes read
    written   bytes written
    elements  elements of the results
    """

    calls: Count = 0
    views: Count = 0
    flop: Count = 0
    read: Count = 0
    written: Count = 0
    elements: Count = 0

    def __add__(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    @property
    def counts(self) -> tuple[int, ...]:
        """Its counts in the order of the fields."""
        values: tuple[int, ...] = msgspec.structs.astuple(self)
        return values


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum of some amounts."""
    return sum(amounts, Amount())


#: Other processes do the work of a call if they use more than this share of its CPU time.
_MOSTLY = 0.5
#: What is said of such a call.
ELSEWHERE = "0 % covered: the work runs in another process"


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of a call was counted.

    share        CPU time inside the counted operators over that of a plain call; None if unknown
    unknown      why it is unknown: `the call takes less than 1 ms`
    threads      share of the plain call's CPU time in threads that were not counted
    children     share of it in other processes
    compiled     parts that torch compiles were counted as if they ran eagerly
    peak_varies  peak memory differs between calls of the same work, or may: the order of several
                 threads that make tensors decides it
    blind        operators that took much of the time and whose FLOPs are not known
    notes        what else to know of the counts: `counted once: a call takes over 10 s`
    """

    share: float | None = None
    unknown: str | None = None
    threads: float = 0.0
    children: float = 0.0
    compiled: bool = False
    blind: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    peak_varies: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether nothing was counted because other processes do most of the work."""
        return self.share is not None and round(self.share, 2) == 0 and self.children > _MOSTLY


class WorkTotals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The work of one call in a few numbers.

    calls, views  calls of operators that did something, and that made a view
    flop          floating-point operations by dtype
    moved         bytes read and written
    peak_bytes    the most memory that tensors made in the call took at once
    """

    calls: int
    views: int
    flop: dict[str, int]
    moved: int
    peak_bytes: int

    @property
    def all_flop(self) -> int:
        """Floating-point operations in all dtypes."""
        return sum(self.flop.values())


class Counted(msgspec.Struct, frozen=True):
    """The work of one call, under one name.

    operators   what each operator did
    modules     what each module did by itself, without the modules inside it, by its path
    peak_bytes  the most memory that tensors made in the call took at once
    coverage    how much of the call this is
    weighted    the weighted sum of each module by itself, by its path; empty in older files
    """

    operators: Mapping[Operator, Amount]
    modules: Mapping[str, Amount]
    peak_bytes: int
    coverage: Coverage
    weighted: Mapping[str, int] = {}

    @property
    def total(self) -> Amount:
        """What all operators did."""
        return total(self.operators.values())

    @property
    def totals(self) -> WorkTotals:
        """What all operators did, in the numbers that readers see."""
        flop: dict[str, int] = {}
        for operator, amount in sorted(self.operators.items()):
            if amount.flop:
                flop[operator.dtype] = flop.get(operator.dtype, 0) + amount.flop
        amount = self.total
        return WorkTotals(amount.calls, amount.views, flop, amount.moved, self.peak_bytes)

    @property
    def empty(self) -> bool:
        """Whether no operator ran."""
        return not any(self.total.counts)


class OperatorWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one operator did, as files of results have it."""

    name: str
    dtypes: str
    device: str
    amount: Amount


class WorkRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The counted work of one call, as results have it.

    weighted  its weighted sum, without a unit
    weights   the version of the weights
    facts     what decides which operators run: torch, device kinds, backend flags, packages
    modules   what each module did by itself, by its path; its weighted sum is in `by_module`
    """

    totals: WorkTotals
    coverage: Coverage
    weighted: float
    weights: str
    facts: dict[str, str] = {}
    operators: tuple[OperatorWork, ...] = ()
    modules: dict[str, Amount] = {}
    by_module: dict[str, int] = {}

    @property
    def counted(self) -> Counted:
        """The counted work that this records."""
        operators = {Operator(o.name, o.dtypes, o.device): o.amount for o in self.operators}
        of = self.modules, self.totals.peak_bytes, self.coverage, self.by_module
        return Counted(operators, *of)
