"""Where the joules of a measurement go: the layers of the torch models that its work calls."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import msgspec

#: Parts that add up to the whole by less exactly than this are told with a warning: the additivity
#: check of THOR (arXiv 2501.16397), whose method rests on it.
ADDITIVITY = 0.10
#: Replays that take so many times the joules of the call that they replay do other work than it.
MOST_OF_CALL = 1.25
#: A layer that costs so many times the median of the others like it stands out.
STANDS_OUT = 1.5
#: One that grew by less than this over its baseline is not told to have grown.
GROWN = 0.10
#: Nor is one named whose excess is less than this share of the whole.
TRIFLE = 0.01
#: So many others like it make a layer comparable with them.
_FEWEST_OTHERS = 2


class LayerJoules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one session explained, as a baseline keeps it.

    by_layer  joules in one call of the work by the layer's name, and by energy counter
    units     the work that this call did, by unit name
    """

    by_layer: dict[str, dict[str, float]]
    units: dict[str, float] = {}


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One part of a torch model, as replays of its captured input measured it.

    name        where it is in its model: `model.layers.2.mlp`
    kind        its class: `LlamaMLP`
    calls       how often one call of the work calls it
    joules      of all these calls, over the domain judged; with the backward pass, where the work
                made one
    baseline_j  what the sessions of the baseline have for it, for as much work, where one was
                explained
    shapes      of the tensors that it is first called with: `8x128x256`
    of_kind     its joules over the median of the other layers of its kind and shapes; None of fewer
                than two
    """

    name: str
    kind: str
    calls: int
    joules: float
    shapes: str = ""
    baseline_j: float | None = None
    of_kind: float | None = None

    @property
    def change(self) -> float | None:
        """Its relative change over the baseline (0.55 is +55 %), where that has it."""
        return self.joules / self.baseline_j - 1 if self.baseline_j else None


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The layers of the models that a measured piece of work calls, by joules, highest first.

    whole_j   joules of the models as a whole, replayed in turns with their parts
    call_j    joules of the call that was replayed, as it was measured
    by_layer  joules of every part that was replayed, by its name and by energy counter: of these
              layers, and of coarser ones
    units     the work that this call did, by unit name
    why       why nothing can be said by layer; None where there are layers
    backward  whether the work went backward through the models
    share     of the joules of all windows of its loop, where it has several, none in another
    within    the window of its loop that holds this one
    """

    layers: tuple[Layer, ...] = ()
    whole_j: float = 0.0
    call_j: float = 0.0
    by_layer: dict[str, dict[str, float]] = {}
    units: dict[str, float] = {}
    why: str | None = None
    backward: bool = False
    share: float | None = None
    within: str | None = None

    @property
    def additivity(self) -> float:
        """The joules of the parts over those of the whole: 1 where nothing is lost or twice."""
        parts_j = sum(layer.joules for layer in self.layers)
        return parts_j / self.whole_j if self.whole_j else 0.0

    @property
    def of_call(self) -> float:
        """The joules of the models over those of the call."""
        return self.whole_j / self.call_j if self.call_j else 0.0

    @property
    def adds_up(self) -> bool:
        """Whether the parts make the whole within `ADDITIVITY`."""
        return abs(self.additivity - 1) <= ADDITIVITY

    @property
    def doubt(self) -> str | None:
        """Why the layers are not to be trusted, or None."""
        if not self.adds_up:
            return "much is done between the parts, or they work otherwise when alone"
        if self.of_call > MOST_OF_CALL:
            return "the replays do other work than the call, or the machine has changed since"
        return None

    @property
    def suspect(self) -> Layer | None:
        """The layer that grew most over the baseline, else one that is dearer than its like.

        What it uses too much is no trifle beside the whole. None where there is doubt.
        """
        if self.doubt:
            return None
        by_baseline = any(layer.baseline_j for layer in self.layers)
        least_j = TRIFLE * self.whole_j
        times = [_times(layer, by_baseline, least_j) for layer in self.layers]
        worst, place = max(zip(times, range(len(times)), strict=True), default=(0.0, 0))
        return self.layers[place] if worst else None

    @property
    def kept(self) -> LayerJoules | None:
        """What a baseline keeps of it: nothing, where there is nothing to trust."""
        if not self.layers or self.doubt:
            return None
        return LayerJoules(self.by_layer, self.units)


def for_as_much(accepted: LayerJoules, units: Mapping[str, float], unit: str) -> float | None:
    """What joules of an accepted call are multiplied with, for as much work as another one does.

    unit  the unit of work that is judged; None where the accepted call did none of it
    """
    if unit == "call":
        return 1.0
    done = accepted.units.get(unit)
    return units[unit] / done if done and unit in units else None


def among_its_kind(layers: list[Layer]) -> tuple[Layer, ...]:
    """The layers by joules, highest first, each held against the others of its kind and shapes."""
    told = []
    for layer in layers:
        like = (layer.kind, layer.shapes)
        others = [o.joules for o in layers if (o.kind, o.shapes) == like and o is not layer]
        if len(others) >= _FEWEST_OTHERS and (middle := median(others)):
            layer = msgspec.structs.replace(layer, of_kind=layer.joules / middle)
        told.append(layer)
    return tuple(sorted(told, key=lambda layer: -layer.joules))


def _times(layer: Layer, by_baseline: bool, least_j: float) -> float:
    """How many times its baseline, or its like, a layer uses; 0 within what both scatter.

    By the factor, not by joules: noise moves the largest layers by most of them.
    """
    times = (layer.change or 0.0) + 1 if by_baseline else layer.of_kind or 1.0
    beyond = times > 1 + GROWN if by_baseline else times >= STANDS_OUT
    return times if beyond and layer.joules * (1 - 1 / times) > least_j else 0.0
