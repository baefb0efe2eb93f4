"""Modules at their places in models, and what the work called them with."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from pytest_greenops.insight.layers.module_state import ModuleState

#: Of the calls of one module that are alike the inputs of so many are kept, chosen by chance: they
#: stand for the others, whatever the order in which the work makes them.
KEPT_CALLS = 8
#: So many kinds of calls are told apart; the rest are one more kind.
MOST_KINDS = 6


class Modes(NamedTuple):
    """The modes of torch in which a call was made."""

    grad: bool
    inference: bool
    autocast: tuple[tuple[str, Any], ...]


class Call(NamedTuple):
    """What a module was called with.

    backward  the places of its outputs through which a backward pass went; filled by that pass
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    backward: set[int]


@dataclass
class Kind:
    """Calls of a module that are alike: with a first tensor of one shape, in the same modes."""

    modes: Modes
    calls: int = 0
    kept: dict[int, Call] = field(default_factory=dict)

    def place(self, chance: Random) -> int | None:
        """Count a call; where its input is to be kept, if it is.

        Each of the calls is kept as likely as any other (reservoir sampling; Vitter, ACM Trans.
        Math. Softw. 11, 1985, algorithm R).
        """
        self.calls += 1
        if self.calls <= KEPT_CALLS:
            return self.calls - 1
        place = chance.randrange(self.calls)
        return place if place < KEPT_CALLS else None


@dataclass
class Site:
    """A module that the work calls, at its place in the model.

    shapes  of the tensors that it is first called with: `8x128x256, 8x128`
    state   of a model as a whole: what it kept before it was first called
    """

    name: str
    module: Any
    shapes: str = ""
    state: ModuleState | None = None
    depth: int = 0
    parent: Site | None = None
    children: dict[str, Site] = field(default_factory=dict)
    kinds: dict[tuple[str, Modes], Kind] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How often it was called."""
        return sum(kind.calls for kind in self.kinds.values())

    @property
    def kind(self) -> str:
        """The class of the module."""
        return type(self.module).__name__

    @property
    def backward(self) -> bool:
        """Whether a backward pass went through any of its calls."""
        kinds = self.kinds.values()
        return any(call.backward for kind in kinds for call in kind.kept.values())

    def like(self, shape: str, modes: Modes) -> Kind:
        """The calls that one with such a first tensor belongs to."""
        if (shape, modes) not in self.kinds and len(self.kinds) >= MOST_KINDS:
            shape = "others"
        return self.kinds.setdefault((shape, modes), Kind(modes))
