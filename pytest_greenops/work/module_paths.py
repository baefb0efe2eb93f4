"""Which torch module runs: its path, in the forward pass and in the backward pass that follows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container
from itertools import chain, count
from typing import Any

from pytest_greenops.system import SYSTEM


class PatchedModuleCall:
    """Replaces `torch.nn.Module.__call__` in this thread while entered.

    `replacement(call, module, args, kwargs)` receives the function that calls the module.
    """

    def __init__(self, torch: Any, replacement: Callable[..., Any]) -> None:
        self._class = torch.nn.Module
        self._original = original = self._class.__call__
        thread = SYSTEM.get_ident()

        def patched(module: Any, *args: Any, **kwargs: Any) -> Any:
            if SYSTEM.get_ident() != thread:
                return original(module, *args, **kwargs)
            return replacement(self._call, module, args, kwargs)

        self._patched = patched

    def __enter__(self) -> None:
        self._class.__call__ = self._patched

    def __exit__(self, *error: object) -> None:
        self._class.__call__ = self._original

    def _call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_compiled(module):
            return self._original(module, *args, **kwargs)
        self._class.__call__ = self._original  # a patched call inside would recompile it
        try:
            return self._original(module, *args, **kwargs)
        finally:
            self._class.__call__ = self._patched


def is_compiled(module: Any) -> bool:
    """Return whether `torch.compile(model)` or `model.compile()` compiled the module."""
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or type(module).__name__ == "OptimizedModule"


class ModuleNames:
    """Names of modules: those in their model; every model but the first adds its class."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._models: set[str] = set()

    def of_root(self, module: Any) -> str:
        """Return the name of a module that no other module calls."""
        if id(module) not in self._names:
            model = unused(type(module).__name__, self._models)
            prefix = f"{model}." if self._models else ""
            self._models.add(model)
            for name, each in module.named_modules():
                self._names.setdefault(id(each), f"{prefix}{name}" if name else model)
        return self._names[id(module)]

    def of_child(self, module: Any, parent: str, taken: Container[str]) -> str:
        """Return the name in the model, or `parent.Class` for a module that the model hides."""
        known = self._names.get(id(module))
        return known or unused(f"{parent}.{type(module).__name__}", taken)


def unused(name: str, used: Container[str]) -> str:
    """Return `Net.Linear`, or `Net.Linear-2` and so on where that is taken."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in used)


class ModulePaths:
    """The path of the module that runs now: of the innermost one.

    A backward pass has no modules, but the number of each autograd node says when it was made, and
    so by which module.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._names = ModuleNames()
        self._thread = SYSTEM.get_ident()
        self._stack: list[str] = []
        self._hidden: dict[int, str] = {}
        self._since: list[int] = []
        self._paths: list[str] = []

    def entered(self) -> PatchedModuleCall:
        """Return a context manager in which the calls of modules are followed."""
        return PatchedModuleCall(self._torch, self._called)

    def now(self) -> str:
        """Return the path of the module that runs, or whose backward pass does; '' if none."""
        node = self._torch._C._current_autograd_node()
        if node is not None and not (self._stack and SYSTEM.get_ident() == self._thread):
            place = bisect_right(self._since, node._sequence_nr()) - 1
            leaf = node._sequence_nr() >= _LEAF
            return "" if place < 0 or leaf else self._paths[place]
        inside = self._stack and SYSTEM.get_ident() == self._thread
        return self._stack[-1] if inside else ""

    def _called(
        self, call: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self._stack.append(self._name(module))
        self._mark()
        try:
            return call(module, args, kwargs)
        finally:
            self._stack.pop()
            self._mark()

    def _name(self, module: Any) -> str:
        if not self._stack:
            return self._names.of_root(module)
        if id(module) not in self._hidden:
            taken = self._hidden.values()
            self._hidden[id(module)] = self._names.of_child(module, self._stack[-1], taken)
        return self._hidden[id(module)]

    def _mark(self) -> None:
        """Note which module makes the autograd nodes from now on."""
        self._since.append(self._torch._C._autograd._get_sequence_nr())
        self._paths.append(self._stack[-1] if self._stack else "")


#: Nodes that add a gradient to a parameter have this number, whenever they are made.
_LEAF = 2**63
