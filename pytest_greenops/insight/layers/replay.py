"""Calls a module again with what the work called it with, and goes backward as the work did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, NamedTuple

from pytest_greenops.insight.layers.sites import Call, Kind, Modes, Site
from pytest_greenops.insight.layers.tensors import copied, tensors_of
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import MICROJOULES

#: So often the kept calls are replayed in a window at the most: what is still too short then, such
#: as a dropout that is off, uses next to nothing.
MOST_REPLAYS = 5_000
#: Inputs of a module that writes on them are copied for every replay: into so much memory.
OWNED_BYTES = 2**28


class _Ready(NamedTuple):
    """A call that can be made: its inputs, and those of them that a gradient is for."""

    call: Call
    args: Any
    kwargs: Any
    leaves: list[Any]


class Replay:
    """Calls one module again with what the work called it with, in calls of one kind.

    owns_inputs  whether each call gets tensors of its own: for a module that writes on them, as any
                 may that was not seen yet
    """

    def __init__(self, torch: Any, site: Site, kind: Kind) -> None:
        self.site = site
        self.kind = kind
        self.iterations = 1
        self.owns_inputs = True
        self.energy_uj: list[dict[str, float]] = []
        self._torch = torch
        self._calls = list(kind.kept.values())
        self._gradients: dict[int, list[Any]] = {}
        self._weights = [weight for weight in site.module.parameters() if weight.requires_grad]

    @property
    def joules(self) -> dict[str, float]:
        """Joules of all calls of the kind in one call of the work, by counter: of the median round.

        Those that were kept stand for the others.
        """
        scale = self.kind.calls / len(self._calls) * MICROJOULES
        names = self.energy_uj[0]
        return {name: median(r[name] for r in self.energy_uj) * scale for name in names}

    @property
    def most(self) -> int:
        """How often the kept calls may be replayed in one window."""
        if not self.owns_inputs:
            return MOST_REPLAYS
        tensors = (t for c in self._calls for t in tensors_of(self._torch, (c.args, c.kwargs)))
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return max(1, min(MOST_REPLAYS, int(OWNED_BYTES // max(size, 1))))

    def window(self, trip: Trip) -> None:
        """Replay the kept calls so often in one window of a pass."""
        ready = [self._ready(call) for call in self._calls * self.iterations]
        with _in_modes(self._torch, self.kind.modes), trip.window(self.site.name):
            for each in ready:
                self._again(each)

    def see_whether_it_writes(self, trip: Trip) -> None:
        """Replay the kept calls once, on copies: who leaves them as they are needs no more."""
        self.window(trip)
        with _in_modes(self._torch, self.kind.modes):
            ready = [self._ready(call) for call in self._calls]
            given = [t for each in ready for t in tensors_of(self._torch, each[1:3])]
            before = [_written(tensor) for tensor in given]
            for each in ready:
                self._again(each)
            self.owns_inputs = any(
                not self._torch.equal(now, then) if kind == "values" else now != then
                for (kind, now), (_, then) in zip(map(_written, given), before, strict=True)
            )

    def _ready(self, call: Call) -> _Ready:
        """The inputs of a call, fresh: what it does to them is no other call's concern."""
        leaves: list[Any] = []

        def given(tensor: Any) -> Any:
            if not (self.kind.modes.grad and tensor.requires_grad):
                return tensor.clone() if self.owns_inputs else tensor
            leaf = tensor if isinstance(tensor, self._torch.nn.Parameter) else tensor.detach()
            leaves.append(leaf.requires_grad_())
            return leaf.clone() if self.owns_inputs else leaf

        args, kwargs = copied(self._torch, (call.args, call.kwargs), given)
        return _Ready(call, args, kwargs, leaves)

    def _again(self, ready: _Ready) -> None:
        """Forward, and backward where the work went so, leaving no gradient behind."""
        torch, reached = self._torch, ready.call.backward
        value = self.site.module(*ready.args, **ready.kwargs)
        if not reached:
            return
        outputs = [t for place, t in enumerate(tensors_of(torch, value)) if place in reached]
        if id(ready.call) not in self._gradients:
            self._gradients[id(ready.call)] = [torch.ones_like(output) for output in outputs]
        torch.autograd.grad(
            outputs,
            [*ready.leaves, *self._weights],
            self._gradients[id(ready.call)],
            allow_unused=True,
        )


@contextmanager
def _in_modes(torch: Any, modes: Modes) -> Iterator[None]:
    """The modes of torch in which the work made a call."""
    with ExitStack() as entered:
        entered.enter_context(torch.inference_mode(modes.inference))
        if not modes.inference:
            entered.enter_context(torch.set_grad_enabled(modes.grad))
        for device, dtype in modes.autocast:
            entered.enter_context(torch.autocast(device, dtype))
        yield


def _written(tensor: Any) -> tuple[str, Any]:
    """What tells whether a tensor was written on: its version, or its values where it has none."""
    if tensor.is_inference():
        return "values", tensor.clone()
    return "version", tensor._version
