"""The layers of a torch network and how large they are: nothing is computed, nothing is moved.

The network runs once with parameters and inputs on torch's `meta` device, which has shapes and no
values. There attention and recurrent layers are made of plain products of matrices, so that each
product is counted; fused kernels hide theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.estimator.estimate import LayerShape
from pytest_greenops.model.errors import GreenopsError

if TYPE_CHECKING:
    from torch import nn

#: Operations that write nothing; those that only look at a tensor anew are known to torch itself.
NO_WORK = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"}


class LayerCall(NamedTuple):
    """One call of a layer: the module's name in its network, None of an operation outside any."""

    name: str | None
    shape: LayerShape


def shapes_of(model: nn.Module, *inputs: Any, **named_inputs: Any) -> tuple[LayerShape, ...]:
    """The layers of a network as it is called with these inputs; one called twice counts twice.

    Inputs may lie on `meta` too. What is computed outside of layers is among them, under the name
    of torch's operation: `add` of a residual. Layers that compute nothing are not: dropout in
    evaluation, flattening. Raises `GreenopsError` for a network that needs values to run.
    """
    return tuple(call.shape for call in layer_calls(model, *inputs, **named_inputs))


def layer_calls(model: nn.Module, *inputs: Any, **named_inputs: Any) -> list[LayerCall]:
    """The same in the order in which the calls end, with the modules' names."""
    import torch
    from torch.func import functional_call

    with ExitStack() as stack:
        listing = stack.enter_context(_listing(model))
        stack.enter_context(torch.no_grad())
        held = [*model.named_parameters(), *model.named_buffers()]
        try:
            shadows = {name: _on_meta(tensor) for name, tensor in held}
            functional_call(model, shadows, _on_meta(inputs), _on_meta(named_inputs))
        except Exception as error:
            first = str(error).partition("\n")[0]
            raise GreenopsError(
                f"{type(model).__name__} cannot be run without values ({first}); list its layers "
                "by hand as LayerShape(...)"
            ) from error
    return listing


@contextmanager
def _listing(model: nn.Module) -> Iterator[list[LayerCall]]:
    """List the calls of a model's layers, and what is computed outside of them, meanwhile."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    calls: list[LayerCall] = []
    flops: Any = FlopCounterMode(display=False)
    open_layers: list[int] = []
    computed: list[str] = []

    def macs() -> int:
        return int(flops.get_total_flops()) // 2

    def operate(_: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = macs()
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if func.is_view or name in NO_WORK:
            return result
        computed.append(name)
        if not open_layers:
            sizes = _elements((args, kwargs)), _elements(result)
            calls.append(LayerCall(None, LayerShape(name, macs() - before, 0, *sizes)))
        return result

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        if not open_layers:
            computed.clear()
        open_layers.append(macs())

    def leave(name: str, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        before = open_layers.pop()
        if not open_layers and computed:
            parameters = sum(p.numel() for p in module.parameters())
            sizes = macs() - before, parameters, _elements((args, kwargs)), _elements(result)
            calls.append(LayerCall(name, LayerShape(type(module).__name__, *sizes)))

    # Made without a statement, for its base is of no known type where torch is not installed.
    operations: Any = type("Operations", (TorchDispatchMode,), {"__torch_dispatch__": operate})
    hooks = []
    for name, module in layers(model):
        hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        hooks.append(module.register_forward_hook(partial(leave, name), with_kwargs=True))
    try:
        with flops, operations():
            yield calls
    finally:
        for hook in hooks:
            hook.remove()


def layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a network by name: modules without parts, and attention, which has some."""
    from torch import nn

    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention) or next(module.children(), None) is None:
            yield name, module


def _on_meta(value: Any) -> Any:
    """The same with every tensor replaced by one of its shape and type, without values."""
    import torch

    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="meta")
    if type(value) in (tuple, list):
        return type(value)(_on_meta(each) for each in value)
    if type(value) is dict:
        return {key: _on_meta(each) for key, each in value.items()}
    return value


def _elements(value: Any) -> int:
    """How many numbers the tensors in a value hold."""
    import torch

    if isinstance(value, torch.Tensor):
        return int(value.numel())
    if isinstance(value, Mapping):
        return sum(_elements(each) for each in value.values())
    if isinstance(value, (tuple, list)):
        return sum(_elements(each) for each in value)
    return 0
