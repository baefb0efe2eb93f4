"""Tensors in what modules are given and give back, and the containers that hold them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

#: So deep may tensors lie: the arguments, a cache among them, its layers, their tensors.
_DEPTH = 6
#: Tensors of so few elements may be counters, which work adds to in place, as caches have them.
_COUNTER = 64


def copied(torch: Any, value: Any, tensor: Callable[[Any], Any], depth: int = _DEPTH) -> Any:
    """The same in containers of their own, and in objects of their own that hold tensors.

    What the work, or a replay of it, changes later in a container is so not changed here: a cache
    that grows stays as it was. Large tensors are what `tensor` makes of them. What cannot be copied
    is shared.
    """
    if isinstance(value, torch.Tensor):
        few = value.numel() <= _COUNTER and not value.requires_grad
        return value.clone() if few else tensor(value)
    if depth == 0 or not _holds_tensors(torch, value, depth):
        return value

    def inner(item: Any) -> Any:
        return copied(torch, item, tensor, depth - 1)

    try:
        if isinstance(value, list):
            return list(map(inner, value))
        if isinstance(value, tuple):
            items = map(inner, value)
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        made = copy.copy(value)
        if isinstance(value, dict):
            for key, item in value.items():
                made[key] = inner(item)
        else:
            vars(made).update({name: inner(item) for name, item in vars(value).items()})
    except Exception:  # of a class of somebody else: its own, as it is, is better than none
        return value
    return made


def detached(tensor: Any) -> Any:
    """The tensor, cut off from the graph that it came from; it needs a gradient if it did."""
    if not tensor.requires_grad or tensor.is_leaf:
        return tensor
    return tensor.detach().requires_grad_()


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
