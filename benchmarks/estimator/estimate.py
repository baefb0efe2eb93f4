"""Input and output values of the estimator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log, log1p
from typing import Annotated, Literal

import msgspec

from pytest_greenops.model.units import counted, format_energy, format_percent

Count = Annotated[int, msgspec.Meta(ge=0)]


class LayerShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kind and size of one call of a layer.

    kind        class name: `Conv2d`, `LayerNorm`; for an operation outside of layers: `add`
    macs        multiply-accumulates of matrix products and convolutions
    parameters  number of parameters of the layer
    inputs      elements of all input tensors, batch included; `outputs` likewise

    THOR (arXiv 2501.16397) describes a layer by its input and output channels, and fits a separate
    model for each setting of the rest: window, stride, image size, batch. These four sizes exist
    for any kind, and `axes` recovers the channels of layers that multiply. They cannot distinguish
    a batch from an image, nor a stride from fewer weights in the window.
    """

    kind: str
    macs: Count
    parameters: Count
    inputs: Count
    outputs: Count

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Return MACs, parameters, input elements, output elements."""
        return self.macs, self.parameters, self.inputs, self.outputs

    @property
    def log_sizes(self) -> tuple[float, ...]:
        """Return logarithms: joules and sizes range over many orders of magnitude."""
        return tuple(log1p(size) for size in self.sizes)

    @property
    def axes(self) -> tuple[float, ...]:
        """Return logarithms of positions, output channels, input channels and window.

        For a convolution: pixels of the output over the whole batch, output channels, input
        channels, and k² (divided by the squared stride and the groups). For a linear layer: rows,
        output features, input features, 1. A bias counts as weights.
        """
        macs, parameters, inputs, outputs = (max(1, size) for size in self.sizes)
        length = macs / outputs
        channels_out = max(1.0, parameters / length)
        positions = outputs / channels_out
        channels_in = inputs / positions
        axes = (positions, channels_out, channels_in, length / channels_in)
        return tuple(map(log, axes))


class LayerProfile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Measured joules of one call of a layer.

    network    network that contains it; with names, errors are those of unseen networks
    calls      how often that network calls a layer of this shape
    estimated  whether the joules are estimated instead of sensed
    """

    shape: LayerShape
    joules: Annotated[float, msgspec.Meta(gt=0)]
    network: str = ""
    calls: Annotated[int, msgspec.Meta(gt=0)] = 1
    estimated: bool = False


class NetworkProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured joules of one call of a whole network, with all its layers.

    name    the `network` of its layers' profiles
    shapes  from `shapes_of`, including layers without a profile
    """

    name: str
    joules: Annotated[float, msgspec.Meta(gt=0)]
    shapes: Annotated[tuple[LayerShape, ...], msgspec.Meta(min_length=1)]


class HeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Errors of the estimator on data that it was not fitted to.

    mape     mean absolute percentage error, as a share
    worst    largest absolute error, as a share
    of       what was held out: whole networks, compared with their own measured joules; networks,
             compared with the sum of their measured layers; or single layers
    number   how many of these, each held out once
    """

    mape: float
    worst: float
    of: Literal["networks", "sums of layers", "layers"]
    number: int

    def __str__(self) -> str:
        left_out = {
            "networks": counted(self.number, "network"),
            "sums of layers": f"{counted(self.number, 'network')}, as sums of their layers",
            "layers": counted(self.number, "layer"),
        }[self.of]
        mape, worst = (format_percent(e, signed=False) for e in (self.mape, self.worst))
        return f"held-out MAPE {mape}, worst {worst}, over {left_out}"


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Joules of a network that never ran, always with the held-out error of the estimator.

    low, high     95 % prediction interval, from the held-out errors and from the distance of the
                  layers from the profiled ones
    held_out      errors of the estimator on held-out data
    unknown       layers of a kind with too few profiles, estimated from all other kinds
    extrapolated  layers of a known kind without a profile of similar size
    guessed       share of the joules that these two contribute
    layers        number of layers summed
    estimated     whether any profile has estimated instead of sensed joules
    """

    joules: float
    low: float
    high: float
    held_out: HeldOut
    unknown: tuple[LayerShape, ...]
    extrapolated: tuple[LayerShape, ...]
    guessed: float
    layers: int
    estimated: bool

    @property
    def held_out_mape(self) -> float:
        """Return the mean absolute percentage error on held-out data, as a share."""
        return self.held_out.mape

    def __str__(self) -> str:
        low, high = format_energy(self.low), format_energy(self.high)
        parts = [f"{format_energy(self.joules)} (95 %: {low} … {high})", str(self.held_out)]
        for what, shapes in (
            ("of kinds with too few profiles", self.unknown),
            ("without a profile of similar size", self.extrapolated),
        ):
            if shapes:
                parts.append(f"{counted(len(shapes), 'layer')} {what}: {_kinds(shapes)}")
        if self.unknown or self.extrapolated:
            share = format_percent(self.guessed, signed=False)
            parts.append(f"{share} of the joules come from these layers")
        if self.estimated:
            parts.append("the profiles' joules are estimated, not sensed")
        return "; ".join(parts)


def _kinds(shapes: Sequence[LayerShape]) -> str:
    """Return `Conv2d x 3, add x 2`."""
    kinds = Counter(shape.kind for shape in shapes)
    return ", ".join(f"{kind} x {number}" for kind, number in kinds.most_common())
