"""The modules that the work calls, as a tree, and the cuts of that tree into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from pytest_greenops.insight.layers.tensor_copies import ModuleState

#: Inputs kept of the similar calls of one module. They are sampled at random and represent the
#: other calls, whatever the order in which the work makes them.
KEPT_CALLS = 8
#: Groups of similar calls per module; further calls share one more group.
MAX_GROUPS = 6
#: Bounds on the number of parts of a model, where it has that many.
MAX_PARTS, MIN_PARTS = 48, 4
#: Number of cuts that are tried, each coarser than the one before.
MAX_CUTS = 3
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


class TorchModes(NamedTuple):
    """The modes of torch in which a call was made."""

    grad: bool
    inference: bool
    autocast: tuple[tuple[str, Any], ...]


class KeptCall(NamedTuple):
    """The arguments of one call, and the indices of the outputs that a backward pass reached."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    backward: set[int]


@dataclass
class CallGroup:
    """Similar calls of a module: the same shape of the first tensor, in the same modes."""

    modes: TorchModes
    calls: int = 0
    kept: dict[int, KeptCall] = field(default_factory=dict)

    def add_call(self, random: Random) -> int | None:
        """Count a call and return the index at which to keep its input, or None.

        Every call has the same chance to be kept (reservoir sampling; Vitter, ACM Trans. Math.
        Softw. 11, 1985, algorithm R).
        """
        self.calls += 1
        if self.calls <= KEPT_CALLS:
            return self.calls - 1
        index = random.randrange(self.calls)
        return index if index < KEPT_CALLS else None


@dataclass
class CalledModule:
    """A module that the work calls, with the modules that it calls itself.

    shapes  shapes of the tensors in its first call: `8x128x256, 8x128`
    state   of a whole model: its state before the first call
    """

    name: str
    module: Any
    shapes: str = ""
    state: ModuleState | None = None
    depth: int = 0
    parent: CalledModule | None = None
    children: dict[str, CalledModule] = field(default_factory=dict)
    groups: dict[tuple[str, TorchModes], CallGroup] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Return how often it was called."""
        return sum(group.calls for group in self.groups.values())

    @property
    def class_name(self) -> str:
        """Return the name of the module's class."""
        return type(self.module).__name__

    @property
    def backward(self) -> bool:
        """Return whether a backward pass reached any of its kept calls."""
        groups = self.groups.values()
        return any(call.backward for group in groups for call in group.kept.values())

    def group(self, shape: str, modes: TorchModes) -> CallGroup:
        """Return the group of calls with such a first tensor in these modes."""
        if (shape, modes) not in self.groups and len(self.groups) >= MAX_GROUPS:
            shape = "others"
        return self.groups.setdefault((shape, modes), CallGroup(modes))


def find_cuts(roots: Sequence[CalledModule]) -> list[list[CalledModule]]:
    """Return the cuts of models into parts, the finest first; measurements decide which adds up.

    Cuts depend on structure alone, so that two runs have the same parts. The finest cut consists
    of the innermost modules that are made of other modules: a convolution with its normalisation,
    an attention, a feed-forward network. A part includes what it computes outside of its own
    modules. What a module above the parts computes itself belongs to no part; if that is much,
    only a coarser cut adds up, in which the deepest parts are replaced by their parents.
    """
    parts = [part for root in roots for part in _innermost(root)]
    found: list[list[CalledModule]] = []
    while len(found) < MAX_CUTS:
        coarser = _coarser(parts)
        can_coarsen = len(coarser) >= MIN_PARTS and coarser != parts
        if len(parts) <= MAX_PARTS or not can_coarsen:
            found.append(parts)
        if not can_coarsen:
            break
        parts = coarser
    return found


def _coarser(parts: Sequence[CalledModule]) -> list[CalledModule]:
    deepest = max(part.depth for part in parts)
    merged = [p.parent if p.depth == deepest and p.parent else p for p in parts]
    distinct = {id(part): part for part in merged}
    return [part for part in distinct.values() if not _has_ancestor_in(part, distinct)]


def _innermost(node: CalledModule) -> Iterator[CalledModule]:
    children = list(node.children.values())
    is_container = node.depth == 0 or node.class_name in _CONTAINERS
    if children and (is_container or any(child.children for child in children)):
        for child in children:
            yield from _innermost(child)
    else:
        yield node


def _has_ancestor_in(node: CalledModule, others: dict[int, CalledModule]) -> bool:
    ancestor = node.parent
    while ancestor is not None:
        if id(ancestor) in others:
            return True
        ancestor = ancestor.parent
    return False
