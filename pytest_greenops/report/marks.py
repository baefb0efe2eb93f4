"""What to write into the marker, so that a test passes as it is."""

from __future__ import annotations

import math

from pytest_greenops.model.verdict import Limit


def raised(limit: Limit) -> str:
    """The argument of the marker that would let this value pass: `'max_power="390 W"'`."""
    if limit.quantity == "power":
        return f'max_power="{_written(limit.high, "W")}"'
    if limit.quantity == "carbon":
        return f'max_carbon="{_written(limit.high, "g")}"'
    per = "" if limit.unit == "call" else f', per="{limit.unit}"'
    return f'"{_written(limit.high, "J")}"{per}'


def _written(value: float, unit: str) -> str:
    """A value that the marker can read, rounded up to two digits: `3.19` -> `'3.2 J'`."""
    factor, prefix = next(((f, p) for f, p in ((1e3, "k"), (1.0, "")) if value >= f), (1e-3, "m"))
    scaled = value / factor
    step = 10.0 ** (math.floor(math.log10(scaled)) - 1) if scaled > 0 else 1.0
    return f"{math.ceil(scaled / step - 1e-9) * step:.6g} {prefix}{unit}"
