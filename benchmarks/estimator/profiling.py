"""Joules of a network and of each of its layers, replayed alone: what the estimator learns from."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.estimator.estimate import LayerProfile, LayerShape, NetworkProfile
from benchmarks.estimator.layer_shapes import LayerCall, layer_calls
from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.sites import Site
from pytest_greenops.insight.layers.turns import measure
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments

if TYPE_CHECKING:
    from torch import nn


def profile_network(
    name: str,
    model: nn.Module,
    *inputs: Any,
    work: Callable[[], object] | None = None,
    instruments: Instruments | None = None,
    only_whole: bool = False,
) -> tuple[list[LayerProfile], NetworkProfile]:
    """Measure a network and its layers, those of one shape once, in turns, by replaying them.

    work         calls the model with these inputs, once, and goes backward if it trains; inference
                 in the model's present mode by default
    instruments  the sensors of a run; by default all that this machine has
    only_whole   measure no layer

    What is computed outside of layers is in the whole alone; devices that rest are in neither.
    Raises `GreenopsError` for work that calls the model otherwise, and for what cannot be listed or
    replayed.
    """
    import torch

    def infer() -> None:
        with torch.inference_mode():
            model(*inputs)

    calls = layer_calls(model, *inputs)
    capture = Capture(synchronize)
    with capture.window(name):
        (work or infer)()
    roots = capture.windows[name]
    if [(root.module, root.calls) for root in roots] != [(model, 1)]:
        raise GreenopsError(f"profile of {name}: the work has to call the network once, as a whole")
    sites = {id(site.module): site for site in _sites(roots)}
    parts = {} if only_whole else _distinct(calls, dict(model.named_modules()), sites)
    with ExitStack() as opened:
        sensors = instruments or discover(("auto",))[0]
        if instruments is None:
            opened.callback(sensors.close)
        found = measure(torch, roots, list(parts.values()), sensors, synchronize)
        resting = sensors.resting()
    used = [d.name for d in sensors.domains if d.counted and d.name not in resting]

    def joules(site: Site) -> float:
        return math.fsum(found[id(site)][domain] for domain in used) / site.calls

    number = Counter(call.shape for call in calls if call.name is not None)
    estimated = any(domain in sensors.estimated for domain in used)
    layers = [
        LayerProfile(shape, joules(site), name, number[shape], estimated)
        for shape, site in parts.items()
        if joules(site) > 0  # what no counter saw is not known to cost nothing
    ]
    return layers, NetworkProfile(name, joules(roots[0]), tuple(call.shape for call in calls))


def _distinct(
    calls: Sequence[LayerCall], modules: Mapping[str, nn.Module], sites: Mapping[int, Site]
) -> dict[LayerShape, Site]:
    """One layer of each shape: none that is called in several, for its joules are of them all."""
    shapes: dict[str, set[LayerShape]] = defaultdict(set)
    for call in calls:
        if call.name is not None:
            shapes[call.name].add(call.shape)
    found: dict[LayerShape, Site] = {}
    for name, (shape, *others) in shapes.items():
        if not others:
            found.setdefault(shape, sites[id(modules[name])])
    return found


def _sites(roots: Sequence[Site]) -> Iterator[Site]:
    for root in roots:
        yield root
        yield from _sites(list(root.children.values()))
