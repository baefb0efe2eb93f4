"""Captured inputs, replayed: each module by itself, as often as a window of the counters needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import groupby
from statistics import median
from typing import Any, NamedTuple

from pytest_greenops.insight.capture import Call, Modes, Site
from pytest_greenops.insight.tensors import copied, tensors_of
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import MICROJOULES, Round
from pytest_greenops.passes import Pass
from pytest_greenops.selfchecks import edge_error
from pytest_greenops.sensors.instruments import Instruments

#: Every module is replayed in so many rounds, in turns with the others: what the machine does
#: meanwhile then moves all of them alike.
ROUNDS = 5
#: A window is at least so long, and so long that its edges are known to this share of it.
WINDOW_S, EDGES = 0.03, 0.05
#: How much one step of the calibration may grow the number of replays, and how many there are at
#: the most: what is still too short then, such as a dropout that is off, uses next to nothing.
GROWTH, MOST_REPLAYS = 100, 5_000


class _Ready(NamedTuple):
    """A call that can be made: its inputs, and those of them that a gradient is for."""

    call: Call
    args: Any
    kwargs: Any
    leaves: list[Any]


class Replay:
    """Calls one module again with what the work called it with.

    owns_inputs  whether each call gets tensors of its own: for a module that writes on them
    """

    def __init__(self, torch: Any, site: Site) -> None:
        self.site = site
        self.iterations = 1
        self.owns_inputs = False
        self.energy_uj: list[dict[str, float]] = []
        self._torch = torch
        self._gradients: dict[int, list[Any]] = {}
        weights = site.module.parameters()
        self._weights = [weight for weight in weights if weight.requires_grad]

    @property
    def joules(self) -> dict[str, float]:
        """Joules of all calls that one call of the work makes, by energy counter.

        The median of the rounds; a module of whose calls some were kept counts all of them.
        """
        calls = self.site.calls / len(self.site.kept) * MICROJOULES
        names = self.energy_uj[0]
        return {name: median(r[name] for r in self.energy_uj) * calls for name in names}

    def window(self, trip: Pass) -> None:
        """Replay the kept calls so often in one window of a pass."""
        ready = [self._ready(call) for call in self.site.kept * self.iterations]
        alike = [(modes, list(group)) for modes, group in groupby(ready, lambda r: r.call.modes)]
        with ExitStack() as entered:
            if len(alike) == 1:  # to enter them takes as long as a small layer does
                entered.enter_context(_in_modes(self._torch, alike[0][0]))
            with trip.window(self.site.name):
                for modes, group in alike:
                    single = len(alike) == 1
                    with nullcontext() if single else _in_modes(self._torch, modes):
                        for each in group:
                            self._again(each)

    def _ready(self, call: Call) -> _Ready:
        """The inputs of a call, fresh: what it does to them is no other call's concern."""
        leaves: list[Any] = []

        def given(tensor: Any) -> Any:
            if not (call.modes.grad and tensor.requires_grad):
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


def measure(
    torch: Any,
    roots: Sequence[Site],
    parts: Sequence[Site],
    instruments: Instruments,
    synchronize: Callable[[], None],
    *,
    max_time_s: float = math.inf,
    progress: Callable[[int, int], None] = lambda done, most: None,
) -> Mapping[int, dict[str, float]]:
    """Joules of the calls of each module, by the `id` of its site and by energy counter.

    roots  the models as a whole: replayed before and after their parts in each round, for all
           else is held against them

    Raises `GreenopsError` where a module cannot be replayed, and where a counter fails.
    """
    whole = [Replay(torch, site) for site in roots]
    inner = [Replay(torch, site) for site in parts if all(site is not root for root in roots)]
    replays = [*whole, *inner]
    deadline_s = time.monotonic() + max_time_s
    with _undisturbed(torch, roots):
        for replay in replays:
            _calibrate(replay, instruments, synchronize)
        for number in range(1, ROUNDS + 1):
            for replay in (*replays, *whole):
                round_ = _round(replay, instruments, synchronize)
                counted = round_.energy_uj.items()
                replay.energy_uj.append({name: uj / round_.iterations for name, uj in counted})
            progress(number, ROUNDS)
            if time.monotonic() > deadline_s:
                break
    return {id(replay.site): replay.joules for replay in replays}


def _calibrate(replay: Replay, instruments: Instruments, synchronize: Callable[[], None]) -> None:
    """Grow the replays of a window until it is long enough for the counters; warms up meanwhile."""
    _round(replay, instruments, synchronize)
    while True:
        round_ = _round(replay, instruments, synchronize)
        short = WINDOW_S / max(round_.seconds, 1e-9)
        short = max(short, edge_error(round_, instruments.domains) / EDGES)
        if short <= 1 or replay.iterations >= MOST_REPLAYS:
            return
        wanted = math.ceil(replay.iterations * min(max(short * 1.2, 1.5), GROWTH))
        replay.iterations = min(wanted, MOST_REPLAYS)


def _round(replay: Replay, instruments: Instruments, synchronize: Callable[[], None]) -> Round:
    trip = Pass(instruments, synchronize, replay.iterations)
    name = replay.site.name
    with instruments.watching(None):
        try:
            replay.window(trip)
        except Exception as error:
            if not replay.owns_inputs:
                replay.owns_inputs = True
                return _round(replay, instruments, synchronize)
            said = " ".join(str(error).split()) or type(error).__name__
            raise GreenopsError(f"{name} cannot be called again by itself ({said})") from error
    if trip.missing:
        raise GreenopsError(next(iter(trip.missing.values())))
    return trip.rounds()[name]


@contextmanager
def _undisturbed(torch: Any, sites: Sequence[Site]) -> Iterator[None]:
    """Leave buffers, such as the statistics of a batch normalisation, and random numbers alone."""
    buffers = {id(b): b for site in sites for b in site.module.buffers()}.values()
    kept = [buffer.detach().clone() for buffer in buffers]
    cards = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=list(cards)):
            yield
    finally:
        for buffer, before in zip(buffers, kept, strict=True):
            with torch.inference_mode(buffer.is_inference()), torch.no_grad():
                buffer.copy_(before)
