"""One unmeasured trip through the work, which records the arguments of each torch module call.

torch is used only where the work has loaded it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from pytest_greenops.insight.layers.module_tree import CalledModule, KeptCall, TorchModes
from pytest_greenops.insight.layers.tensor_copies import (
    ModuleState,
    copy_nested,
    detach,
    find_tensors,
)
from pytest_greenops.system import SYSTEM
from pytest_greenops.work.module_paths import ModuleNames, PatchedModuleCall

#: torch has this function, which reads the modes of a call, from version 2.4 on.
_REQUIRED_FUNCTION = "get_autocast_dtype"


class Capture:
    """The capturing trip: it replaces a trip of the meter and is made once.

    windows  the outermost modules that were called in each window, by its name
    within   the enclosing window of each window that was opened inside another
    units    the work that its call did, by unit name
    why      why no call is recorded, or None
    """

    iterations = 1
    extra = False
    why: str | None = None

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.units: dict[str, float] = {}
        self.windows: dict[str, list[CalledModule]] = {}
        self.within: dict[str, str] = {}
        self._open: list[str] = []
        self._synchronize = synchronize

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield one repetition."""
        yield 1

    def leave(self) -> None:
        """Do nothing: a whole test that measures by itself is left in its first trip."""

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Record the module calls inside under the name of the window."""
        self._synchronize()
        torch = SYSTEM.modules.get("torch")
        if torch is not None and not hasattr(torch, _REQUIRED_FUNCTION):
            self.why = f"torch {torch.__version__} is too old: install torch 2.4 or newer"
        roots = self.windows.setdefault(name, [])
        if self._open:
            self.within[name] = self._open[-1]
        self._open.append(name)
        try:
            with nullcontext() if torch is None or self.why else _recording(torch, roots):
                yield
                self._synchronize()
        finally:
            self._open.pop()


@contextmanager
def _recording(torch: Any, roots: list[CalledModule]) -> Iterator[None]:
    """Record the module calls of this thread, and leave torch and all tensors as they were."""
    hooks = _BackwardHooks(torch)
    recorder = _Recorder(torch, roots, hooks)
    try:
        with PatchedModuleCall(torch, recorder.record):
            yield
    finally:
        hooks.remove()


class _Recorder:
    """Builds the tree of called modules and keeps the arguments of some calls."""

    def __init__(self, torch: Any, roots: list[CalledModule], hooks: _BackwardHooks) -> None:
        self._torch, self._roots, self._hooks = torch, roots, hooks
        self._names = ModuleNames()
        self._random = SYSTEM.new_random(0)
        self._known: dict[int, CalledModule] = {}
        self._stack: list[CalledModule] = []

    def record(
        self, call: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call the module, and count the call at its place in the tree."""
        torch = self._torch
        shapes = ["x".join(map(str, each.shape)) for each in find_tensors(torch, (args, kwargs))]
        node = self._node(module, ", ".join(shapes))
        kept = self._keep(node, shapes[0] if shapes else "", args, kwargs)
        self._stack.append(node)
        try:
            value = call(module, args, kwargs)
        finally:
            self._stack.pop()
        if kept is not None and torch.is_grad_enabled():
            self._hooks.add(value, kept.backward)
        return value

    def _keep(
        self, node: CalledModule, shape: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> KeptCall | None:
        modes = _current_modes(self._torch)
        group = node.group(shape, modes)
        index = group.add_call(self._random)
        if index is None:
            return None
        copy_tensor = detach if modes.grad else _share
        args, kwargs = copy_nested(self._torch, (args, kwargs), copy_tensor)
        kept = group.kept[index] = KeptCall(args, kwargs, set())
        return kept

    def _node(self, module: Any, shapes: str) -> CalledModule:
        if id(module) in self._known:
            return self._known[id(module)]
        parent = self._stack[-1] if self._stack else None
        if parent is None:
            node = CalledModule(self._names.of_root(module), module, shapes)
            node.state = ModuleState(self._torch, module)
            self._roots.append(node)
        else:
            name = self._names.of_child(module, parent.name, parent.children)
            node = CalledModule(name, module, shapes, depth=parent.depth + 1, parent=parent)
            parent.children[name] = node
        self._known[id(module)] = node
        return node


class _BackwardHooks:
    """Hooks on outputs that record which of them a backward pass reaches."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._handles: list[Any] = []

    def add(self, value: Any, reached: set[int]) -> None:
        """Record the indices of the outputs in `value` that a backward pass reaches."""
        for index, tensor in enumerate(find_tensors(self._torch, value)):
            if tensor.requires_grad:
                self._handles.append(tensor.register_hook(_BackwardHook(reached, index)))

    def remove(self) -> None:
        """Remove all hooks."""
        for handle in self._handles:
            handle.remove()


class _BackwardHook:
    """Records that a backward pass reached an output; saving the tensor leaves the hook out."""

    __torch_unserializable__ = True

    def __init__(self, reached: set[int], index: int) -> None:
        self._reached, self._index = reached, index

    def __call__(self, gradient: Any) -> None:
        """Leave the gradient as it is."""
        self._reached.add(self._index)


def _current_modes(torch: Any) -> TorchModes:
    devices = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    autocast = tuple((device, torch.get_autocast_dtype(device)) for device in devices)
    return TorchModes(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast)


def _share(tensor: Any) -> Any:
    return tensor
