"""Counted work by layer: modules grouped like the layers whose joules are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.judge.weights import weight_of_module
from pytest_greenops.judge.work_places import natural
from pytest_greenops.model.counted import Amount, Counted, total
from pytest_greenops.model.work_verdict import LayerWork


def work_by_layer(
    now: Counted, before: Counted | None = None, layers: Sequence[str] = ()
) -> tuple[LayerWork, ...]:
    """Return what each layer does, and what it did before if that is known.

    These `layers` come first, then modules outside of them that ran on one side only, then all
    other work under the name ''. Without `layers`, they are the innermost modules that consist of
    others; the largest change, or else the most work, is first.
    """
    paths = sorted(now.modules.keys() | (before.modules.keys() if before else ()), key=natural)
    own = set(_innermost(paths))
    groups: dict[str, list[str]] = {name: [] for name in layers}
    others: dict[str, list[str]] = {}
    for path in paths:
        name = _above(path, layers)
        if name:
            groups[name].append(path)
        else:
            others.setdefault(_above(path, own), []).append(path)
    for name, members in others.items():
        apart = not layers or (before is not None and _one_sided(members, now, before))
        groups.setdefault(name if apart else "", []).extend(members)
    sizes = [_Size(name, *_sums(members, now, before)) for name, members in groups.items()]
    if not layers:
        sizes.sort(key=lambda size: (-abs(size.new - size.old) if before else 0, -size.new))
    return tuple(_layer(size, groups[size.name], now, before) for size in sizes)


class _Size(NamedTuple):
    """The weighted sums of a layer: before, and now."""

    name: str
    old: float
    new: float


def _sums(paths: Collection[str], now: Counted, before: Counted | None) -> tuple[float, float]:
    """Return the weighted sums of some modules; about, if a side does not have them by module."""
    sides = (before, now) if before else (now,)
    exact = all(side.weighted for side in sides)
    sums = [
        sum(
            side.weighted.get(path, 0) if exact else weight_of_module(side.modules[path])
            for path in paths
            if path in side.modules
        )
        for side in sides
    ]
    return (sums[0] if before else 0.0), sums[-1]


def _layer(size: _Size, paths: Collection[str], now: Counted, before: Counted | None) -> LayerWork:
    does, did = (
        total(side.modules[path] for path in paths if path in side.modules) if side else None
        for side in (now, before)
    )
    relative = (size.new - size.old) / size.old if before and size.old else None
    return LayerWork(size.name, does or Amount(), did, relative)


def _one_sided(paths: Collection[str], now: Counted, before: Counted) -> bool:
    return any(not any(path in side.modules for path in paths) for side in (now, before))


def _above(path: str, layers: Collection[str]) -> str:
    """Return the innermost of these layers that contains a module, or ''."""
    while path and path not in layers:
        path = path.rpartition(".")[0]
    return path


def _innermost(paths: Collection[str]) -> Iterator[str]:
    """Yield the innermost modules that consist of others, by the paths of modules alone.

    What a module above them does itself belongs to none of them.
    """
    inside: dict[str, set[str]] = {}
    for path in paths:
        while path:
            above, _, _ = path.rpartition(".")
            inside.setdefault(above, set()).add(path)
            path = above
    left = [*inside.get("", ())]
    while left:
        path = left.pop()
        children = inside.get(path, set())
        numbered = all(child.rpartition(".")[2].isdecimal() for child in children)
        if children and (numbered or any(child in inside for child in children)):
            left.extend(children)
        else:
            yield path
