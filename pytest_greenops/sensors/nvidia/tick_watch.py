"""What watching the counters of NVIDIA cards shows: how often they tick, and whether they agree.

They are watched once, when the sensor is opened and the cards are most likely idle.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.model.units import format_percent
from pytest_greenops.sensors.clock import Clock, poll
from pytest_greenops.sensors.nvidia.ticking_counter import TickingCounter, Watch
from pytest_greenops.sensors.ticks import POLL_S, WATCH_S, period_s

#: How many ticks are enough.
TICKS = 5
#: A counter that differs from the integrated power of its card by more than this is labelled.
DISAGREEMENT = 0.1
#: A card that draws less may have almost nothing to count.
LEAST_W = 1.0
#: No shorter time shows whether the two agree.
AGREEMENT_S = 0.3


class Watched(NamedTuple):
    """What watching showed: the counters that move and, for each of the others, its power.

    method  how often the counters tick, in words
    doubts  by how much a counter disagrees with the power of its card, by domain name
    """

    moving: list[TickingCounter]
    stuck_w: Mapping[str, float]
    method: list[str]
    doubts: dict[str, str]


def watch_ticks(counters: Sequence[TickingCounter], clock: Clock) -> Watched:
    """Watch counters for up to a second, and set the period of each.

    If a counter seems to be stuck or to disagree with the power of its card, all are watched once
    more: the card may still have been settling.
    """
    watches = _watch(counters, clock)
    if any(_is_stuck(watch) or _disagreement(watch) for watch in watches):
        watches = _watch(counters, clock)
    stuck_w = {w.counter.domain.name: w.samples[-1].watts for w in watches if _is_stuck(w)}
    watches = [watch for watch in watches if not _is_stuck(watch)]
    for watch in watches:
        watch.counter.period_s = period_s(watch.ticks)
    doubts = {w.counter.domain.name: why for w in watches if (why := _disagreement(w))}
    moving = [watch.counter for watch in watches]
    return Watched(moving, stuck_w, _method(watches) if counters else [], doubts)


def _watch(counters: Sequence[TickingCounter], clock: Clock) -> list[Watch]:
    watches = list(map(Watch, counters))

    def look() -> None:
        for watch in watches:
            watch.look()

    poll(look, lambda: all(map(_is_enough, watches)), clock, WATCH_S, POLL_S)
    return watches


def _is_enough(watch: Watch) -> bool:
    ticks = watch.ticks
    return len(ticks) >= TICKS and ticks[-1].time_ns - ticks[0].time_ns >= AGREEMENT_S * 1e9


def _is_stuck(watch: Watch) -> bool:
    """Return whether a counter did not move although its card drew power."""
    watts = [sample.watts for sample in watch.samples]
    return not watch.ticks and min(watts, default=0.0) > LEAST_W


def _method(watches: Sequence[Watch]) -> list[str]:
    seen = [watch.counter for watch in watches if len(watch.ticks) > 1]
    unseen = [watch.counter for watch in watches if len(watch.ticks) <= 1]
    words = ["NVML total energy counter"]
    if seen:
        words.append(f"ticks every {max(c.period_s for c in seen) * 1000:.0f} ms")
    if unseen:
        names = ", ".join(counter.domain.name for counter in unseen)
        assumed_ms = max(counter.period_s for counter in unseen) * 1000
        words.append(f"no tick of {names} seen in {WATCH_S:.0f} s, {assumed_ms:.0f} ms assumed")
    return words


def _disagreement(watch: Watch) -> str | None:
    """Return by how much a counter differs from the power of its card, if that is too much."""
    excess = _excess(watch)
    if excess is None or abs(excess) <= DISAGREEMENT:
        return None
    more = "more" if excess > 0 else "less"
    name = watch.counter.domain.name
    share = format_percent(abs(excess), signed=False, digits=2)
    return f"{name} counts {share} {more} than its integrated power"


def _excess(watch: Watch) -> float | None:
    """Return by which share a counter exceeds power, integrated from its first to its last tick."""
    if len(watch.ticks) < 2:
        return None
    first, last = watch.ticks[0], watch.ticks[-1]
    if last.time_ns - first.time_ns < AGREEMENT_S * 1e9:
        return None
    watts = [s.watts for s in watch.samples if first.time_ns <= s.time_ns <= last.time_ns]
    seconds = (last.time_ns - first.time_ns) * 1e-9
    integrated_uj = statistics.fmean(watts) * seconds * 1e6 if watts else 0.0
    return (last.count_uj - first.count_uj) / integrated_uj - 1 if integrated_uj else None
