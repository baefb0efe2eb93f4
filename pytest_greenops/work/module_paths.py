"""Which torch module runs: its path, in the forward pass and in the backward pass that follows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container
from itertools import chain, count
from typing import Any, NamedTuple
from weakref import ref

from pytest_greenops.system import SYSTEM

#: The class of what `torch.compile(model)` returns.
_COMPILED = "OptimizedModule"


class PatchedModuleCall:
    """Replaces `torch.nn.Module.__call__` in this thread while entered.

    Python then looks up this method of every subclass anew, which takes a millisecond where a
    library has defined hundreds. What is called inside takes none, but compiled modules skip it.

    `replacement(call, module, args, kwargs)` receives the function that calls the module.
    """

    def __init__(self, torch: Any, replacement: Callable[..., Any], eager: bool = False) -> None:
        """Prepare; if all is `eager`, what is inside compiled modules is replaced as well."""
        self._class = torch.nn.Module
        self._name = "_call_impl" if eager and _never_compiled() else "__call__"
        self._original = original = getattr(self._class, self._name)
        self._eager = eager
        thread, compiling = SYSTEM.get_ident(), torch.compiler.is_compiling

        def patched(module: Any, *args: Any, **kwargs: Any) -> Any:
            if compiling() or SYSTEM.get_ident() != thread:
                return original(module, *args, **kwargs)
            return replacement(self._call, module, args, kwargs)

        self._patched = patched

    def __enter__(self) -> None:
        setattr(self._class, self._name, self._patched)

    def __exit__(self, *error: object) -> None:
        setattr(self._class, self._name, self._original)

    def _call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._eager or not is_compiled(module):
            return self._original(module, *args, **kwargs)
        self._class.__call__ = self._original  # a patched call inside would recompile it
        try:
            return self._original(module, *args, **kwargs)
        finally:
            self._class.__call__ = self._patched


def _never_compiled() -> bool:
    """Return whether nothing that was compiled has been called in this process."""
    dynamo = SYSTEM.modules.get("torch._dynamo.eval_frame")
    return dynamo is None or getattr(dynamo, "cached_backends", None) == {}


def is_compiled(module: Any) -> bool:
    """Return whether `torch.compile(model)` or `model.compile()` compiled the module."""
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or type(module).__name__ == _COMPILED


class ModuleNames:
    """Names of modules: those in their model; every model but the first adds its class.

    A compiled model has the names of the model that was compiled.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[Any, str]] = {}
        self._models: dict[str, Any] = {}

    def of_root(self, module: Any) -> str:
        """Return the name of a module that no other module calls."""
        if (known := self._known(module)) is not None:
            return known
        model = module._orig_mod if type(module).__name__ == _COMPILED else module
        used = [name for name, known in self._models.items() if known() is not None]
        name = unused(type(model).__name__, used)
        first = not self._models or next(iter(self._models)) == name
        self._models[name] = ref(module)
        prefix = "" if first else f"{name}."
        if self._known(model) is None:
            self._names[id(model)] = ref(model), name
        self._name_inside(model, prefix, {id(model)})
        self._names[id(module)] = ref(module), name
        return name

    def _name_inside(self, parent: Any, prefix: str, seen: set[int]) -> None:
        """Name what `named_modules` returns, which takes five times as long."""
        for key, module in parent._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                if self._known(module) is None:
                    self._names[id(module)] = ref(module), f"{prefix}{key}"
                self._name_inside(module, f"{prefix}{key}.", seen)

    def of_child(self, module: Any, parent: str, taken: Container[str] = ()) -> str:
        """Return the name in the model, or `parent.Class` for a module that the model hides."""
        return self._known(module) or unused(f"{parent}.{type(module).__name__}", taken)

    def _known(self, module: Any) -> str | None:
        alive, name = self._names.get(id(module), (None, None))
        return name if alive is not None and alive() is module else None


def unused(name: str, used: Container[str]) -> str:
    """Return `Net.Linear`, or `Net.Linear-2` and so on where that is taken."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in used)


class _Running(NamedTuple):
    """A module that runs, and the autograd node in whose backward pass it was called."""

    path: str
    node: int


class ModulePaths:
    """The path of the module that runs now: of the innermost one.

    A backward pass has no modules, but the number of each autograd node says when it was made, and
    so by which module.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._current_node = torch._C._current_autograd_node
        self._next_number = torch._C._autograd._get_sequence_nr
        self._names = ModuleNames()
        self._thread = SYSTEM.get_ident()
        self._stack: list[_Running] = []
        self._since: list[int] = []
        self._paths: list[str] = []

    def entered(self) -> PatchedModuleCall:
        """Return a context manager in which the calls of modules are followed."""
        return PatchedModuleCall(self._torch, self._called, eager=True)

    def now(self) -> str:
        """Return the path of the module that runs, or whose backward pass does; '' if none."""
        current = self._current_node()
        node = _NONE if current is None else min(int(current._sequence_nr()), _LEAF)
        if self._stack and SYSTEM.get_ident() == self._thread:
            running = self._stack[-1]
            if running.node == node:  # the module was not left for a backward pass
                return running.path
        if node in _OUTSIDE:
            return ""
        place = bisect_right(self._since, node) - 1
        return "" if place < 0 else self._paths[place]

    def _node(self) -> int:
        node = self._current_node()
        return _NONE if node is None else min(int(node._sequence_nr()), _LEAF)

    def _called(
        self, call: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path = self._stack[-1].path if self._stack else ""
        name = self._names.of_child(module, path) if path else self._names.of_root(module)
        self._stack.append(_Running(name, self._node()))
        self._mark(name)
        try:
            return call(module, args, kwargs)
        finally:
            self._stack.pop()
            self._mark(path)

    def _mark(self, path: str) -> None:
        """Note which module makes the autograd nodes from now on."""
        number = self._next_number()
        if self._since and self._since[-1] == number:
            self._paths[-1] = path
        else:
            self._since.append(number)
            self._paths.append(path)


#: No node of a backward pass runs.
_NONE = -1
#: Nodes that add a gradient to a parameter have at least this number, whenever they are made.
_LEAF = 2**63
_OUTSIDE = (_NONE, _LEAF)
