"""What the estimator is given and gives back. Pure values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log, log1p
from typing import Annotated, Literal

import msgspec

from pytest_greenops.model.units import counted, format_energy, format_percent

Count = Annotated[int, msgspec.Meta(ge=0)]


class LayerShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kind of layer is called, and how much there is to do and to move in the call.

    kind        name of its class: `Conv2d`, `LayerNorm`; of an operation outside of layers: `add`
    macs        multiply-accumulates of matrix products and convolutions
    parameters  of the layer
    inputs      elements of all input tensors, the batch included; `outputs` likewise

    THOR (arXiv 2501.16397) describes a layer by its channels in and out, with a model of its own
    for each setting of the rest: window, stride, size of the image, batch. These four are there
    for any kind, and hold the channels of those that multiply: see `axes`. They cannot tell a
    batch from an image, nor a stride from fewer weights in the window.
    """

    kind: str
    macs: Count
    parameters: Count
    inputs: Count
    outputs: Count

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """MACs, parameters, elements in, elements out."""
        return self.macs, self.parameters, self.inputs, self.outputs

    @property
    def log_sizes(self) -> tuple[float, ...]:
        """Their logarithms: joules go over many orders of magnitude, and so do the sizes."""
        return tuple(log1p(size) for size in self.sizes)

    @property
    def axes(self) -> tuple[float, ...]:
        """Logarithms of places, channels out, channels in and window, of what multiplies.

        Of a convolution: pixels of the output in the whole batch, its channels, those of the input
        and k² (over the stride's square, and the groups'). Of a linear layer: rows, features out,
        features in, 1. The bias is taken for weights.
        """
        macs, parameters, inputs, outputs = (max(1, size) for size in self.sizes)
        length = macs / outputs
        channels_out = max(1.0, parameters / length)
        places = outputs / channels_out
        channels_in = inputs / places
        return tuple(
            log(each) for each in (places, channels_out, channels_in, length / channels_in)
        )


class LayerProfile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The joules of one call of a layer, as measured.

    network    in which network it stood; errors are then told of networks never seen
    calls      how often that network calls a layer of this shape
    estimated  whether the joules come from an estimate, and not from a sensor
    """

    shape: LayerShape
    joules: Annotated[float, msgspec.Meta(gt=0)]
    network: str = ""
    calls: Annotated[int, msgspec.Meta(gt=0)] = 1
    estimated: bool = False


class NetworkProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The joules of one call of a whole network, as measured, and all its layers.

    name    the `network` of its layers' profiles
    shapes  as `shapes_of` lists them: what was not profiled is among them too
    """

    name: str
    joules: Annotated[float, msgspec.Meta(gt=0)]
    shapes: Annotated[tuple[LayerShape, ...], msgspec.Meta(min_length=1)]


class HeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How wrong the estimator was about what it had not been fitted to.

    mape     mean absolute percentage error, as a share
    worst    the largest of them
    of       what was left out: whole networks against their own measured joules; networks against
             the sum of their measured layers; or single layers
    number   of what was left out, each once
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
    """The joules of a network that never ran: no figure comes without the error of its estimator.

    low, high     95 % prediction interval, from the held-out errors and from how far the layers
                  are from those that were profiled
    held_out      how wrong the estimator was about what it had not seen
    unknown       layers of a kind with too few profiles, estimated from all other kinds
    extrapolated  layers of known kinds of which no profile is alike in size, give or take a factor
    guessed       share of the joules that these two make up
    layers        how many layers it sums
    estimated     whether the profiles behind it hold joules that no sensor measured
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
        """Mean absolute percentage error over what was held out, as a share."""
        return self.held_out.mape

    def __str__(self) -> str:
        low, high = format_energy(self.low), format_energy(self.high)
        parts = [f"{format_energy(self.joules)} (95 %: {low} … {high})", str(self.held_out)]
        for what, shapes in (
            ("of kinds hardly profiled", self.unknown),
            ("unlike any that was profiled", self.extrapolated),
        ):
            if shapes:
                parts.append(f"{counted(len(shapes), 'layer')} {what}: {_kinds(shapes)}")
        if self.unknown or self.extrapolated:
            share = format_percent(self.guessed, signed=False)
            parts.append(f"{share} of the joules come from such layers")
        if self.estimated:
            parts.append("the profiles' joules are estimated, not sensed")
        return "; ".join(parts)


def _kinds(shapes: Sequence[LayerShape]) -> str:
    """`Conv2d x 3, add x 2`."""
    kinds = Counter(shape.kind for shape in shapes)
    return ", ".join(f"{kind} x {number}" for kind, number in kinds.most_common())
