"""One trip through the work that measures nothing: it keeps what the torch modules are called with.

torch is used only where the work has loaded it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, count
from random import Random
from types import TracebackType
from typing import Any

from pytest_greenops.insight.layers.module_state import ModuleState
from pytest_greenops.insight.layers.sites import Call, Modes, Site
from pytest_greenops.insight.layers.tensors import copied, detached, tensors_of

#: What torch tells of the modes of a call, from 2.4 on.
_NEEDED = "get_autocast_dtype"


class Capture:
    """The trip: it stands where a pass of the meter would, and is made once.

    windows  the outermost modules that were called in each window, by its name
    within   the window around each that was opened inside another
    units    the work that its call did, by unit name
    why      why nothing is kept of what is called, or None
    """

    iterations = 1
    why: str | None = None

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.units: dict[str, float] = {}
        self.windows: dict[str, list[Site]] = {}
        self.within: dict[str, str] = {}
        self._open: list[str] = []
        self._synchronize = synchronize

    def batches(self, together: bool = True) -> Iterator[int]:
        """One repetition."""
        yield 1

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Keep what is called inside, under the name of the window."""
        self._synchronize()
        torch = sys.modules.get("torch")
        if torch is not None and not hasattr(torch, _NEEDED):
            self.why = f"torch {torch.__version__} is too old; it takes 2.4 or newer"
        roots = self.windows.setdefault(name, [])
        if self._open:
            self.within[name] = self._open[-1]
        self._open.append(name)
        try:
            with nullcontext() if torch is None or self.why else _Recorder(torch, roots):
                yield
                self._synchronize()
        finally:
            self._open.pop()


class _Recorder:
    """Stands in for the call of every module, in the thread that entered it."""

    def __init__(self, torch: Any, roots: list[Site]) -> None:
        self._torch, self._roots = torch, roots
        self._call = torch.nn.Module.__call__
        self._thread = threading.get_ident()
        self._chance = Random(0)
        self._sites: dict[int, Site] = {}
        self._names: dict[int, str] = {}
        self._models: set[str] = set()
        self._stack: list[Site] = []
        self._awaited: list[Any] = []

    def __enter__(self) -> None:
        self._stand_in()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._torch.nn.Module.__call__ = self._call
        for handle in self._awaited:
            handle.remove()

    def _stand_in(self) -> None:
        recorder = self

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != recorder._thread:
                return recorder._call(module, *args, **kwargs)
            return recorder._called(module, args, kwargs)

        self._torch.nn.Module.__call__ = call

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        site, kept = self._keep(module, args, kwargs)
        self._stack.append(site)
        try:
            if not _compiled(module):
                value = self._call(module, *args, **kwargs)
            else:  # it is one piece: to look into it would compile it anew
                self._torch.nn.Module.__call__ = self._call
                try:
                    value = self._call(module, *args, **kwargs)
                finally:
                    self._stand_in()
        finally:
            self._stack.pop()
        if kept is not None and self._torch.is_grad_enabled():
            self._await_backward(value, kept.backward)
        return value

    def _keep(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Site, Call | None]:
        """Count a call at its place; keep its input, if it is one of those that stand for all."""
        torch = self._torch
        shapes = ["x".join(map(str, each.shape)) for each in tensors_of(torch, (args, kwargs))]
        site = self._site(module, ", ".join(shapes))
        modes = self._modes()
        kind = site.like(shapes[0] if shapes else "", modes)
        place = kind.place(self._chance)
        if place is None:
            return site, None
        cut_off = detached if modes.grad else _itself
        args, kwargs = copied(torch, (args, kwargs), cut_off)
        call = kind.kept[place] = Call(args, kwargs, set())
        return site, call

    def _modes(self) -> Modes:
        torch = self._torch
        devices = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
        autocast = tuple((kind, torch.get_autocast_dtype(kind)) for kind in devices)
        return Modes(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast)

    def _site(self, module: Any, shapes: str) -> Site:
        known = self._sites.get(id(module))
        if known is not None:
            return known
        parent = self._stack[-1] if self._stack else None
        if id(module) not in self._names and parent is None:
            self._add_root(module)
        name = self._names.get(id(module)) or type(module).__name__
        if id(module) not in self._names and parent is not None:
            name = _unused(f"{parent.name}.{name}", parent.children)
        depth = parent.depth + 1 if parent else 0
        site = Site(name, module, shapes, depth=depth, parent=parent)
        self._sites[id(module)] = site
        if parent is not None:
            parent.children[name] = site
        else:
            site.state = ModuleState(self._torch, module)
            self._roots.append(site)
        return site

    def _add_root(self, module: Any) -> None:
        """Learn the names of a model; those of a second one begin with its class."""
        model = _unused(type(module).__name__, self._models)
        prefix = f"{model}." if self._models else ""
        self._models.add(model)
        for name, each in module.named_modules():
            self._names.setdefault(id(each), f"{prefix}{name}" if name else model)

    def _await_backward(self, value: Any, reached: set[int]) -> None:
        """Note through which outputs a backward pass goes, if the work makes one in this window."""
        for place, tensor in enumerate(tensors_of(self._torch, value)):
            if tensor.requires_grad:
                self._awaited.append(tensor.register_hook(_Reached(reached, place)))


class _Reached:
    """Notes that a backward pass came by; a tensor that is saved meanwhile is saved without it."""

    __torch_unserializable__ = True

    def __init__(self, reached: set[int], place: int) -> None:
        self._reached, self._place = reached, place

    def __call__(self, gradient: Any) -> None:
        """Leave the gradient as it is."""
        self._reached.add(self._place)


def _compiled(module: Any) -> bool:
    """Whether it is compiled: by `torch.compile(model)`, or in place by `model.compile()`."""
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or type(module).__name__ == "OptimizedModule"


def _itself(tensor: Any) -> Any:
    return tensor


def _unused(name: str, used: Container[str]) -> str:
    """A name for a module that its model does not know: `Net.Linear`, `Net.Linear-2`, …."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in used)
