"""What a measurement says against itself: pure functions of its rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.judge.stats import slope, t_quantile, trimmed_mean
from pytest_greenops.model.measurement import (
    THERMAL_THROTTLE,
    Check,
    CheckName,
    DeviceState,
    Domain,
    Kind,
    LoadShare,
    Round,
    belonging,
)

#: The error of the edges may be this share of the margin; a drift over the rounds, that.
EDGE_SHARE, DRIFT_SHARE = 1 / 5, 1 / 4
#: No counter's edges can be had without error: of a smaller margin they may err as much as of this.
SMALLEST_MARGIN = 0.001
#: Share of the machine's CPU time that other processes may use during a round.
CONTENTION = 0.03
#: Where less than this is idle beside them, others also slow down the work that is measured.
CROWDED = 0.1
#: Calls within this share of a sampling period, of this many periods or of such a part of one,
#: keep in step with it.
STEP_SHARE, STEPS = 0.05, 5
#: Reasons for which a device lowers its clocks to protect itself, as NVML names them. That it keeps
#: to its power limit is none of them: work that is heavy enough always runs so.
SLOWDOWNS = (
    "hardware slowdown",
    "hardware thermal slowdown",
    "software thermal slowdown",
    "hardware power brake",
    THERMAL_THROTTLE,
)
#: Degrees by which a device may warm up or cool down over the rounds.
WARMING_C = 5.0
_UNKNOWN = DeviceState()
#: Share of spoilt rounds that a 20 % trimmed mean leaves without effect.
TOLERATED = 0.2


def edge_error(round_: Round, domains: Sequence[Domain]) -> float:
    """How far the energy of a round may be off for the edges of its windows, as a share (95 %).

    Of each kind of counter by itself, the worst: one may be judged alone. Devices that the round
    did not use are left out, and counters that did not move.
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
    """How far the edges of a round's windows may be off, as a share of the round."""
    return max(margin, SMALLEST_MARGIN) * EDGE_SHARE


def too_short(rounds: Sequence[Round], domains: Sequence[Domain], margin: float) -> Iterator[Check]:
    """The windows are too short for how exactly a kind of counter knows their edges."""
    errors = [_edge_errors(round_, domains) for round_ in rounds]
    for kind in dict.fromkeys(kind for known in errors for kind in known):
        error = trimmed_mean([known[kind] for known in errors if kind in known])
        if error > edge_limit(margin):
            span_ms = trimmed_mean([round_.seconds for round_ in rounds]) * 1e3
            off = f"its edges are off by up to {error * 100:.2g} % of its {kind} energy"
            still = f"its {kind} counter need not move in that"
            yield Check(
                CheckName.TOO_SHORT,
                f"a round spans {span_ms:.3g} ms, and {off if error < math.inf else still}",
                "no verdict; let the meter repeat the work, or make one call longer",
                untrusted=True,
                kinds=(kind,),
            )


def in_step(call_s: float, period_s: float) -> bool:
    """Whether calls that take so long keep in step with a period, or with a part of it.

    Samples of power would then fall on the same moments of every call: up to 67 % wrong (Yang,
    Adamek and Armour, SC 2024, whose bound of 5 % this is).
    """
    if min(call_s, period_s) <= 0:
        return False
    ratio = max(call_s, period_s) / min(call_s, period_s)
    return round(ratio) <= STEPS and abs(ratio - round(ratio)) <= STEP_SHARE * round(ratio)


def throttled(name: str, state: DeviceState) -> str | None:
    """Why a device says nothing of a round that used it: it was slowed down to protect itself."""
    harmful = [reason for reason in state.throttle_reasons if reason in SLOWDOWNS]
    if not harmful or state.used is False:
        return None
    lower = "turn turbo off" if THERMAL_THROTTLE in harmful else "lower its limit"
    return f"{name} was throttled: {', '.join(harmful)} (let it cool, or {lower})"


def decisive(domains: Sequence[Domain], judged: str) -> set[str]:
    """The counters whose faults void a round: those that are judged, and what these hang on.

    While a processor is slowed down its memory draws power for longer; a board holds all.
    """
    names = set(belonging(domains, judged))
    kinds = {domain.kind for domain in domains if domain.name in names}
    if "psys" in kinds:
        return {domain.name for domain in domains}
    return names | {domain.name for domain in domains if domain.kind == "cpu" and "dram" in kinds}


class Fault(NamedTuple):
    """What spoils the energy of one device in a round: the check that found it, and its words."""

    domain: Domain
    check: CheckName
    finding: str


def beside(faults: Sequence[Fault], domains: Sequence[Domain]) -> Iterator[Check]:
    """Faults, one for each round, of devices that are not judged: the rounds were kept.

    Each device and check is told once, with its first finding.
    """
    idle = {domain.name for domain in domains if domain.idle}
    found: dict[tuple[str, CheckName], list[Fault]] = {}
    for fault in (fault for fault in faults if fault.domain.name not in idle):
        found.setdefault((fault.domain.name, fault.check), []).append(fault)
    for (name, check), faults_of in found.items():
        n = len(faults_of)
        yield Check(
            check,
            faults_of[0].finding,
            f"{n} round{'s' if n != 1 else ''} kept, since {name} is not judged",
            kinds=(faults_of[0].domain.kind,),
        )


def lost(counters: Mapping[str, str], domains: Sequence[Domain]) -> Iterator[Check]:
    """Counters that failed for good while others went on, but for those of idle devices."""
    idle = {domain.name for domain in domains if domain.idle}
    for why in (why for name, why in counters.items() if name not in idle):
        yield Check(
            CheckName.LOST, why, "the other counters went on; nothing that holds it is judged"
        )


def disagreement(doubts: Mapping[str, str], domains: Sequence[Domain]) -> Iterator[Check]:
    """Counters that do not agree with the power that their own device tells."""
    for domain in domains:
        if domain.name in doubts and not domain.idle:
            done = "told with each figure; its joules may be off by as much"
            yield Check(CheckName.DISAGREEMENT, doubts[domain.name], done)


#: What was done about a drift: a test that asks for no warm-up gets none.
_WARMED = {True: "warmed up once more, then flagged", False: "flagged: the test has no warm-up"}


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


def drift(energies: Sequence[float], margin: float, again: bool = True) -> Check | None:
    """The rounds still rise or fall although the warm-up was repeated, if it was (`again`)."""
    if not drifts(energies, margin):
        return None
    logs = _logs(energies)
    total = math.expm1(slope(logs)[0] * (len(logs) - 1)) * 100
    return Check(CheckName.DRIFT, f"{total:+.1f} % over the rounds", _WARMED[again])


def warming(
    rounds: Sequence[Round], domains: Sequence[Domain], again: bool = True
) -> Iterator[Check]:
    """Devices with work whose temperature still moves: a warm one draws more for the same work."""
    for domain in domains:
        states = [round_.devices.get(domain.name, _UNKNOWN) for round_ in rounds]
        heat_c = [state.temperature_c for state in states if state.temperature_c is not None]
        low_c, high_c = min(heat_c, default=0.0), max(heat_c, default=0.0)
        if high_c - low_c > WARMING_C and not domain.idle:
            verb = "warmed" if heat_c.index(low_c) < heat_c.index(high_c) else "cooled"
            yield Check(
                CheckName.DRIFT,
                f"{domain.name} {verb} by {high_c - low_c:.0f} C over the rounds",
                _WARMED[again],
            )


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
        CheckName.CONTENTION,
        f"other processes used up to {others * 100:.0f} % of the machine{stolen} in "
        f"{len(kept)} of {rounds} rounds",
        "rounds redone, then kept",
        untrusted=len(kept) > TOLERATED * rounds,
        kinds=() if crowded > TOLERATED * rounds else ("cpu", "dram", "psys"),
    )


def intruded(devices: Mapping[str, DeviceState]) -> bool:
    """Whether somebody else's process computed on a card that a round used: it is made again."""
    return any(state.foreign and state.used is not False for state in devices.values())


def intrusion(rounds: Sequence[Round], domains: Sequence[Domain]) -> Iterator[Check]:
    """Processes of others computed on a card during rounds that had to be kept."""
    for domain in (domain for domain in domains if domain.counted):
        states = [round_.devices.get(domain.name, _UNKNOWN) for round_ in rounds]
        spoilt = sum(bool(state.foreign) for state in states)
        if spoilt:
            yield Check(
                CheckName.CONTENTION,
                f"another process had {domain.name} in use in {spoilt} of {len(rounds)} rounds",
                "rounds redone, then kept",
                untrusted=spoilt > TOLERATED * len(rounds),
                kinds=(domain.kind,),
            )


def void(reason: str | None, voided: int) -> Check | None:
    """Windows of which nothing can be said were left out."""
    if reason is None or not voided:
        return None
    return Check(CheckName.VOID, reason, f"{voided} round{'s' if voided != 1 else ''} left out")


def instrumented(tracer: str | None) -> Check | None:
    """A tracer or profiler runs with the work, and uses joules of its own."""
    if tracer is None:
        return None
    return Check(CheckName.INSTRUMENTED, tracer, "neither saved nor judged; run without it")
