"""Self-checks: the evidence against a measurement, found by pure functions of its rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pytest_greenops.judge.stats import TRIM, logs, slope, t_quantile, trimmed_mean
from pytest_greenops.measure.faults import Fault
from pytest_greenops.model.errors import shown
from pytest_greenops.model.measurement import (
    CONTROL_KINDS,
    Check,
    CheckName,
    DeviceState,
    Domain,
    Kind,
    LoadShare,
    Round,
)
from pytest_greenops.model.units import counted, format_duration, format_percent

#: The error at the edges may be this share of the margin; the drift over the rounds, that share.
EDGE_SHARE, DRIFT_SHARE = 1 / 5, 1 / 4
#: Edges are never exact: for a smaller margin than this they may err as much as for this one.
SMALLEST_MARGIN = 0.001
#: Rounds are not worth making if their edges err by more than this many times what is allowed.
HOPELESS = 1.1
#: A counter that did not move in windows of this time in all will not move in more of them.
LONG_S = 1.0
#: Share of the machine's CPU time that other processes may use during a round.
CONTENTION = 0.03
#: If less than this share of the CPUs is idle, other processes also slow down the measured work.
CROWDED = 0.1
#: Calls keep in step with a sampling period if they are within this share of it, of at most this
#: many periods, or of a period divided by at most this number.
STEP_SHARE, STEPS = 0.05, 5
#: Degrees by which a device may warm up or cool down over the rounds.
WARMING_C = 5.0
#: A first call counts as unlike the others if it used this many times as much as any later one, and
#: as much as a core in about 250 microseconds.
MANY_TIMES, MUCH_UJ = 100, 1000.0
_UNKNOWN = DeviceState()
#: What is done about a drift, by whether the test has a warm-up.
_DRIFT_ACTION = {
    True: "warmed up once more, then flagged",
    False: "flagged: the test has no warm-up",
}


def edge_error(round_: Round, domains: Sequence[Domain]) -> float:
    """Return the error of a round's energy at the edges of its windows, as a share (95 %).

    It is the largest error of any kind of counter, since one kind may be judged alone. Devices
    that the round did not use, and counters that did not move, are ignored.
    """
    return max(_edge_errors(round_, domains).values(), default=0.0)


def _edge_errors(round_: Round, domains: Sequence[Domain]) -> dict[Kind, float]:
    energy_uj: dict[Kind, float] = {}
    error_uj: dict[Kind, float] = {}
    for domain in domains:
        state = round_.devices.get(domain.name, _UNKNOWN)
        if domain.name in round_.error_uj and domain.counted and state.used is not False:
            kind = domain.kind
            energy_uj[kind] = energy_uj.get(kind, 0.0) + round_.energy_uj[domain.name]
            error_uj[kind] = math.hypot(error_uj.get(kind, 0.0), round_.error_uj[domain.name])
    return {
        kind: error_uj[kind] / uj if uj else math.inf
        for kind, uj in energy_uj.items()
        if uj or error_uj[kind]
    }


def edge_limit(margin: float) -> float:
    """Return how far the edges of a round's windows may be off, as a share of the round."""
    return max(margin, SMALLEST_MARGIN) * EDGE_SHARE


def too_short(rounds: Sequence[Round], domains: Sequence[Domain], margin: float) -> Iterator[Check]:
    """Report windows that are too short for the accuracy of a kind of counter at their edges."""
    errors = [_edge_errors(round_, domains) for round_ in rounds]
    for kind in dict.fromkeys(kind for known in errors for kind in known):
        error = trimmed_mean([known[kind] for known in errors if kind in known])
        if error > edge_limit(margin):
            span = format_duration(trimmed_mean([round_.seconds for round_ in rounds]))
            most = format_percent(error, signed=False, digits=2)
            off = f"its edges are off by up to {most} of its {kind} energy"
            still = f"its {kind} counter may not move in that time"
            yield Check(
                CheckName.TOO_SHORT,
                f"a round spans {span}, and {off if error < math.inf else still}",
                "no verdict; let the meter repeat the work, or make one call longer",
                untrusted=True,
                kinds=(kind,),
            )


def stays_too_short(
    round_: Round, domains: Sequence[Domain], margin: float, growth: float
) -> Check | None:
    """Report windows that stay too short if a round is repeated `growth` times, as time allows.

    The error of one long window falls with its length, that of many with the root of their number.
    An error above the energy itself says nothing yet about longer rounds, unless a counter did not
    move in windows of a second in all.
    """
    growth = max(1.0, growth)
    for kind, error in _edge_errors(round_, domains).items():
        if error == math.inf and round_.seconds >= LONG_S:
            return Check(
                CheckName.TOO_SHORT,
                f"its {kind} counter did not move in windows of {format_duration(round_.seconds)} "
                "in all",
                "no verdict; do more work in each window",
                untrusted=True,
                kinds=(kind,),
            )
        left = error / (growth if round_.windows == 1 else math.sqrt(growth))
        if (
            left > HOPELESS * edge_limit(margin)
            and (error <= 1 or growth == 1)
            and error < math.inf
        ):
            longest = format_duration(round_.seconds * growth)
            off = format_percent(left, signed=False, digits=2)
            most = format_percent(edge_limit(margin), signed=False, digits=2)
            return Check(
                CheckName.TOO_SHORT,
                f"rounds of {longest}, the longest that fit into the time, would be off by up to "
                f"{off} of their {kind} energy at the edges of their windows; {most} is allowed",
                "no verdict; do more work in each window, or allow more time (--energy-max-time)",
                untrusted=True,
                kinds=(kind,),
            )
    return None


def in_step(call_s: float, period_s: float) -> bool:
    """Return whether calls of this duration keep in step with a period, or with a part of it.

    Samples of power would then fall on the same moments of every call: up to 67 % wrong (Yang,
    Adamek and Armour, SC 2024, who also give the bound of 5 %).
    """
    if min(call_s, period_s) <= 0:
        return False
    ratio = max(call_s, period_s) / min(call_s, period_s)
    return round(ratio) <= STEPS and abs(ratio - round(ratio)) <= STEP_SHARE * round(ratio)


def unjudged_faults(faults: Sequence[Fault], domains: Sequence[Domain]) -> Iterator[Check]:
    """Report faults of devices that are not judged, in rounds that were kept.

    Each device and check is reported once, with its first finding; idle devices are ignored.
    """
    idle = {domain.name for domain in domains if domain.idle}
    found: dict[tuple[str, CheckName], list[Fault]] = {}
    for fault in (fault for fault in faults if fault.domain.name not in idle):
        found.setdefault((fault.domain.name, fault.check), []).append(fault)
    for (name, check), same in found.items():
        yield Check(
            check,
            same[0].finding,
            f"{counted(len(same), 'round')} kept, since {name} is not judged",
            kinds=(same[0].domain.kind,),
        )


def lost(reasons: Mapping[str, str], domains: Sequence[Domain]) -> Iterator[Check]:
    """Report counters that failed for good while others continued, except those of idle devices."""
    idle = {domain.name for domain in domains if domain.idle}
    for why in (why for name, why in reasons.items() if name not in idle):
        done = "the other counters continued; domains that include it are not judged"
        yield Check(CheckName.LOST, why, done)


def disagreement(doubts: Mapping[str, str], domains: Sequence[Domain]) -> Iterator[Check]:
    """Report counters that disagree with the power that their own device shows."""
    for domain in domains:
        if domain.name in doubts and not domain.idle:
            done = "shown with each figure; its joules may be off by as much"
            yield Check(CheckName.DISAGREEMENT, doubts[domain.name], done)


def drift(energies: Sequence[float], margin: float, warms_up: bool = True) -> Check | None:
    """Report rounds that rise or fall by more than a quarter of the margin, and not by chance.

    `warms_up` is whether the warm-up was repeated before these rounds.
    """
    levels = logs(energies)
    n = len(levels)
    rise, error = slope(levels)
    total = rise * (n - 1)
    if n < 5 or abs(total) <= margin * DRIFT_SHARE or abs(rise) <= t_quantile(0.995, n - 2) * error:
        return None
    finding = f"{format_percent(math.expm1(total))} over the rounds"
    return Check(CheckName.DRIFT, finding, _DRIFT_ACTION[warms_up])


def warming(
    rounds: Sequence[Round], domains: Sequence[Domain], warms_up: bool = True
) -> Iterator[Check]:
    """Report used devices whose temperature changes: a warm one draws more for the same work."""
    for domain in domains:
        states = [round_.devices.get(domain.name, _UNKNOWN) for round_ in rounds]
        heat_c = [state.temperature_c for state in states if state.temperature_c is not None]
        low_c, high_c = min(heat_c, default=0.0), max(heat_c, default=0.0)
        if high_c - low_c > WARMING_C and not domain.idle:
            verb = "warmed" if heat_c.index(low_c) < heat_c.index(high_c) else "cooled"
            finding = f"{domain.name} {verb} by {high_c - low_c:.0f} C over the rounds"
            yield Check(CheckName.DRIFT, finding, _DRIFT_ACTION[warms_up])


def contended(share: LoadShare) -> bool:
    """Return whether other processes used so much of the machine that the round is repeated."""
    return share.others > CONTENTION or share.steal > 0


def contention(kept: Sequence[LoadShare], rounds: int) -> Check | None:
    """Report contended rounds that had to be kept: the counters contain the joules of others.

    An estimate counts only what this process used. It is spoilt only if no CPU is left idle, so
    that the work itself becomes slower.
    """
    if not kept:
        return None
    others, steal = max(share.others for share in kept), max(share.steal for share in kept)
    crowded = sum(share.idle < CROWDED for share in kept)
    used, taken = (format_percent(each, signed=False, digits=2) for each in (others, steal))
    by_workers = max(share.workers for share in kept) > others / 2
    who = "the other workers of this run (pytest -n)" if by_workers else "other processes"
    stolen = f", the hypervisor {taken}" if steal else ""
    return Check(
        CheckName.CONTENTION,
        f"{who} used up to {used} of the machine{stolen} in {len(kept)} of {rounds} rounds",
        "rounds redone, then kept" + "; measure with -n0" * by_workers,
        untrusted=len(kept) > TRIM * rounds,
        kinds=() if crowded > TRIM * rounds else CONTROL_KINDS,
    )


def background(kept: Sequence[str], rounds: Sequence[Round]) -> Check | None:
    """Report rounds beside which a thread of this process computed that is not the work's."""
    if not kept:
        return None
    return Check(
        CheckName.BACKGROUND,
        f"thread {shown(kept[-1])} of this process computed during {len(kept)} of {len(rounds)} "
        "rounds, and went on when nothing was measured",
        "neither saved nor judged; stop it before the measurement",
        untrusted=len(kept) > TRIM * len(rounds),
    )


def warm_up(first_uj: float, energies: Sequence[float]) -> Check | None:
    """Report a first call that used far more energy than any later one, as of a cached function."""
    most_uj = max(energies, default=0.0)
    if first_uj < MUCH_UJ or first_uj < MANY_TIMES * most_uj or not energies:
        return None
    return Check(
        CheckName.WARM_UP,
        f"the first call used over {MANY_TIMES} times as much as any call of a round: it may cache "
        "its result, or compile",
        "judged without it; if it caches, empty the cache in energy.pedantic(f, setup=...)",
    )


def intruded(devices: Mapping[str, DeviceState]) -> bool:
    """Return whether a foreign process computed on a card that the round used."""
    return any(state.foreign and state.used is not False for state in devices.values())


def intrusion(rounds: Sequence[Round], domains: Sequence[Domain]) -> Iterator[Check]:
    """Report cards that foreign processes used during rounds that had to be kept."""
    for domain in (domain for domain in domains if domain.counted):
        states = [round_.devices.get(domain.name, _UNKNOWN) for round_ in rounds]
        spoilt = sum(bool(state.foreign) for state in states)
        if spoilt:
            yield Check(
                CheckName.CONTENTION,
                f"another process used {domain.name} in {spoilt} of {len(rounds)} rounds",
                "rounds redone, then kept",
                untrusted=spoilt > TRIM * len(rounds),
                kinds=(domain.kind,),
            )


def void(reasons: Sequence[str]) -> Check | None:
    """Report rounds that were left out, with the reason of the last."""
    if not reasons:
        return None
    return Check(CheckName.VOID, reasons[-1], f"{counted(len(reasons), 'round')} left out")


def instrumented(tracer: str | None) -> Check | None:
    """Report a tracer or profiler that runs with the work and uses joules of its own."""
    if tracer is None:
        return None
    return Check(CheckName.INSTRUMENTED, tracer, "neither saved nor judged; run without it")
