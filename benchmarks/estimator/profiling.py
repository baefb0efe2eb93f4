"""Profiles of networks: the shapes of their layers, and the joules of each layer replayed alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.estimator.estimate import LayerProfile, LayerShape, NetworkProfile
from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.module_tree import CalledModule
from pytest_greenops.insight.layers.replay import ReplayPlan, measure_modules
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.counted import total
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.work.dispatch import Dispatch, Tally

#: Operations that write nothing, in addition to views, which torch knows itself.
NO_WORK = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"}


# --- shapes --------------------------------------------------------------------------------------


class LayerCall(NamedTuple):
    """One call of a layer; `name` is that of the module, or None for an operation outside any."""

    name: str | None
    shape: LayerShape


def shapes_of(model: nn.Module, *inputs: Any, **named_inputs: Any) -> tuple[LayerShape, ...]:
    """Return the layers of a network for these inputs; a layer that is called twice counts twice.

    Operations outside of layers are included under torch's name, for example `add` for a residual.
    Layers that compute nothing are not: dropout in evaluation, flattening. Inputs can be on `meta`.
    Raises `GreenopsError` for a network that needs values to run.
    """
    return tuple(call.shape for call in layer_calls(model, *inputs, **named_inputs))


def layer_calls(model: nn.Module, *inputs: Any, **named_inputs: Any) -> list[LayerCall]:
    """Return the calls of layers in the order in which they end.

    The network runs once with parameters and inputs on torch's `meta` device, which has shapes but
    no values. Attention and recurrent layers consist of plain matrix products there, so that each
    product is counted; fused kernels would hide them.
    """
    with _listing(model) as calls, torch.no_grad():
        tensors = [*model.named_parameters(), *model.named_buffers()]
        try:
            shadows = {name: _on_meta(tensor) for name, tensor in tensors}
            functional_call(model, shadows, _on_meta(inputs), _on_meta(named_inputs))
        except Exception as error:
            first = str(error).partition("\n")[0]
            raise GreenopsError(
                f"{type(model).__name__} cannot be run without values ({first}): list its layers "
                "by hand as LayerShape(...)"
            ) from error
    return calls


@contextmanager
def _listing(model: nn.Module) -> Iterator[list[LayerCall]]:
    """List the layer calls of a model while entered, and remove all hooks on exit."""
    dispatch = Dispatch(torch, lambda: "")
    lister = _LayerLister(tally := Tally())
    dispatch.open.append(tally)
    with ExitStack() as stack:
        for name, module in _layers(model):
            before = module.register_forward_pre_hook(lister.begin_layer, with_kwargs=True)
            stack.callback(before.remove)
            end_layer = partial(lister.end_layer, name)
            after = module.register_forward_hook(end_layer, with_kwargs=True)
            stack.callback(after.remove)
        stack.enter_context(dispatch.mode())
        stack.enter_context(lister)
        yield lister.calls


class _LayerLister(TorchDispatchMode):
    """Lists the calls of layers, and the operations outside of them."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.calls: list[LayerCall] = []
        self._tally = tally
        self._open_layers: list[int] = []
        self._computed = False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation; list it if it is outside of all layers."""
        before = self._macs()
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if function.is_view or name in NO_WORK:
            return result
        self._computed = True
        if not self._open_layers:
            sizes = _elements((args, kwargs)), _elements(result)
            shape = LayerShape(name, self._macs() - before, 0, *sizes)
            self.calls.append(LayerCall(None, shape))
        return result

    def begin_layer(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Begin a call of a layer, perhaps inside another one."""
        if not self._open_layers:
            self._computed = False
        self._open_layers.append(self._macs())

    def end_layer(self, name: str, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        """List the call if it is outermost and computed anything."""
        before = self._open_layers.pop()
        if not self._open_layers and self._computed:
            parameters = sum(p.numel() for p in module.parameters())
            sizes = self._macs() - before, parameters, _elements((args, kwargs)), _elements(result)
            self.calls.append(LayerCall(name, LayerShape(type(module).__name__, *sizes)))

    def _macs(self) -> int:
        return total(self._tally.operators.values()).flop // 2


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a network by name: modules without children, and attention."""
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention) or next(module.children(), None) is None:
            yield name, module


def _on_meta(value: Any) -> Any:
    """Return the value with every tensor replaced by one on `meta`."""
    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="meta")
    if type(value) in (tuple, list):
        return type(value)(_on_meta(each) for each in value)
    if type(value) is dict:
        return {key: _on_meta(each) for key, each in value.items()}
    return value


def _elements(value: Any) -> int:
    """Return the number of elements of all tensors in a value."""
    if isinstance(value, torch.Tensor):
        return int(value.numel())
    if isinstance(value, Mapping):
        return sum(_elements(each) for each in value.values())
    if isinstance(value, (tuple, list)):
        return sum(_elements(each) for each in value)
    return 0


# --- joules --------------------------------------------------------------------------------------


def profile_network(
    name: str,
    model: nn.Module,
    *inputs: Any,
    work: Callable[[], object] | None = None,
    instruments: Instruments | None = None,
    only_whole: bool = False,
) -> tuple[list[LayerProfile], NetworkProfile]:
    """Measure a network and one layer of each shape, in turns, by replaying them.

    work         calls the model with these inputs once, and runs backward if it trains; default:
                 inference in the current mode of the model
    instruments  the sensors of a run; default: all sensors of this machine
    only_whole   measure no layers

    Operations outside of layers are part of the whole only. Idle devices are left out. Raises
    `GreenopsError` for work that calls the model in another way, and for a model that cannot be
    listed or replayed.
    """

    def infer() -> None:
        with torch.inference_mode():
            model(*inputs)

    calls = layer_calls(model, *inputs)
    capture = Capture(synchronize)
    with capture.window(name):
        (work or infer)()
    roots = capture.windows[name]
    if [(root.module, root.calls) for root in roots] != [(model, 1)]:
        raise GreenopsError(f"profile of {name}: the work must call the whole network once")
    nodes = {id(node.module): node for node in _all_nodes(roots)}
    parts = {} if only_whole else _one_per_shape(calls, dict(model.named_modules()), nodes)
    with ExitStack() as opened:
        sensors = instruments or discover(("auto",))[0]
        if instruments is None:
            opened.callback(sensors.close)
        plan = ReplayPlan(sensors, synchronize)
        found = measure_modules(torch, roots, list(parts.values()), plan)
        resting = sensors.resting()
    domains = [d.name for d in sensors.domains if d.counted and d.name not in resting]

    def joules(node: CalledModule) -> float:
        return math.fsum(found[id(node)][domain] for domain in domains) / node.calls

    number = Counter(call.shape for call in calls if call.name is not None)
    estimated = any(domain in sensors.estimated for domain in domains)
    layers = [
        LayerProfile(shape, joules(node), name, number[shape], estimated)
        for shape, node in parts.items()
        if joules(node) > 0  # below the resolution of the counters, which does not mean free
    ]
    return layers, NetworkProfile(name, joules(roots[0]), tuple(call.shape for call in calls))


def _one_per_shape(
    calls: Sequence[LayerCall],
    modules: Mapping[str, nn.Module],
    nodes: Mapping[int, CalledModule],
) -> dict[LayerShape, CalledModule]:
    """Return a layer for each shape; one that is called in several shapes cannot be measured."""
    shapes: dict[str, set[LayerShape]] = defaultdict(set)
    for call in calls:
        if call.name is not None:
            shapes[call.name].add(call.shape)
    found: dict[LayerShape, CalledModule] = {}
    for name, (shape, *others) in shapes.items():
        if not others:
            found.setdefault(shape, nodes[id(modules[name])])
    return found


def _all_nodes(roots: Sequence[CalledModule]) -> Iterator[CalledModule]:
    for root in roots:
        yield root
        yield from _all_nodes(list(root.children.values()))
