"""Where counted work changed: the modules, and how to name many of them in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pytest_greenops.judge.weights import weight_of_module
from pytest_greenops.model.counted import Amount, Counted

_NOTHING = Amount()
#: Modules that changed by at least this share of the largest change are named together.
_TOGETHER = 0.9
#: Modules with less than this share of the work of the largest are too small to say where it was.
_SMALL = 0.05
#: The work changed everywhere if each module changed by at least this share of the whole change.
_EVERYWHERE = 0.25


class Part(NamedTuple):
    """The change of one module by itself, without the modules inside it."""

    path: str
    old: Amount
    new: Amount

    @property
    def before(self) -> float:
        """Its weighted work before."""
        return weight_of_module(self.old)

    @property
    def weighted(self) -> float:
        """The change of its weighted work."""
        return weight_of_module(self.new) - self.before


def parts(now: Counted, before: Counted) -> list[Part]:
    """Return every module of both, the largest change first."""
    paths = now.modules.keys() | before.modules.keys()
    found = (Part(p, before.modules.get(p, _NOTHING), now.modules.get(p, _NOTHING)) for p in paths)
    return sorted(found, key=lambda part: (-abs(part.weighted), natural(part.path)))


def place(now: Counted, before: Counted, old: Amount, new: Amount, direction: float) -> str:
    """Return where an operator changed, `, in model.layers.4.mlp`; '' where that says nothing.

    `old` and `new` are what the operator did, and `direction` is above 0 for more work. Nothing is
    named if most changed outside of modules, or if all modules changed alike.
    """
    every = parts(now, before)
    changed = [p for p in every if p.weighted * direction > 0 and _may_hold(p, old, new)]
    if not changed or _everywhere(every):
        return ""
    least = _TOGETHER * abs(changed[0].weighted)
    most = [part.path for part in changed if abs(part.weighted) >= least]
    return "" if "" in most else f", in {_listed(most)}"


def _may_hold(part: Part, old: Amount, new: Amount) -> bool:
    """Return whether a module can be where an operator changed like this."""
    computes = not (old.flop or new.flop) or part.old.flop or part.new.flop
    calls = (new.calls - old.calls) * (part.new.calls - part.old.calls)
    views = (new.views - old.views) * (part.new.views - part.old.views)
    return (
        bool(computes)
        and (calls > 0 or new.calls == old.calls)
        and (views > 0 or new.views == old.views)
    )


def _everywhere(every: Sequence[Part]) -> bool:
    """Return whether there is one module only, or all large ones changed in the same direction."""
    if any(part.before == 0 and part.weighted for part in every):
        return len(every) == 1
    largest = max(part.before for part in every)
    large = [part for part in every if part.before > _SMALL * largest]
    whole = sum(part.weighted for part in every) / sum(part.before for part in every)
    shares = (part.weighted / part.before for part in large)
    return len(large) == 1 or all(share * whole >= _EVERYWHERE * whole**2 for share in shares)


def _listed(paths: Iterable[str]) -> str:
    """Return a few words for modules: `model.layers.4.mlp`, `12 modules such as layers.0.mlp`."""
    blocks: dict[tuple[str, ...], list[list[str]]] = {}
    for path in sorted(paths, key=natural):
        split = path.split(".")
        blocks.setdefault(_block(split), []).append(split)
    names = [name for block in blocks.values() for name in _shared(block)]
    if len(names) > 2:
        return f"{len(names)} modules such as {names[0]}"
    return " and ".join(names)


def _block(path: Sequence[str]) -> tuple[str, ...]:
    """Return the path up to its first number: the layer that is one of many."""
    numbers = [place for place, part in enumerate(path) if part.isdecimal()]
    return tuple(path[: numbers[0] + 1]) if numbers else ()


def _shared(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the path of the module around some modules, or theirs if there is none."""
    shared: list[str] = []
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return [".".join(shared)] if shared else [".".join(path) for path in paths]


def natural(path: str) -> list[tuple[int, str]]:
    """Return a key that sorts `layers.2` before `layers.10`."""
    # Of two numbers the longer one is larger; Python refuses to read very long ones.
    return [(len(part) if part.isdecimal() else 0, part) for part in path.split(".")]
