"""This project's accuracy goals on simulated machines, and whether it meets them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scipy.stats import mannwhitneyu

from benchmarks.accuracy.costs import WRAPS, EdgeCost
from benchmarks.accuracy.errors import Errors, errors, percent
from benchmarks.accuracy.neighbours import Growth
from benchmarks.accuracy.repeated import Measured
from benchmarks.accuracy.tools import OURS, PEERS
from benchmarks.accuracy.windows import Seen

EXTRA_S = 3.0
WINDOW_MEDIAN = 0.05
HONEST = 0.95
RAPL_MEDIAN = 0.01
RAPL_EDGES_US = 20.0
EDGE_READS = 2.0
NEIGHBOURS = 0.05
#: Medians that differ by less than this share of the truth are equal.
ALIKE = 0.001
#: Significance level, and the fewest windows that can reach it.
CHANCE, ENOUGH = 0.01, 5

#: A cell of the table: sensor and window length in seconds.
Cell = tuple[str, float]


class Figure(NamedTuple):
    """A goal, the value reached, and whether it meets the goal; None without a goal."""

    what: str
    goal: str
    reached: str
    met: bool | None = None


def repeated(
    tick: str, seen: Sequence[Measured], instant: Sequence[Measured], median: float, worst: float
) -> Iterable[Figure]:
    """Yield the error of short repeated calls, and the time that ticks cost.

    instant  the same calls on a card whose counter never lags
    """
    error = call_errors(seen)
    yield Figure(
        f"calls of 50 ms, repeated by the meter, tick of {tick}: error of joules per call",
        f"{percent(median)} / {percent(worst)}",
        str(error),
        error.median <= median and error.worst <= worst,
    )
    waited_s = [one.wall_s - one.busy_s for one in seen]
    yield Figure(
        f"the same: time in addition to its calls, median / worst of {len(seen)}",
        f"{EXTRA_S:.0f} s",
        f"{statistics.median(waited_s):.2f} s / {max(waited_s):.2f} s",
        max(waited_s) <= EXTRA_S,
    )
    wall_s = [one.wall_s for one in seen]
    usual_s = statistics.median(one.wall_s for one in instant)
    calls = statistics.median(one.iterations for one in seen)
    usual_calls = statistics.median(one.iterations for one in instant)
    longer_s = [one - usual_s for one in wall_s]
    yield Figure(
        f"the same: longer than with a counter that never lags ({usual_s:.2f} s; "
        f"{calls:.0f} calls a round against {usual_calls:.0f})",
        f"{EXTRA_S:.0f} s",
        f"{statistics.median(longer_s):.2f} s / {max(longer_s):.2f} s",
        max(longer_s) <= EXTRA_S,
    )


def call_errors(seen: Sequence[Measured]) -> Errors:
    """Return the errors of joules per call."""
    return errors([(one.measured_j, one.true_j) for one in seen])


def single(variant: str, seen: Sequence[Seen]) -> Iterable[Figure]:
    """Yield the error of single windows on a card, and how often their stated error holds."""
    error = errors([(one.measured_j, one.true_j or 0.0) for one in seen])
    yield Figure(
        f"one window of 0.2 s, tick of 100 ms, {variant}: error",
        f"{percent(WINDOW_MEDIAN)} in the median",
        str(error),
        error.median <= WINDOW_MEDIAN,
    )
    inside = sum(
        abs(one.measured_j - one.true_j) <= one.error_j
        for one in seen
        if one.measured_j is not None and one.true_j is not None and one.error_j is not None
    )
    stated = statistics.median((one.error_j or 0.0) / (one.measured_j or 1.0) for one in seen)
    yield Figure(
        f"the same: truth within the stated error (median {percent(stated)})",
        f"{HONEST:.0%}",
        f"{inside} of {len(seen)}",
        inside >= HONEST * len(seen),
    )


def sockets(error: Errors) -> Figure:
    """Return the error of short RAPL windows."""
    return Figure(
        "two sockets with memory, window of 50 ms: error",
        f"{percent(RAPL_MEDIAN)} in the median",
        str(error),
        error.median <= RAPL_MEDIAN,
    )


def wraps(exact: int) -> Figure:
    """Return the figure of counts that wrap inside a window."""
    return Figure(
        f"a RAPL count that wraps anywhere in the window, {WRAPS} times",
        "exact to the microjoule",
        f"{exact} exact",
        exact == WRAPS,
    )


def rapl_edges(median_us: float) -> Figure:
    """Return the cost of reading two sockets at both edges."""
    return Figure(
        "both edges of a window, two sockets with memory",
        f"{RAPL_EDGES_US:.0f} µs",
        f"{median_us:.1f} µs",
        median_us < RAPL_EDGES_US,
    )


def card_edges(cost: EdgeCost, *, goal: bool) -> Figure:
    """Return the time that both edges add to a card's window; the goal needs a read cost."""
    reads = cost.inside_s / cost.read_s
    return Figure(
        f"both edges of a window, one card whose counter takes {cost.read_s * 1e6:.1f} µs to read: "
        f"inside the window ({cost.waited_s * 1e3:.0f} ms are waited outside)",
        f"{EDGE_READS:.0f} reads" if goal else "none",
        f"{cost.inside_s * 1e6:.1f} µs, {reads:.2f} reads",
        reads < EDGE_READS if goal else None,
    )


def neighbours(found: Growth | None, why_not: str | None) -> Figure:
    """Return the row of the estimate with busy neighbours."""
    what = "the estimate of the same work with two busy neighbours on four cores"
    goal = f"{NEIGHBOURS:.0%} more or less"
    if found is None:
        return Figure(what, goal, f"not measured: {why_not}")
    return Figure(
        what,
        goal,
        f"x {found.greenops:.3f} (codecarbon, by the machine's load: x {found.codecarbon:.2f})",
        abs(found.greenops - 1) < NEIGHBOURS,
    )


def peers(cells: Mapping[Cell, Mapping[str, Errors | None]]) -> Iterable[Figure]:
    """Yield the cells in which a peer is better than this project."""
    worse = [
        f"{sensor}, {length_s:g} s: {peer}"
        for (sensor, length_s), by_tool in cells.items()
        for peer in PEERS
        if _worse(by_tool.get(OURS), by_tool.get(peer))
    ]
    yield Figure(
        "cells of the table in which a peer is better, beyond what chance explains",
        "none",
        "; ".join(worse) or "none",
        not worse,
    )


def _worse(own: Errors | None, theirs: Errors | None) -> bool:
    """Return whether a peer's errors are smaller, by a relevant and significant amount."""
    if own is None or theirs is None or not theirs.shares:
        return False
    if not own.shares:
        return True
    small = min(len(own.shares), len(theirs.shares)) < ENOUGH
    chance = mannwhitneyu(own.shares, theirs.shares, alternative="greater").pvalue
    return own.median - theirs.median > ALIKE and (small or bool(chance < CHANCE))
