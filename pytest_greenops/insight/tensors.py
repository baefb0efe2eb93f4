"""Tensors in what modules are given and give back, and the containers that hold them."""

from __future__ import annotations

import copy
from typing import Any

#: So deep may tensors lie: the arguments, a cache among them, its layers, their tensors.
_DEPTH = 6


def copied(torch: Any, value: Any, *, detach: bool = False, depth: int = _DEPTH) -> Any:
    """The same tensors in containers of their own, and in objects of their own, such as caches.

    What the work, or a replay of it, changes in a container later is so not changed here: a cache
    that grows stays as it was. Tensors are shared: they may be large, and joules depend on their
    shapes more than on their values.

    detach  cut them off from the graph that they came from; those that need a gradient still do
    """
    if isinstance(value, torch.Tensor):
        if not (detach and value.requires_grad) or isinstance(value, torch.nn.Parameter):
            return value
        return value.detach().requires_grad_()
    if depth == 0 or isinstance(value, torch.nn.Module | type):
        return value

    def inner(item: Any) -> Any:
        return copied(torch, item, detach=detach, depth=depth - 1)

    if isinstance(value, dict):
        made = copy.copy(value)
        made.update({key: inner(item) for key, item in value.items()})
        return made
    if isinstance(value, list):
        return list(map(inner, value))
    if isinstance(value, tuple):
        items = map(inner, value)
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if not _holds_tensors(torch, value, depth):
        return value
    made = copy.copy(value)
    vars(made).update({name: inner(item) for name, item in vars(value).items()})
    return made


def tensors_of(torch: Any, value: Any) -> list[Any]:
    """The tensors in the containers that a module is given or gives back, in their order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return []
    return [tensor for each in value for tensor in tensors_of(torch, each)]


def _holds_tensors(torch: Any, value: Any, depth: int) -> bool:
    """Whether an object has tensors, directly, in its containers or in objects of these."""
    if isinstance(value, torch.Tensor):
        return True
    if depth == 0 or isinstance(value, torch.nn.Module | type | str | bytes):
        return False
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list | tuple):
        items = list(value)
    else:
        items = list(getattr(value, "__dict__", {}).values())
    return any(_holds_tensors(torch, item, depth - 1) for item in items)
