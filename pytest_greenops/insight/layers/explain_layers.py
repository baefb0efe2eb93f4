"""Where the joules of captured work go, by layer: replays in, explanations out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.parts import cuts
from pytest_greenops.insight.layers.sites import Site
from pytest_greenops.insight.layers.turns import measure
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.explanation import (
    ADDITIVITY,
    Explanation,
    Layer,
    LayerJoules,
    among_its_kind,
    for_as_much,
)
from pytest_greenops.sensors.instruments import Instruments


class Judged(NamedTuple):
    """What is known of a measurement that is explained.

    joules    of one call
    counters  the energy counters of the domain judged
    unit      the unit of work that is judged
    accepted  the layers of its baseline's sessions that know any
    """

    joules: float
    counters: Sequence[str]
    unit: str = "call"
    accepted: Sequence[LayerJoules] = ()


def explain(
    capture: Capture,
    instruments: Instruments,
    synchronize: Callable[[], None],
    judged: Mapping[str, Judged],
    *,
    max_time_s: float,
    progress: Callable[[int, int], None],
) -> dict[str, Explanation]:
    """What there is to say of each window that the captured work opened, by its name."""
    outer = [name for name in capture.windows if name not in capture.within]
    loop_j = sum(judged[name].joules for name in outer)
    told = {}
    for name, roots in capture.windows.items():
        explanation = Explanation(why=capture.why or "no torch module is called in it")
        if roots and not capture.why:
            explanation = _by_layer(
                capture,
                roots,
                judged[name],
                instruments,
                synchronize,
                max_time_s / len(capture.windows),
                progress,
            )
        several = len(outer) > 1 and name in outer and loop_j > 0
        share = judged[name].joules / loop_j if several else None
        told[name] = replace(explanation, share=share, within=capture.within.get(name))
    return told


def _by_layer(
    capture: Capture,
    roots: Sequence[Site],
    judged: Judged,
    instruments: Instruments,
    synchronize: Callable[[], None],
    max_time_s: float,
    progress: Callable[[int, int], None],
) -> Explanation:
    """The layers of one window, or why there are none: nothing of it fails a test."""
    tried = cuts(roots)
    sites = list({id(site): site for parts in tried for site in parts}.values())
    try:
        joules = measure(
            sys.modules["torch"],
            roots,
            sites,
            instruments,
            synchronize,
            max_time_s=max_time_s,
            progress=progress,
        )
    except GreenopsError as error:
        return Explanation(why=str(error))

    def summed(site: Site) -> float:
        return sum(joules[id(site)].get(name, 0.0) for name in judged.counters)

    whole_j = sum(map(summed, roots))
    if not whole_j:
        counters = " and ".join(judged.counters) or "no counter"
        return Explanation(why=f"{counters} did not move while they were replayed")
    parts = _adding_up(tried, summed, whole_j)
    layers = [
        Layer(
            name=part.name,
            kind=part.kind,
            calls=part.calls,
            joules=summed(part),
            shapes=part.shapes,
            baseline_j=_accepted(part.name, judged, capture.units),
        )
        for part in parts
    ]
    return Explanation(
        among_its_kind(layers),
        whole_j,
        call_j=judged.joules,
        by_layer={site.name: dict(joules[id(site)]) for site in sites},
        units=dict(capture.units),
        backward=any(root.backward for root in roots),
    )


def _adding_up(
    tried: Sequence[Sequence[Site]], summed: Callable[[Site], float], whole_j: float
) -> Sequence[Site]:
    """The finest cut whose parts make the whole, else the one that misses it least."""
    missed = [abs(sum(map(summed, parts)) / whole_j - 1) for parts in tried]
    good = [parts for parts, miss in zip(tried, missed, strict=True) if miss <= ADDITIVITY]
    return good[0] if good else tried[missed.index(min(missed))]


def _accepted(name: str, judged: Judged, units: Mapping[str, float]) -> float | None:
    """The mean over the accepted sessions that know the layer by all counters judged."""
    known = []
    for session in judged.accepted:
        by_counter = session.by_layer.get(name, {})
        times = for_as_much(session, units, judged.unit)
        if times is not None and set(judged.counters) <= by_counter.keys():
            known.append(times * sum(by_counter[counter] for counter in judged.counters))
    return sum(known) / len(known) if known else None
