"""Explanations of captured work: the joules of its layers, from replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as with_changes
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.module_tree import CalledModule, find_cuts
from pytest_greenops.insight.layers.replay import ReplayPlan, measure_modules
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.explanation import (
    ADDITIVITY,
    Explanation,
    Layer,
    LayerJoules,
    among_its_kind,
    for_as_much,
)
from pytest_greenops.system import SYSTEM


class Judged(NamedTuple):
    """A measurement that is explained.

    joules    of one call
    counters  the energy counters of the domain judged
    unit      the unit of work that is judged
    accepted  the layers of those baseline sessions that have any
    """

    joules: float
    counters: Sequence[str]
    unit: str = "call"
    accepted: Sequence[LayerJoules] = ()


def explain(
    capture: Capture, judged: Mapping[str, Judged], plan: ReplayPlan
) -> dict[str, Explanation]:
    """Return an explanation of each window of the captured work, by its name.

    The windows share the time limit of the plan equally.
    """
    outer = [name for name in capture.windows if name not in capture.within]
    loop_j = sum(judged[name].joules for name in outer)
    if capture.windows:
        plan = with_changes(plan, max_time_s=plan.max_time_s / len(capture.windows))
    explanations = {}
    for name, roots in capture.windows.items():
        explanation = Explanation(why=capture.why or "no torch module is called in it")
        if roots and not capture.why:
            explanation = _by_layer(roots, judged[name], capture.units, plan)
        has_share = len(outer) > 1 and name in outer and loop_j > 0
        share = judged[name].joules / loop_j if has_share else None
        explanations[name] = replace(explanation, share=share, within=capture.within.get(name))
    return explanations


def _by_layer(
    roots: Sequence[CalledModule], judged: Judged, units: Mapping[str, float], plan: ReplayPlan
) -> Explanation:
    """Return the layers of one window, or why there are none: a failure here fails no test."""
    candidates = find_cuts(roots)
    nodes = list({id(node): node for parts in candidates for node in parts}.values())
    try:
        joules = measure_modules(SYSTEM.modules["torch"], roots, nodes, plan)
    except GreenopsError as error:
        return Explanation(why=str(error))

    def summed(node: CalledModule) -> float:
        return sum(joules[id(node)].get(name, 0.0) for name in judged.counters)

    whole_j = sum(map(summed, roots))
    if not whole_j:
        counters = " and ".join(judged.counters) or "no counter"
        return Explanation(why=f"{counters} did not advance during the replays")
    layers = [
        Layer(
            p.name, p.class_name, p.calls, summed(p), p.shapes, _baseline_j(p.name, judged, units)
        )
        for p in _finest_additive(candidates, summed, whole_j)
    ]
    return Explanation(
        among_its_kind(layers),
        whole_j,
        call_j=judged.joules,
        by_layer={node.name: dict(joules[id(node)]) for node in nodes},
        units=dict(units),
        backward=any(root.backward for root in roots),
    )


def _finest_additive(
    candidates: Sequence[Sequence[CalledModule]],
    summed: Callable[[CalledModule], float],
    whole_j: float,
) -> Sequence[CalledModule]:
    """Return the finest cut whose parts add up to the whole, else the one with the least error."""
    errors = [abs(sum(map(summed, parts)) / whole_j - 1) for parts in candidates]
    additive = [p for p, error in zip(candidates, errors, strict=True) if error <= ADDITIVITY]
    return additive[0] if additive else candidates[errors.index(min(errors))]


def _baseline_j(name: str, judged: Judged, units: Mapping[str, float]) -> float | None:
    """Return the mean over the accepted sessions that have the layer by all counters judged."""
    known = []
    for session in judged.accepted:
        by_counter = session.by_layer.get(name, {})
        times = for_as_much(session, units, judged.unit)
        if times is not None and set(judged.counters) <= by_counter.keys():
            known.append(times * sum(by_counter[counter] for counter in judged.counters))
    return sum(known) / len(known) if known else None
