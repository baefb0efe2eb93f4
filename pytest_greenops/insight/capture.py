"""One trip through the work that measures nothing: it keeps what the torch modules are called with.

torch is used only where the work has loaded it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from types import TracebackType
from typing import Any, NamedTuple

from pytest_greenops.insight.tensors import copied, detached, tensors_of

#: Of the calls of one module so many inputs are kept at the most, evenly spread.
KEPT_CALLS = 8
#: What torch tells of the modes of a call, from 2.4 on.
_NEEDED = "get_autocast_dtype"


class Modes(NamedTuple):
    """The modes of torch in which a call was made."""

    grad: bool
    inference: bool
    autocast: tuple[tuple[str, Any], ...]


class Call(NamedTuple):
    """What a module was called with, and in which modes.

    backward  the places of its outputs through which a backward pass went; filled by that pass
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    modes: Modes
    backward: set[int]


@dataclass
class Site:
    """A module that the work calls, at its place in the model.

    shapes  of the tensors that it is first called with: `8x128x256, 8x128`
    calls   how often; `kept` holds the inputs of every `stride`-th of them
    """

    name: str
    module: Any
    shapes: str = ""
    depth: int = 0
    parent: Site | None = None
    children: dict[str, Site] = field(default_factory=dict)
    calls: int = 0
    stride: int = 1
    kept: list[Call] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The class of the module."""
        return type(self.module).__name__

    def wants(self) -> bool:
        """Count a call; whether its input is to be kept."""
        self.calls += 1
        if (self.calls - 1) % self.stride:
            return False
        if len(self.kept) == KEPT_CALLS:
            del self.kept[1::2]
            self.stride *= 2
            return not (self.calls - 1) % self.stride
        return True


class Capture:
    """The trip: it stands where a pass of the meter would, and is made once.

    windows  the outermost modules that were called in each window, by its name
    why      why nothing is kept of what is called, or None
    """

    iterations = 1
    why: str | None = None

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.units: dict[str, float] = {}
        self.windows: dict[str, list[Site]] = {}
        self._synchronize = synchronize

    def batches(self, together: bool = True) -> Iterator[int]:
        """One repetition."""
        yield 1

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Keep what is called inside, under the name of the window."""
        self._synchronize()
        torch = sys.modules.get("torch")
        roots = self.windows.setdefault(name, [])
        if torch is not None and not hasattr(torch, _NEEDED):
            self.why = f"torch {torch.__version__} is too old; it takes 2.4 or newer"
        if torch is None or self.why:
            yield
            return
        with _Recorder(torch, roots):
            yield
            self._synchronize()


class _Recorder:
    """Stands in for the call of every module while it is entered."""

    def __init__(self, torch: Any, roots: list[Site]) -> None:
        self._torch, self._roots = torch, roots
        self._call = torch.nn.Module.__call__
        self._sites: dict[int, Site] = {}
        self._names: dict[int, str] = {}
        self._models: set[str] = set()
        self._stack: list[Site] = []

    def __enter__(self) -> None:
        recorder = self

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            return recorder._called(module, args, kwargs)

        self._torch.nn.Module.__call__ = call

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._torch.nn.Module.__call__ = self._call

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        site = self._site(module, (args, kwargs))
        call = self._kept(args, kwargs) if site.wants() else None
        if call is not None:
            site.kept.append(call)
        self._stack.append(site)
        try:
            if type(module).__name__ != "OptimizedModule":
                value = self._call(module, *args, **kwargs)
            else:  # a compiled model is one piece: to look into it would compile it anew
                self.__exit__(None, None, None)
                try:
                    value = self._call(module, *args, **kwargs)
                finally:
                    self.__enter__()
        finally:
            self._stack.pop()
        if call is not None and call.modes.grad:
            self._await_backward(value, call.backward)
        return value

    def _site(self, module: Any, given: Any) -> Site:
        known = self._sites.get(id(module))
        if known is not None:
            return known
        parent = self._stack[-1] if self._stack else None
        if id(module) not in self._names and parent is None:
            self._add_root(module)
        name = self._names.get(id(module)) or type(module).__name__
        if id(module) not in self._names and parent is not None:
            name = _unused(f"{parent.name}.{name}", parent.children)
        shapes = ("x".join(map(str, tensor.shape)) for tensor in tensors_of(self._torch, given))
        site = Site(name, module, ", ".join(shapes), parent.depth + 1 if parent else 0, parent)
        self._sites[id(module)] = site
        if parent is not None:
            parent.children[name] = site
        else:
            self._roots.append(site)
        return site

    def _add_root(self, module: Any) -> None:
        """Learn the names of a model; those of a second one begin with its class."""
        model = _unused(type(module).__name__, self._models)
        prefix = f"{model}." if self._models else ""
        self._models.add(model)
        for name, each in module.named_modules():
            self._names.setdefault(id(each), f"{prefix}{name}" if name else model)

    def _kept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        torch = self._torch
        grad = torch.is_grad_enabled()
        args, kwargs = copied(torch, (args, kwargs), detached if grad else lambda given: given)
        devices = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
        autocast = tuple((kind, torch.get_autocast_dtype(kind)) for kind in devices)
        modes = Modes(grad, torch.is_inference_mode_enabled(), autocast)
        return Call(args, kwargs, modes, set())

    def _await_backward(self, value: Any, reached: set[int]) -> None:
        """Note through which outputs a backward pass goes, if the work makes one."""
        for place, tensor in enumerate(tensors_of(self._torch, value)):
            if tensor.requires_grad:
                tensor.register_hook(lambda gradient, place=place: reached.add(place))


def _unused(name: str, used: Container[str]) -> str:
    """A name for a module that its model does not know: `Net.Linear`, `Net.Linear-2`, …."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in used)
