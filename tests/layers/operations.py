"""A simulated machine on which every operation of torch uses a known number of joules."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

#: Joules of a floating-point operation of a matrix product, and of an element that is written.
FLOP_J, ELEMENT_J = 1e-9, 1e-8


class Operations(TorchDispatchMode):
    """While entered, operations spend joules on a sensor: the same work, the same joules."""

    def __init__(self) -> None:
        super().__init__()
        self.sensor = FakeSensor(Domain("cpu:0", "cpu"))
        self.instruments = Instruments([self.sensor])

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and spend its joules."""
        kwargs = kwargs or {}
        count = flop_registry.get(function._overloadpacket)
        if count is None:  # a composite operation, which inference mode does not decompose
            with self:
                made = function.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        value = function(*args, **kwargs)
        given = {_storage(each) for each in _tensors([*args, *kwargs.values()])}
        written = (out.numel() for out in _tensors(value) if _storage(out) not in given)
        joules = ELEMENT_J * sum(written)
        if count is not None:
            joules += FLOP_J * count(*args, **kwargs, out_val=value)
        self.sensor.spend(joules, seconds=1e-3 + joules)
        return value


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, torch.Tensor) else []


def _storage(tensor: torch.Tensor) -> int:
    """Return the address of the elements: a view has that of its base."""
    return tensor.untyped_storage().data_ptr()
