"""Where the joules of captured work go, by layer: replays in, explanations out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence

from pytest_greenops.insight.capture import Capture, Site
from pytest_greenops.insight.parts import cut
from pytest_greenops.insight.replay import measure
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.explanation import Explanation, Layer, among_its_kind
from pytest_greenops.sensors.instruments import Instruments

#: Joules by layer and energy counter, of one accepted session.
Layers = Mapping[str, Mapping[str, float]]


def explain(
    capture: Capture,
    instruments: Instruments,
    synchronize: Callable[[], None],
    judged: Mapping[str, Collection[str]],
    accepted: Mapping[str, Sequence[Layers]],
    *,
    max_time_s: float,
    progress: Callable[[int, int], None],
) -> dict[str, Explanation]:
    """What there is to say by layer of each window that the captured work opened.

    judged    the energy counters of the domain judged, by the name of the window
    accepted  the layers of its baseline's sessions that know any, likewise
    """
    told = {}
    for window, roots in capture.windows.items():
        torch = sys.modules.get("torch")
        if torch is None or not roots:
            told[window] = Explanation(why=capture.why or "no torch module is called in it")
            continue
        parts = cut(roots)
        try:
            joules = measure(
                torch,
                roots,
                parts,
                instruments,
                synchronize,
                max_time_s=max_time_s / len(capture.windows),
                progress=progress,
            )
        except GreenopsError as error:
            told[window] = Explanation(why=str(error))
            continue
        told[window] = _told(roots, parts, joules, judged[window], accepted.get(window, ()))
    return told


def _told(
    roots: Sequence[Site],
    parts: Sequence[Site],
    joules: Mapping[int, Mapping[str, float]],
    judged: Collection[str],
    accepted: Sequence[Layers],
) -> Explanation:
    def summed(site: Site) -> float:
        return sum(joules[id(site)].get(name, 0.0) for name in judged)

    layers = [
        Layer(
            name=part.name,
            kind=part.kind,
            calls=part.calls,
            joules=summed(part),
            shapes=part.shapes,
            by_domain=dict(joules[id(part)]),
            baseline_j=_accepted(part.name, judged, accepted),
        )
        for part in parts
    ]
    whole_j = sum(map(summed, roots))
    if not whole_j:
        return Explanation(why=f"{' and '.join(judged)} did not move while they were replayed")
    backward = any(call.backward for root in roots for call in root.kept)
    return Explanation(among_its_kind(layers), whole_j, backward=backward)


def _accepted(name: str, judged: Collection[str], accepted: Sequence[Layers]) -> float | None:
    """The mean over the accepted sessions that know the layer by all counters judged."""
    known = [
        sum(layers[name][counter] for counter in judged)
        for layers in accepted
        if set(judged) <= layers.get(name, {}).keys()
    ]
    return sum(known) / len(known) if known else None
