"""What a measurement says against itself: pure functions of its rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_greenops.model.measurement import Check, LoadShare, Round
from pytest_greenops.stats import slope, t_quantile, trimmed_mean

#: 95 % of windows err by less than this many updates of the counter: either edge is late by a
#: uniform share of one, so their difference is triangular over one update to either side.
EDGE_ERROR = 0.78
#: The error of the edges may be this share of the margin; a drift over the rounds, that.
EDGE_SHARE, DRIFT_SHARE = 1 / 5, 1 / 4
#: No counter's edges can be had without error: of a smaller margin they may err as much as of this.
SMALLEST_MARGIN = 0.001
#: Share of the machine's CPU time that other processes may use during a round.
CONTENTION = 0.03
#: Where less than this is idle beside them, others also slow down the work that is measured.
CROWDED = 0.1
#: Share of spoilt rounds that a 20 % trimmed mean leaves without effect.
TOLERATED = 0.2


def edge_error(round_: Round, update_period_s: float) -> float:
    """How far the edges of a round's windows can be off, as a share of the round (95 %).

    The errors of several windows are independent: they grow with the root of their number.
    """
    if round_.seconds <= 0:
        return math.inf if update_period_s else 0.0
    return EDGE_ERROR * update_period_s * math.sqrt(round_.windows) / round_.seconds


def edge_limit(margin: float) -> float:
    """How far the edges of a round's windows may be off, as a share of the round."""
    return max(margin, SMALLEST_MARGIN) * EDGE_SHARE


def too_short(rounds: Sequence[Round], update_period_s: float, margin: float) -> Check | None:
    """The windows are too short for how often the counter moves."""
    if not rounds:
        return None
    error = trimmed_mean([edge_error(round_, update_period_s) for round_ in rounds])
    if error <= edge_limit(margin):
        return None
    span_s = trimmed_mean([round_.seconds for round_ in rounds])
    return Check(
        "too short",
        f"the counter moves every {update_period_s * 1e3:.3g} ms and a round spans "
        f"{span_s * 1e3:.3g} ms: its edges are off by up to {error * 100:.2g} %",
        "no verdict; let the meter repeat the work, or make one call longer",
        untrusted=True,
    )


def drifts(energies: Sequence[float], margin: float) -> bool:
    """Whether the rounds rise or fall by more than a quarter of the margin, and not by chance."""
    logs = _logs(energies)
    rise, error = slope(logs)
    n = len(logs)
    return (
        n >= 5
        and abs(rise) * (n - 1) > margin * DRIFT_SHARE
        and abs(rise) > t_quantile(0.995, n - 2) * error
    )


def drift(energies: Sequence[float], margin: float) -> Check | None:
    """The rounds still rise or fall although the warm-up was repeated."""
    if not drifts(energies, margin):
        return None
    logs = _logs(energies)
    total = math.expm1(slope(logs)[0] * (len(logs) - 1)) * 100
    return Check("drift", f"{total:+.1f} % over the rounds", "warmed up once more, then flagged")


def _logs(energies: Sequence[float]) -> list[float]:
    return [math.log(energy) for energy in energies if energy > 0]


def contended(share: LoadShare) -> bool:
    """Whether others took so much of the machine during a round that it is made again."""
    return share.others > CONTENTION or share.steal > 0


def contention(kept: Sequence[LoadShare], rounds: int) -> Check | None:
    """Others ran beside rounds that had to be kept: their joules are in the counters.

    An estimate counts only what this process used, so it holds out longer: until no CPU is left
    idle, and the work gets slower for want of one.
    """
    if not kept:
        return None
    others, steal = max(share.others for share in kept), max(share.steal for share in kept)
    crowded = sum(share.idle < CROWDED for share in kept)
    stolen = f", the hypervisor {steal * 100:.1f} %" if steal else ""
    return Check(
        "contention",
        f"other processes used up to {others * 100:.0f} % of the machine{stolen} in "
        f"{len(kept)} of {rounds} rounds",
        "rounds redone, then kept",
        untrusted=len(kept) > TOLERATED * rounds,
        kinds=() if crowded > TOLERATED * rounds else ("cpu", "dram", "psys"),
    )


def void(reason: str | None, voided: int) -> Check | None:
    """Windows of which nothing can be said were left out."""
    if reason is None:
        return None
    return Check("void", reason, f"{voided} round{'s' if voided != 1 else ''} left out")


def instrumented(tracer: str | None) -> Check | None:
    """A tracer or profiler runs with the work, and uses joules of its own."""
    if tracer is None:
        return None
    return Check("instrumented", tracer, "neither saved nor judged; run without it")
