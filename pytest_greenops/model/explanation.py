"""Where the joules of a measurement go, by layer of the torch models that its work calls."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import msgspec

#: The parts must add up to the whole within this share: the additivity check of THOR (arXiv
#: 2501.16397), whose method rests on it.
ADDITIVITY = 0.10
#: Replays that use more than this times the joules of their call do other work than the call.
MOST_OF_CALL = 1.25
#: A layer stands out if it uses this times the median of similar layers.
STANDS_OUT = 1.5
#: A layer has grown if it uses at least this much more than its baseline.
GROWN = 0.10
#: A layer is not named if its excess is less than this share of the whole.
NEGLIGIBLE = 0.01
#: A layer is compared with similar ones if there are at least this many others.
_FEWEST_OTHERS = 2


class LayerJoules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The joules of layers in one session, as a baseline keeps them.

    by_layer  joules in one call of the work, by name of the layer and by energy counter
    units     the work of this call, by unit name
    """

    by_layer: dict[str, dict[str, float]]
    units: dict[str, float] = {}


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One part of a torch model, measured by replaying its captured input.

    name        its path in the model: `model.layers.2.mlp`
    kind        its class: `LlamaMLP`
    calls       how often one call of the work calls it
    joules      of all these calls, over the domain judged, including a backward pass if any
    baseline_j  its joules in the baseline for the same amount of work, if the baseline has layers
    shapes      of the tensors of its first call: `8x128x256`
    of_kind     its joules over the median of the other layers of its kind and shapes; None if there
                are fewer than two
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
        """Its relative change over the baseline (0.55 is +55 %), if the baseline has it."""
        return self.joules / self.baseline_j - 1 if self.baseline_j else None


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The layers of the models that a measured piece of work calls, by joules, highest first.

    whole_j   joules of the models as a whole, replayed in turns with their parts
    call_j    joules of the replayed call, as measured
    by_layer  joules of every replayed part, by name and by energy counter: of these layers, and of
              coarser ones
    units     the work of this call, by unit name
    why       why there are no layers; None if there are
    backward  whether the work included a backward pass
    share     of the joules of all windows of its loop, if there are several and none is nested
    within    the window of its loop that contains this one
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
        """The joules of the parts over those of the whole: ideally 1."""
        parts_j = sum(layer.joules for layer in self.layers)
        return parts_j / self.whole_j if self.whole_j else 0.0

    @property
    def of_call(self) -> float:
        """The joules of the models over those of the call."""
        return self.whole_j / self.call_j if self.call_j else 0.0

    @property
    def adds_up(self) -> bool:
        """Whether the parts add up to the whole within `ADDITIVITY`."""
        return abs(self.additivity - 1) <= ADDITIVITY

    @property
    def doubt(self) -> str | None:
        """Why the layers are not reliable, or None."""
        if not self.adds_up:
            return "much work happens between the parts, or they behave differently when run alone"
        if self.of_call > MOST_OF_CALL:
            return "the replays do other work than the call, or the machine has changed since"
        return None

    @property
    def suspect(self) -> Layer | None:
        """The layer that grew most over the baseline, else one that uses more than similar ones.

        Its excess is at least 1 % of the whole. None if the layers are not reliable.
        """
        if self.doubt:
            return None
        by_baseline = any(layer.baseline_j for layer in self.layers)
        least_j = NEGLIGIBLE * self.whole_j
        times = [_growth(layer, by_baseline, least_j) for layer in self.layers]
        worst, place = max(zip(times, range(len(times)), strict=True), default=(0.0, 0))
        return self.layers[place] if worst else None

    @property
    def kept(self) -> LayerJoules | None:
        """What a baseline keeps of it; None if the layers are not reliable."""
        if not self.layers or self.doubt:
            return None
        return LayerJoules(self.by_layer, self.units)


def for_as_much(accepted: LayerJoules, units: Mapping[str, float], unit: str) -> float | None:
    """Return the factor that scales an accepted call to another call with these units of work.

    It is None if the accepted call did none of the judged `unit`.
    """
    if unit == "call":
        return 1.0
    done = accepted.units.get(unit)
    return units[unit] / done if done and unit in units else None


def among_its_kind(layers: list[Layer]) -> tuple[Layer, ...]:
    """Sort layers by joules, highest first, and compare each with others of its kind and shapes."""
    compared = []
    for layer in layers:
        like = (layer.kind, layer.shapes)
        others = [o.joules for o in layers if (o.kind, o.shapes) == like and o is not layer]
        if len(others) >= _FEWEST_OTHERS and (middle := median(others)):
            layer = msgspec.structs.replace(layer, of_kind=layer.joules / middle)
        compared.append(layer)
    return tuple(sorted(compared, key=lambda layer: -layer.joules))


def _growth(layer: Layer, by_baseline: bool, least_j: float) -> float:
    """Return how many times its baseline, or similar layers, a layer uses; 0 within the noise.

    A factor, not joules: noise moves the largest layers by the most joules.
    """
    times = (layer.change or 0.0) + 1 if by_baseline else layer.of_kind or 1.0
    beyond = times > 1 + GROWN if by_baseline else times >= STANDS_OUT
    return times if beyond and layer.joules * (1 - 1 / times) > least_j else 0.0
