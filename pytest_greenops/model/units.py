"""Quantities as people write them: read into SI numbers, printed with a fitting prefix."""

from __future__ import annotations

import math
import re
from typing import Any

from pytest_greenops.model.errors import UnitError

JOULES = {"J": 1.0, "mJ": 1e-3, "kJ": 1e3, "Wh": 3600.0, "mWh": 3.6, "kWh": 3.6e6}
WATTS = {"W": 1.0, "mW": 1e-3, "kW": 1e3}
GRAMS = {"g": 1.0, "mg": 1e-3, "kg": 1e3}
SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}
GRAMS_PER_KWH = {"g/kWh": 1.0, "kg/kWh": 1e3, "kg/MWh": 1.0, "lb/kWh": 453.59237}

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")
#: Significant digits of the floats that files keep.
DIGITS = 6


def parse_energy(text: object) -> float:
    """Joules of `"2.5 J"`, `"40 mJ"`, `"1 kWh"`; raises `UnitError`."""
    return _parse(text, JOULES, "energy", "2.5 J")


def parse_power(text: object) -> float:
    """Watts of `"350 W"`; raises `UnitError`."""
    return _parse(text, WATTS, "power", "350 W")


def parse_mass(text: object) -> float:
    """Grams of `"2 g"`; raises `UnitError`."""
    return _parse(text, GRAMS, "mass", "2 g")


def parse_duration(text: object) -> float:
    """Seconds of `"60 s"` or `"2 min"`; raises `UnitError`."""
    return _parse(text, SECONDS, "time", "60 s")


def parse_intensity(text: object) -> float:
    """Grams of CO2e per kWh of `"401 g/kWh"`; raises `UnitError`."""
    return _parse(text, GRAMS_PER_KWH, "carbon intensity", "401 g/kWh")


def parse_percent(text: object) -> float:
    """The share that `"5%"` or `"5 %"` stands for (0.05); raises `UnitError`."""
    return _parse(text, {"%": 0.01}, "percentage", "5%")


def _parse(text: object, units: dict[str, float], quantity: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UnitError(f"{text!r} is no {quantity}; write it like {example!r}")
    number, unit = float(match[1]), match[2]
    if unit not in units:
        problem = f"unknown unit {unit!r}" if unit else "no unit"
        raise UnitError(f"{text!r} has {problem} of {quantity}; one of: {', '.join(units)}")
    if number < 0:
        a = "an" if quantity[0] in "aeiou" else "a"
        raise UnitError(f"{text!r} is negative; {a} {quantity} is zero or more, like {example!r}")
    if not math.isfinite(number):
        raise UnitError(f"{text!r} is no finite {quantity}; write it like {example!r}")
    return number * units[unit]


def format_energy(energy_j: float) -> str:
    """`0.0312` -> `'31.2 mJ'`, three significant digits."""
    return _prefixed(energy_j, "J")


def format_power(power_w: float) -> str:
    """`41.234` -> `'41.2 W'`, three significant digits."""
    return _prefixed(power_w, "W")


def format_mass(mass_g: float) -> str:
    """`0.0012` -> `'1.20 mg'`, three significant digits."""
    return _prefixed(mass_g, "g")


def format_duration(duration_s: float) -> str:
    """`0.0125` -> `'12.5 ms'`, three significant digits."""
    return _prefixed(duration_s, "s")


def format_percent(share: float, signed: bool = True) -> str:
    """`0.0512` -> `'+5.1 %'`; whole numbers from ten percent up."""
    percent = share * 100
    digits = 0 if abs(percent) >= 9.95 else 1
    return f"{percent:{'+' if signed else ''}.{digits}f} %"


def counted(number: int, thing: str) -> str:
    """`1` -> `'1 round'`, `2` -> `'2 rounds'`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def significant(value: Any) -> Any:
    """The same document with every float rounded to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: significant(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [significant(item) for item in value]
    return value


def _prefixed(value: float, unit: str) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    fitting = (pair for pair in _PREFIXES if abs(value) >= pair[0] * 0.9995)
    factor, prefix = next(fitting, _PREFIXES[-1])
    scaled = value / factor
    digits = max(0, 2 - math.floor(math.log10(abs(scaled) * 1.0005)))
    return f"{scaled:.{digits}f} {prefix}{unit}"
