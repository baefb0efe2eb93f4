"""Power over time, its integral, and the same pseudo-random numbers as in the C parts."""

from __future__ import annotations

import math
from itertools import pairwise

#: Watts from a second on; none before the first.
PowerOverTime = tuple[tuple[float, float], ...]

_BITS = (1 << 64) - 1


def watts_at(power_w: PowerOverTime, seconds: float) -> float:
    """Return the power at a time."""
    return next((watts for start, watts in reversed(power_w) if start <= seconds), 0.0)


def joules_until(power_w: PowerOverTime, seconds: float) -> float:
    """Return the energy from the first second of the script to a time."""
    steps = pairwise((*power_w, (math.inf, 0.0)))
    return sum(
        watts * (min(end, seconds) - start) for (start, watts), (end, _) in steps if start < seconds
    )


def last_multiple(seconds: float, period_s: float) -> float:
    """Return the last multiple of a period up to a time; the time itself if the period is 0."""
    return math.floor(seconds / period_s) * period_s if period_s > 0 else seconds


def share(first: int, second: int) -> float:
    """Return a pseudo-random share of one, which depends on the two numbers only."""
    return (_mixed(_mixed(first & _BITS) ^ (second & _BITS)) >> 11) * 2.0**-53


def _mixed(z: int) -> int:
    """splitmix64: Steele, Lea and Flood, 2014."""
    z = (z + 0x9E3779B97F4A7C15) & _BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _BITS
    return z ^ (z >> 31)
