"""What a model keeps between its calls, and put back as it was: replays change nobody's model."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_CONTAINERS = (list, dict, set, deque)


class ModuleState:
    """Attributes, buffers, and the containers among the attributes, of all modules of a model.

    Objects of other classes that modules hold are not looked into, nor are the values of weights.
    """

    def __init__(self, torch: Any, model: Any) -> None:
        self._torch = torch
        self._model = model
        modules = list(model.modules())
        self._attributes = [(vars(module), dict(vars(module))) for module in modules]
        held = (value for _, kept in self._attributes for value in kept.values())
        self._containers: list[tuple[Any, Any]] = [
            (value, copy.copy(value)) for value in held if isinstance(value, _CONTAINERS)
        ]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        self._weights = _kinds(model)

    @property
    def weights_changed(self) -> bool:
        """Whether the model has got other weights since, or weights of another kind."""
        return _kinds(self._model) != self._weights

    def put_back(self) -> None:
        """Make all of it what it was; costs little where nothing has changed."""
        for attributes, kept in self._attributes:
            if not _same(attributes, kept):
                attributes.clear()
                attributes.update(kept)
        for container, kept in self._containers:
            if not _same(container, kept):
                container.clear()
                add = container.extend if isinstance(container, list | deque) else container.update
                add(kept)
        for buffer, kept in self._buffers:
            if not (buffer.shape == kept.shape and self._torch.equal(buffer, kept)):
                buffer.data = kept.clone()


@contextmanager
def undisturbed(torch: Any, models: Iterable[Any]) -> Iterator[None]:
    """Leave models, and the random numbers that come next, as they are."""
    states = [ModuleState(torch, model) for model in models]
    cards = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=list(cards)):
            yield
    finally:
        for state in states:
            state.put_back()


def _kinds(model: Any) -> list[tuple[Any, ...]]:
    return [(id(w), w.dtype, w.device, w.shape) for w in model.parameters()]


def _same(one: Any, other: Any) -> bool:
    """Whether two containers hold the same objects."""
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        return all(key in other and value is other[key] for key, value in one.items())
    if isinstance(one, set):
        return bool(one == other)
    return all(a is b for a, b in zip(one, other, strict=True))
