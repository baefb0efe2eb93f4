"""What watching NVIDIA cards for a moment shows: how often they count, and whether rightly.

It is done once, when the sensor is opened and the cards most likely rest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import pairwise

from pytest_greenops.sensors.nvidia.gauge import USUAL_PERIOD_S, CountingGauge
from pytest_greenops.sensors.ticks import PowerSample, Tick

#: For how long the counters are watched for ticks, and how many of each are enough.
WATCH_S = 1.0
TICKS = 5
#: A counter that differs from its card's integrated power by more than this is labelled.
DISAGREEMENT = 0.1
#: A card that draws less may have next to nothing to count.
LEAST_W = 1.0
#: No shorter time than this tells whether the two agree.
AGREEMENT_S = 0.3

_PAUSE_S = 0.0005


def watch(gauges: Sequence[CountingGauge]) -> tuple[list[str], dict[str, str]]:
    """Measure the tick of each card, and set it; words on it, and what contradicts a counter.

    For up to a second, and once more where a counter seems to contradict the power of its card,
    which may still have been settling, or to stand still.
    """
    if not gauges:
        return [], {}
    _look_at(gauges)
    if any(_contradiction(gauge) or stands_still(gauge) for gauge in gauges):
        _look_at(gauges)
    gauges = [gauge for gauge in gauges if not stands_still(gauge)]
    words, unseen = ["NVML total energy counter"], []
    for gauge in gauges:
        spans_s = [(later.time_ns - tick.time_ns) * 1e-9 for tick, later in pairwise(gauge.ticks)]
        if spans_s:
            gauge.period_s = statistics.median(spans_s)
        else:
            # One tick in all that time: they are further apart than half of it.
            gauge.period_s = WATCH_S if gauge.ticks else USUAL_PERIOD_S
            unseen.append(gauge)
    if len(unseen) < len(gauges):
        seen_s = max(gauge.period_s for gauge in gauges if gauge not in unseen)
        words.append(f"ticks every {seen_s * 1000:.0f} ms")
    if unseen:
        names = ", ".join(gauge.domain.name for gauge in unseen)
        assumed_ms = max(gauge.period_s for gauge in unseen) * 1000
        words.append(f"no tick of {names} seen in {WATCH_S:.0f} s, {assumed_ms:.0f} ms assumed")
    return words, {g.domain.name: why for g in gauges if (why := _contradiction(g))}


def stands_still(gauge: CountingGauge) -> bool:
    """Whether a counter did not move while it was watched, although its card drew power."""
    watts = [sample.watts for sample in gauge.samples]
    return not gauge.ticks and min(watts, default=0.0) > LEAST_W


def _look_at(gauges: Sequence[CountingGauge]) -> None:
    """Look at the cards until enough is known of each, or for as long as a watch lasts."""
    for gauge in gauges:
        gauge.await_tick()
    until_s = time.monotonic() + WATCH_S
    while time.monotonic() < until_s and not all(_enough(gauge.ticks) for gauge in gauges):
        time.sleep(_PAUSE_S)
        for gauge in gauges:
            gauge.look()


def _enough(ticks: Sequence[Tick]) -> bool:
    return len(ticks) >= TICKS and ticks[-1].time_ns - ticks[0].time_ns >= AGREEMENT_S * 1e9


def _contradiction(gauge: CountingGauge) -> str | None:
    """By how much the counter differs from the power of its card, where that is too much."""
    excess = _excess(gauge.ticks, gauge.samples)
    if excess is None or abs(excess) <= DISAGREEMENT:
        return None
    more = "more" if excess > 0 else "less"
    return f"{gauge.domain.name} counts {abs(excess) * 100:.0f} % {more} than its integrated power"


def _excess(ticks: Sequence[Tick], samples: Sequence[PowerSample]) -> float | None:
    """By which share a counter exceeds power, integrated from its first to its last tick."""
    if len(ticks) < 2 or ticks[-1].time_ns - ticks[0].time_ns < AGREEMENT_S * 1e9:
        return None
    watts = [s.watts for s in samples if ticks[0].time_ns <= s.time_ns <= ticks[-1].time_ns]
    seconds = (ticks[-1].time_ns - ticks[0].time_ns) * 1e-9
    integrated_uj = statistics.fmean(watts) * seconds * 1e6 if watts else 0.0
    return (ticks[-1].count_uj - ticks[0].count_uj) / integrated_uj - 1 if integrated_uj else None
