"""Faults: what makes the energy of one device in one round useless. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.measurement import (
    MICROJOULES,
    THERMAL_THROTTLE,
    CheckName,
    DeviceState,
    Domain,
    Rest,
    Round,
    belonging,
)
from pytest_greenops.model.units import format_power

#: Reasons for which a device lowers its clocks to protect itself, as NVML names them. Keeping to
#: the power limit is not one of them: work that is heavy enough always does.
SLOWDOWNS = (
    "hardware slowdown",
    "hardware thermal slowdown",
    "software thermal slowdown",
    "hardware power brake",
    THERMAL_THROTTLE,
)
#: A counter is wrong if it shows more than this times the limit of its device, or less than this
#: times its power at rest.
OVER_LIMIT, UNDER_REST = 1.2, 0.5
#: Limits hold on average: for this long the power may be anything.
OVERSHOOT_S = 0.1
#: Power is not judged in windows shorter than this. Each energy may be off by this many times its
#: error: the error is of 95 %, and no correct round may be lost.
LEAST_POWER_S, SURE = 0.01, 3.0
#: The machine is known to be awake if it uses this much more of its CPUs than at rest.
AWAKE = 0.1
_UNKNOWN = DeviceState()
#: The highest plausible power of a counter if its sensor names none.
_NO_LIMIT_W = Domain("cpu:0", "cpu").max_power_w


class Fault(NamedTuple):
    """What makes the energy of one device in a round useless: the failed check and its finding."""

    domain: Domain
    check: CheckName
    finding: str


def decisive_counters(domains: Sequence[Domain], judged: str) -> set[str]:
    """Return the counters whose faults void a round: the judged ones, and those they depend on.

    While a processor is throttled its memory draws power for longer. A board contains all devices.
    """
    names = set(belonging(domains, judged))
    kinds = {domain.kind for domain in domains if domain.name in names}
    if "psys" in kinds:
        return {domain.name for domain in domains}
    return names | {domain.name for domain in domains if domain.kind == "cpu" and "dram" in kinds}


def throttled(name: str, state: DeviceState) -> str | None:
    """Return why a device was slowed down to protect itself in a round that used it, or None."""
    harmful = [reason for reason in state.throttle_reasons if reason in SLOWDOWNS]
    if not harmful or state.used is False:
        return None
    fix = "turn turbo off" if THERMAL_THROTTLE in harmful else "lower its limit"
    return f"{name} was throttled: {', '.join(harmful)} (let it cool, or {fix})"


def implausible(round_: Round, domain: Domain, rest: Rest, idle: float) -> str | None:
    """Return why a device cannot have drawn the power that its sensed counter shows, or None.

    `idle` is the share of the CPUs that was idle during the round. A counter that is not counted is
    not judged.
    """
    energy_uj = round_.energy_uj.get(domain.name)
    if energy_uj is None or not domain.counted or round_.seconds < LEAST_POWER_S * round_.windows:
        return None
    energy_j = energy_uj * MICROJOULES
    doubt_j = SURE * round_.error_uj.get(domain.name, 0.0) * MICROJOULES
    for low_j, high_j, why in _bounds(round_, domain, rest, idle):
        if energy_j + doubt_j < low_j or energy_j - doubt_j > high_j:
            power = format_power(energy_j / round_.seconds)
            return f"{domain.name} counted {power}, which is implausible: {why}"
    return None


def _bounds(
    round_: Round, domain: Domain, rest: Rest, idle: float
) -> Iterator[tuple[float, float, str]]:
    """Yield the least and most joules that a device can have used in a round, and the reason."""
    state = round_.devices.get(domain.name, _UNKNOWN)
    limit_w, rest_w = _limit_w(domain, state), rest.watts.get(domain.name, 0.0)
    most_j = OVER_LIMIT * limit_w * (round_.seconds + OVERSHOOT_S * round_.windows)
    yield 0.0, most_j, f"its limit is {format_power(limit_w)}"
    if _awake(domain, state, rest, idle):
        least_j = UNDER_REST * rest_w * round_.seconds
        yield least_j, math.inf, f"at rest it drew {format_power(rest_w)}"


def _limit_w(domain: Domain, state: DeviceState) -> float:
    """Return the power that a device cannot exceed for long; infinite if it is unknown."""
    known = domain.max_power_w if domain.max_power_w != _NO_LIMIT_W else math.inf
    return known if state.power_limit_w is None else state.power_limit_w


def _awake(domain: Domain, state: DeviceState, rest: Rest, idle: float) -> bool:
    """Return whether a device was at least as awake as when its power at rest was taken.

    Otherwise it can draw much less: a processor with less work sleeps deeper, and a card that
    still had the clocks of earlier work draws less once they fall.
    """
    if domain.kind == "gpu":
        clock_mhz = rest.clock_mhz.get(domain.name, math.inf)
        return bool(state.used) and (state.clock_mhz or 0) >= clock_mhz
    return idle < rest.idle - AWAKE
