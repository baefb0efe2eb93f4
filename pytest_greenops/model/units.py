"""Quantities: parse them into SI numbers, and print them with a prefix."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from pytest_greenops.model.errors import UnitError, encodable, nearest

#: The units that messages name; a quantity is also read with each prefix that a report prints.
JOULES = {"J": 1.0, "mJ": 1e-3, "kJ": 1e3, "Wh": 3600.0, "mWh": 3.6, "kWh": 3.6e6}
WATTS = {"W": 1.0, "mW": 1e-3, "kW": 1e3}
GRAMS = {"g": 1.0, "mg": 1e-3, "kg": 1e3}
SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}
FLOP = {"FLOP": 1.0, "kFLOP": 1e3, "MFLOP": 1e6, "GFLOP": 1e9, "TFLOP": 1e12}
BYTES = {
    **{"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    **{"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40},
}
GRAMS_PER_KWH = {"g/kWh": 1.0, "kg/kWh": 1e3, "kg/MWh": 1.0, "lb/kWh": 453.59237}

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
#: Micro has two code points, and a spelling in ASCII.
_READ = {prefix: factor for factor, prefix in _PREFIXES}
_READ |= {"\N{GREEK SMALL LETTER MU}": 1e-6, "u": 1e-6}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")
#: The units that reports print with a prefix.
_PRINTED = ("J", "W", "g", "s")
#: Prefixes of counts, which are whole numbers.
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
#: Significant digits of floats in files.
DIGITS = 6


def _parse(units: dict[str, float], quantity: str, example: str, text: object) -> float:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    a = "an" if quantity[0] in "aeiou" else "a"
    factor = _factor(units, match[2]) if match else None
    if match is None or factor is None:
        *others, last = units
        which = f" in {', '.join(others)} or {last}" if others else ""
        raise UnitError(text, f"expected {a} {quantity}{which}, such as {example!r}")
    number = float(match[1])
    if number < 0:
        raise UnitError(text, f"expected {a} {quantity} >= 0, such as {example!r}")
    if not math.isfinite(number * factor):
        raise UnitError(text, f"expected a finite {quantity}, such as {example!r}")
    return number * factor


def _parse_count(units: dict[str, float], quantity: str, example: str, text: object) -> int:
    """Return a whole number of the smallest unit; the error names the unit that was meant."""
    try:
        return round(_parse(units, quantity, example, text))
    except UnitError as error:
        match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
        written = match[2] if match else ""
        meant = None if written in units else _unit_meant(units, written)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise UnitError(text, error.expected + hint) from None


def _unit_meant(units: dict[str, float], written: str) -> str | None:
    """Return the unit that is spelt like this one: `GB` for `gb`, `GFLOP` for `GFLOPs`."""
    by_name = {unit.lower(): unit for unit in units}
    word = written.lower()
    return by_name.get(word) or by_name.get(nearest(word, by_name) or "") if word else None


def _factor(units: dict[str, float], unit: str) -> float | None:
    """Return what a unit is worth in the first of `units`, or None if it is unknown."""
    base = next(iter(units))
    if unit in units or base not in _PRINTED or not unit.endswith(base):
        return units.get(unit)
    return _READ.get(unit.removesuffix(base))


def _prefixed(unit: str, value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    reached = (pair for pair in _PREFIXES if abs(value) >= pair[0] * 0.9995)
    factor, prefix = next(reached, _PREFIXES[-1])
    scaled = value / factor
    digits = max(0, 2 - math.floor(math.log10(abs(scaled) * 1.0005)))
    return f"{scaled:.{digits}f} {prefix}{unit}"


#: Parsers of a quantity with its unit into SI numbers and shares; they raise `UnitError`.
parse_energy = partial(_parse, JOULES, "energy", "2.5 J")
parse_power = partial(_parse, WATTS, "power", "350 W")
parse_mass = partial(_parse, GRAMS, "mass", "2 g")
parse_duration = partial(_parse, SECONDS, "time", "60 s")
parse_intensity = partial(_parse, GRAMS_PER_KWH, "carbon intensity", "401 g/kWh")
parse_flop = partial(_parse_count, FLOP, "amount of work", "2.2 GFLOP")
parse_memory = partial(_parse_count, BYTES, "size", "1.5 GB")
parse_percent = partial(_parse, {"%": 0.01}, "percentage", "5%")

#: Printers of a quantity with three significant digits: `0.0312` -> `'31.2 mJ'`.
format_energy = partial(_prefixed, "J")
format_watt_hours = partial(_prefixed, "Wh")
format_power = partial(_prefixed, "W")
format_mass = partial(_prefixed, "g")
format_duration = partial(_prefixed, "s")


def _count(unit: str, value: float, digits: int = 3, signed: bool = False) -> str:
    sign = "+" if signed else ""
    reached = (pair for pair in _LARGE if abs(value) >= pair[0] * (1 - 0.5 * 10.0**-digits))
    factor, prefix = next(reached, _LARGE[-1])
    return f"{format_number(value / factor, digits, sign)} {prefix}{unit}"


#: Printers of counts with at most this number of significant digits: `2.2e9` -> `'2.2 GFLOP'`; with
#: `signed`, of changes: `'+79 MB'`.
format_flop = partial(_count, "FLOP")
format_memory = partial(_count, "B")


def format_different(form: Callable[..., str], one: float, other: float) -> tuple[str, str]:
    """Print two different values with as many digits as it takes to tell them apart."""
    for digits in range(3, 16):
        texts = form(one, digits), form(other, digits)
        if texts[0] != texts[1] or one == other:
            break
    return texts


def format_percent(share: float, signed: bool = True, digits: int | None = None) -> str:
    """Print a share: `0.0512` -> `'+5.1 %'`; whole numbers from ten percent on.

    With `digits`, print at most that many significant ones, and no zeros at the end: `'+5 %'`.
    """
    percent, sign = share * 100, "+" if signed else ""
    if digits is not None:
        return f"{format_number(percent, digits, sign)} %"
    decimals = 0 if abs(percent) >= 9.95 else 1
    return f"{percent:{sign}.{decimals}f} %"


def format_number(value: float, digits: int = 3, sign: str = "") -> str:
    """Print significant digits without an exponent: `1580.0` -> `'1580'`."""
    text = f"{value:{sign}.{digits}g}"
    return format(Decimal(text), f"{sign}f") if "e" in text else text


def counted(number: int, thing: str) -> str:
    """Print a count: `1` -> `'1 round'`, `2` -> `'2 rounds'`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def significant(value: Any) -> Any:
    """Return a document with every float rounded to six significant digits, in valid Unicode."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {significant(key): significant(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [significant(item) for item in value]
    return value
