"""Copies of tensors in arguments, and the state of models, saved and restored around replays."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: Nesting depth at which tensors are searched: the arguments, a cache, its layers, their tensors.
_DEPTH = 6
#: Tensors with at most this many elements may be counters that the work increments in place, as in
#: caches of fixed size.
_COUNTER_ELEMENTS = 64
_CONTAINERS = (list, dict, set, deque)


def copy_nested(
    torch: Any, value: Any, copy_tensor: Callable[[Any], Any], depth: int = _DEPTH
) -> Any:
    """Return the value with containers, and objects that hold tensors, copied.

    Later changes in place then leave the copy alone: a cache that grows stays as it was. Large
    tensors are passed through `copy_tensor`, small ones are cloned. What cannot be copied is
    shared.
    """
    if isinstance(value, torch.Tensor):
        small = value.numel() <= _COUNTER_ELEMENTS and not value.requires_grad
        return value.clone() if small else copy_tensor(value)
    if depth == 0 or not _holds_tensors(torch, value, depth):
        return value

    def inner(item: Any) -> Any:
        return copy_nested(torch, item, copy_tensor, depth - 1)

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
    except Exception:  # a class of the user that refuses to be copied: sharing beats failing
        return value
    return made


def detach(tensor: Any) -> Any:
    """Return the tensor without its graph; it still requires a gradient if it did."""
    if not tensor.requires_grad or tensor.is_leaf:
        return tensor
    return tensor.detach().requires_grad_()


def find_tensors(torch: Any, value: Any) -> list[Any]:
    """Return the tensors in the lists, tuples and dicts of arguments or outputs, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return []
    return [tensor for each in value for tensor in find_tensors(torch, each)]


class ModuleState:
    """Attributes, buffers, and containers among the attributes, of all modules of a model.

    Attributes of objects that are not modules are left out, and so are the values of weights.
    """

    def __init__(self, torch: Any, model: Any) -> None:
        self._torch = torch
        self._model = model
        self._attributes = [(vars(module), dict(vars(module))) for module in model.modules()]
        values = (value for _, saved in self._attributes for value in saved.values())
        self._containers: list[tuple[Any, Any]] = [
            (value, copy.copy(value)) for value in values if isinstance(value, _CONTAINERS)
        ]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        self._weights = _weight_identities(model)

    @property
    def weights_changed(self) -> bool:
        """Return whether the model has other weights now, or weights of another dtype or shape."""
        return _weight_identities(self._model) != self._weights

    def restore(self) -> None:
        """Restore all of it; cheap where nothing has changed."""
        for attributes, saved in self._attributes:
            if not _same_items(attributes, saved):
                attributes.clear()
                attributes.update(saved)
        for container, saved in self._containers:
            if not _same_items(container, saved):
                container.clear()
                add = container.extend if isinstance(container, list | deque) else container.update
                add(saved)
        for buffer, saved in self._buffers:
            if not (buffer.shape == saved.shape and self._torch.equal(buffer, saved)):
                buffer.data = saved.clone()


@contextmanager
def restored_afterwards(torch: Any, models: Iterable[Any]) -> Iterator[None]:
    """Restore models, and the state of the random number generators, on exit."""
    states = [ModuleState(torch, model) for model in models]
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=list(gpus)):
            yield
    finally:
        for state in states:
            state.restore()


def _weight_identities(model: Any) -> list[tuple[Any, ...]]:
    return [(id(w), w.dtype, w.device, w.shape) for w in model.parameters()]


def _same_items(one: Any, other: Any) -> bool:
    """Return whether two containers hold the same objects."""
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        return all(key in other and value is other[key] for key, value in one.items())
    if isinstance(one, set):
        return bool(one == other)
    return all(a is b for a, b in zip(one, other, strict=True))


def _holds_tensors(torch: Any, value: Any, depth: int) -> bool:
    """Return whether an object holds tensors, directly or nested."""
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
