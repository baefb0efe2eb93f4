"""Replays of captured module calls, measured in turns, in windows long enough for the counters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from pytest_greenops.insight.layers.module_tree import CalledModule, CallGroup, KeptCall, TorchModes
from pytest_greenops.insight.layers.tensor_copies import (
    copy_nested,
    find_tensors,
    restored_afterwards,
)
from pytest_greenops.measure.self_checks import edge_error
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import MICROJOULES, Round
from pytest_greenops.sensors.clock import SYSTEM_CLOCK
from pytest_greenops.sensors.instruments import Instruments

#: Rounds of all modules in turns, so that changes of the machine affect all modules alike.
ROUNDS = 5
#: Shortest window, and the largest share of it by which its edges may be uncertain.
WINDOW_S, EDGES = 0.03, 0.05
#: Largest factor by which one step of the calibration increases the number of replays.
GROWTH = 100
#: Replays of the kept calls in one window. What is still too short then, for example a dropout
#: that is switched off, uses next to nothing.
MAX_REPLAYS = 5_000
#: Memory for the inputs of a module that writes to them, which are copied for every replay.
INPUT_COPIES_BYTES = 2**28


@dataclass(frozen=True)
class ReplayPlan:
    """What replays are measured with, and how long they may take.

    progress  called with the rounds done and the rounds planned
    """

    instruments: Instruments
    synchronize: Callable[[], None]
    max_time_s: float = math.inf
    max_replays: int = MAX_REPLAYS
    progress: Callable[[int, int], None] = lambda done, planned: None


class OutOfTime(GreenopsError):
    """The replays took longer than their limit."""

    def __init__(self) -> None:
        super().__init__("its replays exceed the time limit: increase --energy-max-time")


def measure_modules(
    torch: Any, roots: Sequence[CalledModule], parts: Sequence[CalledModule], plan: ReplayPlan
) -> Mapping[int, dict[str, float]]:
    """Return the joules of all calls of each module, by `id` of its tree node and by counter.

    roots  whole models: replayed before and after their parts in each round, since everything is
           compared with them

    Raises `GreenopsError` where a module cannot be replayed, a counter fails, or time runs out
    before the first round is done.
    """
    inner = [part for part in parts if all(part is not root for root in roots)]
    whole = list(_replays(torch, roots, plan))
    replays = [*whole, *_replays(torch, inner, plan)]
    replayer = Replayer(roots, plan)
    with restored_afterwards(torch, [root.module for root in roots]):
        for replay in replays:
            replayer.calibrate(replay)
        for number in range(1, ROUNDS + 1):
            try:
                for replay in (*replays, *whole):
                    replayer.measure_round(replay)
            except OutOfTime:
                if number == 1:
                    raise
                break
            plan.progress(number, ROUNDS)
    joules: dict[int, dict[str, float]] = {}
    for replay in replays:
        summed = joules.setdefault(id(replay.node), {})
        for name, value in replay.joules.items():
            summed[name] = summed.get(name, 0.0) + value
    return joules


def _replays(torch: Any, nodes: Sequence[CalledModule], plan: ReplayPlan) -> Iterator[Replay]:
    for node in nodes:
        for group in node.groups.values():
            yield Replay(torch, node, group, plan.max_replays)


class Replayer:
    """Measures replays in windows, before each of which the models are restored."""

    def __init__(self, roots: Sequence[CalledModule], plan: ReplayPlan) -> None:
        self._roots = roots
        self._instruments = plan.instruments
        self._synchronize = plan.synchronize
        self._deadline_s = SYSTEM_CLOCK.now_ns() * 1e-9 + plan.max_time_s

    def calibrate(self, replay: Replay) -> None:
        """Warm up, and increase the replays of a window until it is long enough."""
        self._window(replay, replay.detect_writes)
        while True:
            round_ = self._window(replay, replay.run_window)
            short = WINDOW_S / max(round_.seconds, 1e-9)
            short = max(short, edge_error(round_, self._instruments.domains) / EDGES)
            if short <= 1 or replay.iterations >= replay.max_iterations:
                return
            needed = math.ceil(replay.iterations * min(max(short * 1.2, 1.5), GROWTH))
            replay.iterations = min(needed, replay.max_iterations)

    def measure_round(self, replay: Replay) -> None:
        """Measure one window of a calibrated replay."""
        round_ = self._window(replay, replay.run_window)
        counted = round_.energy_uj.items()
        replay.energy_uj.append({name: uj / round_.iterations for name, uj in counted})

    def _restore_models(self) -> None:
        """Restore the state in which the models were captured."""
        for root in self._roots:
            if root.state is None:
                continue
            if root.state.weights_changed:
                raise GreenopsError(
                    "the test replaced the weights of its model after the measurement: "
                    "use a copy of the model for that"
                )
            root.state.restore()

    def _window(self, replay: Replay, work: Callable[[Trip], None]) -> Round:
        if SYSTEM_CLOCK.now_ns() * 1e-9 > self._deadline_s:
            raise OutOfTime
        self._restore_models()
        trip = Trip(self._instruments, self._synchronize, replay.iterations)
        name = replay.node.name
        with self._instruments.watching(None):
            try:
                work(trip)
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                message = f"{name} cannot be called again by itself ({reason})"
                raise GreenopsError(message) from error
        if trip.missing:
            raise GreenopsError(next(iter(trip.missing.values())))
        return trip.rounds()[name]


class _PreparedCall(NamedTuple):
    """A call with fresh inputs; `leaves` are those inputs that need a gradient."""

    kept: KeptCall
    args: Any
    kwargs: Any
    leaves: list[Any]


class Replay:
    """Replays the kept calls of one group of one module, with their backward passes.

    owns_inputs  whether each replay gets copies of its tensors, because the module writes to them;
                 True until `detect_writes` has run
    """

    def __init__(
        self, torch: Any, node: CalledModule, group: CallGroup, max_replays: int = MAX_REPLAYS
    ) -> None:
        self.node = node
        self.group = group
        self.iterations = 1
        self.owns_inputs = True
        self.energy_uj: list[dict[str, float]] = []
        self._torch = torch
        self._max_replays = max_replays
        self._calls = list(group.kept.values())
        self._gradients: dict[int, list[Any]] = {}
        self._weights = [weight for weight in node.module.parameters() if weight.requires_grad]

    @property
    def joules(self) -> dict[str, float]:
        """Return the joules of all calls of the group in one call of the work: the median round."""
        scale = self.group.calls / len(self._calls) * MICROJOULES
        names = self.energy_uj[0]
        return {name: median(r[name] for r in self.energy_uj) * scale for name in names}

    @property
    def max_iterations(self) -> int:
        """Return how often the kept calls may be replayed in one window."""
        if not self.owns_inputs:
            return self._max_replays
        tensors = (t for c in self._calls for t in find_tensors(self._torch, (c.args, c.kwargs)))
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return max(1, min(self._max_replays, int(INPUT_COPIES_BYTES // max(size, 1))))

    def run_window(self, trip: Trip) -> None:
        """Replay the kept calls `iterations` times in one window."""
        prepared = [self._prepare(call) for call in self._calls * self.iterations]
        with _in_modes(self._torch, self.group.modes), trip.window(self.node.name):
            for call in prepared:
                self._replay(call)

    def detect_writes(self, trip: Trip) -> None:
        """Replay the kept calls twice, and check whether the module writes to its inputs."""
        self.run_window(trip)
        with _in_modes(self._torch, self.group.modes):
            prepared = [self._prepare(call) for call in self._calls]
            inputs = [t for c in prepared for t in find_tensors(self._torch, (c.args, c.kwargs))]
            before = [_content(tensor) for tensor in inputs]
            for call in prepared:
                self._replay(call)
            self.owns_inputs = any(
                not self._torch.equal(now, then) if kind == "values" else now != then
                for (kind, now), (_, then) in zip(map(_content, inputs), before, strict=True)
            )

    def _prepare(self, call: KeptCall) -> _PreparedCall:
        leaves: list[Any] = []

        def fresh(tensor: Any) -> Any:
            if not (self.group.modes.grad and tensor.requires_grad):
                return tensor.clone() if self.owns_inputs else tensor
            leaf = tensor if isinstance(tensor, self._torch.nn.Parameter) else tensor.detach()
            leaves.append(leaf.requires_grad_())
            return leaf.clone() if self.owns_inputs else leaf

        args, kwargs = copy_nested(self._torch, (call.args, call.kwargs), fresh)
        return _PreparedCall(call, args, kwargs, leaves)

    def _replay(self, call: _PreparedCall) -> None:
        """Run forward, and backward where the work did, leaving no gradient behind."""
        torch, reached = self._torch, call.kept.backward
        value = self.node.module(*call.args, **call.kwargs)
        if not reached:
            return
        outputs = [t for index, t in enumerate(find_tensors(torch, value)) if index in reached]
        if id(call.kept) not in self._gradients:
            self._gradients[id(call.kept)] = [torch.ones_like(output) for output in outputs]
        inputs, gradients = [*call.leaves, *self._weights], self._gradients[id(call.kept)]
        torch.autograd.grad(outputs, inputs, gradients, allow_unused=True)


@contextmanager
def _in_modes(torch: Any, modes: TorchModes) -> Iterator[None]:
    with ExitStack() as entered:
        entered.enter_context(torch.inference_mode(modes.inference))
        if not modes.inference:
            entered.enter_context(torch.set_grad_enabled(modes.grad))
        for device, dtype in modes.autocast:
            entered.enter_context(torch.autocast(device, dtype))
        yield


def _content(tensor: Any) -> tuple[str, Any]:
    """Return the version of a tensor, or its values where it has no version."""
    if tensor.is_inference():
        return "values", tensor.clone()
    return "version", tensor._version
