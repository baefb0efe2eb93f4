"""The verdict on counted work: pure comparison, no statistics."""

from __future__ import annotations

from enum import Enum

import msgspec

from pytest_greenops.model.counted import Amount, WorkTotals


class WorkOutcome(str, Enum):
    """The words of a verdict on counted work."""

    SAME = "same work"  # identical tables and peak memory
    LESS = "less work"  # beyond the margin
    MORE = "more work"  # beyond the margin
    CHANGED = "changed work"  # within the margin, in either direction, or only in peak memory
    OVER_LIMIT = "over its limit"  # of FLOP or memory
    NO_BASELINE = "no baseline"
    NOT_COMPARABLE = "not comparable"
    NOT_COUNTED = "not counted"

    __str__ = str.__str__


class WorkLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An absolute limit of counted work, and the counted value.

    quantity  `flop`, in operations of a call, or `memory`, in bytes
    """

    quantity: str
    value: int
    limit: int

    @property
    def exceeded(self) -> bool:
        """Whether the value is above the limit."""
        return self.value > self.limit


class LayerWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The work of one layer with the modules inside it, and how that changed.

    name      its path in the model; '' for the work outside of all layers
    now       what it did
    before    what it did in the accepted work; None without accepted work that is comparable
    relative  the change of its weighted sum (0.24 is +24 %), over work that is not nothing
    """

    name: str
    now: Amount = Amount()
    before: Amount | None = None
    relative: float | None = None

    @property
    def same(self) -> bool:
        """Whether it did the same before."""
        return self.now == self.before and not self.relative

    @property
    def is_new(self) -> bool:
        """Whether it did nothing before."""
        return self.before == Amount() != self.now

    @property
    def is_gone(self) -> bool:
        """Whether it did something before, and does nothing now."""
        return self.now == Amount() != self.before and self.before is not None


class WorkChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one operator, or one module by itself, does now, and did in the accepted work.

    name   `aten.mm float32`, as readers see an operator; the path of a module, '' outside of all
    share  by how much it changed the weighted sum, over that of all accepted work (0.2 is 20 %);
           None if that is not known
    """

    name: str
    before: Amount = Amount()
    now: Amount = Amount()
    share: float | None = None


class WorkDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The accepted work of a call beside its work now, where they differ.

    before     the totals of the accepted work
    operators  those that changed, the largest change of the weighted sum first
    modules    the same for modules by themselves, without the modules inside them
    operators_left_out, modules_left_out  how many more changed, and by less
    """

    before: WorkTotals
    operators: tuple[WorkChange, ...] = ()
    modules: tuple[WorkChange, ...] = ()
    operators_left_out: int = 0
    modules_left_out: int = 0


class WorkVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An outcome, and what it rests on.

    cause     why nothing is compared or counted: `calls differ: aten.mm float32 28 -> 29 calls`
    margin    the largest increase of the weighted sum that passes (0.005 is 0.5 %)
    relative  the change of the weighted sum over the baseline (0.24 is +24 %); None without a
              baseline, and over one in which nothing was counted
    largest   the operator that changed most, and the module that did, in words: `aten.mm float32
              28 -> 29 calls, +537 MFLOP, in model.layers.4.mlp`
    limits    the absolute limits that were judged
    changes   peak memory and the operators that changed, a line for each, the largest change first
    modules   the same for modules by themselves, without the modules inside them
    difference           both sides of what changed, in numbers; None if nothing did
    share_before         share of the CPU time that the baseline covers (0.97 is 97 %), if known
    accepted_at, commit  when the baseline was accepted, and its code
    against   the git ref that it is compared with instead, for readers: `3f2a91c (main)`
    layers    the work by layer, for `--energy-explain`: first the layers whose joules are known
    """

    outcome: WorkOutcome
    cause: str | None = None
    margin: float = 0.005
    relative: float | None = None
    largest: str | None = None
    limits: tuple[WorkLimit, ...] = ()
    changes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    share_before: float | None = None
    accepted_at: str | None = None
    commit: str | None = None
    against: str | None = None
    layers: tuple[LayerWork, ...] = ()
    difference: WorkDifference | None = None

    @property
    def red(self) -> bool:
        """Whether the work increased beyond a limit."""
        return self.outcome in (WorkOutcome.MORE, WorkOutcome.OVER_LIMIT)
