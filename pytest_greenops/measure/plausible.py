"""Whether a device can have drawn what its counter told: pure functions of a round."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_greenops.model.measurement import (
    MICROJOULES,
    DeviceState,
    Domain,
    Rest,
    Round,
)
from pytest_greenops.model.units import format_power

#: A counter is wrong that tells more than this times the limit of its device, or less than that
#: times what it drew at rest.
OVER_LIMIT, UNDER_REST = 1.2, 0.5
#: Limits hold on average: for so long the power may be anything.
OVERSHOOT_S = 0.1
#: In shorter windows power is not judged, and each energy may be off by so many times its error:
#: that is of 95 %, and no round that is as it should be may be lost.
LEAST_POWER_S, SURE = 0.01, 3.0
#: By so much more of its CPUs must the machine work than when it rested to be known to be awake.
AWAKE = 0.1
_UNKNOWN = DeviceState()
#: The highest plausible power of counters of which none is known.
_NO_LIMIT_W = Domain("cpu:0", "cpu").max_power_w


def implausible(round_: Round, domain: Domain, rest: Rest, idle: float) -> str | None:
    """Why a counter says nothing of a round: it told a power that its device cannot have drawn.

    domain  one that is sensed; such as stand apart are not judged
    rest    what the devices drew while the machine rested, as far as that is known
    idle    the share of the CPUs that nothing used during the round
    """
    told_uj = round_.energy_uj.get(domain.name)
    if told_uj is None or not domain.counted or round_.seconds < LEAST_POWER_S * round_.windows:
        return None
    energy_j = told_uj * MICROJOULES
    doubt_j = SURE * round_.error_uj.get(domain.name, 0.0) * MICROJOULES
    for low_j, high_j, why in _bounds(round_, domain, rest, idle):
        if energy_j + doubt_j < low_j or energy_j - doubt_j > high_j:
            watts = format_power(energy_j / round_.seconds)
            return f"{domain.name} counted {watts}, which is implausible: {why}"
    return None


def _bounds(
    round_: Round, domain: Domain, rest: Rest, idle: float
) -> Iterator[tuple[float, float, str]]:
    """The least and the most joules that a device can have used in a round, and why no others."""
    state = round_.devices.get(domain.name, _UNKNOWN)
    limit_w, rest_w = _limit_w(domain, state), rest.watts.get(domain.name, 0.0)
    most_j = OVER_LIMIT * limit_w * (round_.seconds + OVERSHOOT_S * round_.windows)
    yield 0.0, most_j, f"its limit is {format_power(limit_w)}"
    if _awake(domain, state, rest, idle):
        least_j = UNDER_REST * rest_w * round_.seconds
        yield least_j, math.inf, f"at rest it drew {format_power(rest_w)}"


def _limit_w(domain: Domain, state: DeviceState) -> float:
    """The power that a device cannot exceed for long; infinite where none is known."""
    known = domain.max_power_w if domain.max_power_w != _NO_LIMIT_W else math.inf
    return known if state.power_limit_w is None else state.power_limit_w


def _awake(domain: Domain, state: DeviceState, rest: Rest, idle: float) -> bool:
    """Whether a device was at least as awake as it was when its power at rest was taken.

    Only then it cannot draw much less: a processor sleeps deeper where less is done, and a card
    that still had the clocks of its last work when it was watched rests lower once they fall.
    """
    if domain.kind == "gpu":
        clock_mhz = rest.clock_mhz.get(domain.name, math.inf)
        return bool(state.used) and (state.clock_mhz or 0) >= clock_mhz
    return idle < rest.idle - AWAKE
