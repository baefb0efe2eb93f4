"""Quantities: parsing and printing."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

import pytest

from pytest_greenops.model import units
from pytest_greenops.model.errors import GreenopsError, UnitError


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("2.5 J", 2.5),
        ("40 mJ", 0.04),
        ("1.5 kJ", 1500.0),
        ("1 Wh", 3600.0),
        ("10 mWh", 36.0),
        ("2 kWh", 7.2e6),
        ("5 \N{MICRO SIGN}J", 5e-6),
        ("5 \N{GREEK SMALL LETTER MU}J", 5e-6),
        ("5 uJ", 5e-6),
        ("1.5 MJ", 1.5e6),
        ("0 J", 0.0),
        ("3J", 3.0),
        ("  3   J  ", 3.0),
        (".5 J", 0.5),
        ("5. J", 5.0),
        ("+5 J", 5.0),
        ("1e3 J", 1000.0),
        ("1.2E-3 J", 0.0012),
    ],
)
def test_energy_is_parsed_in_every_unit(text: str, joules: float) -> None:
    """Blanks and exponents are allowed."""
    assert joules == pytest.approx(units.parse_energy(text), rel=1e-12)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.parse_power, "350 W", 350.0),
        (units.parse_power, "1.2 kW", 1200.0),
        (units.parse_power, "5 mW", 0.005),
        (units.parse_mass, "2 g", 2.0),
        (units.parse_mass, "3 mg", 0.003),
        (units.parse_mass, "1 kg", 1000.0),
        (units.parse_duration, "60 s", 60.0),
        (units.parse_duration, "5 ms", 0.005),
        (units.parse_duration, "2 min", 120.0),
        (units.parse_duration, "1 h", 3600.0),
        (units.parse_intensity, "401 g/kWh", 401.0),
        (units.parse_intensity, "0.4 kg/kWh", 400.0),
        (units.parse_intensity, "401 kg/MWh", 401.0),
        (units.parse_intensity, "1 lb/kWh", 453.59237),
        (units.parse_percent, "5%", 0.05),
        (units.parse_percent, "12.5 %", 0.125),
        (units.parse_percent, "0%", 0.0),
    ],
)
def test_other_quantities_are_parsed(
    parse: Callable[[object], float], text: str, value: float
) -> None:
    """Power, mass, time, carbon intensity and percentages become SI numbers and shares."""
    assert value == pytest.approx(parse(text), rel=1e-12)


ENERGY = "expected an energy in J, mJ, kJ, Wh, mWh or kWh, such as '2.5 J'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, ENERGY) for text in ("2.5", "2.5 W", "2.5 j", "nan J", "2,5 J", "two J", "")),
        *((text, ENERGY) for text in ("1 2 J", 2.5, None, b"2 J")),
        ("-2.5 J", "expected an energy >= 0, such as '2.5 J'"),
        ("1e999 J", "expected a finite energy, such as '2.5 J'"),
        ("1e308 kJ", "expected a finite energy, such as '2.5 J'"),
    ],
)
def test_a_wrong_energy_is_refused(text: object, expected: str) -> None:
    """The error is one line with the value and what is expected."""
    with pytest.raises(UnitError) as raised:
        units.parse_energy(text)
    assert (str(raised.value), raised.value.expected) == (f"{text!r}: {expected}", expected)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (units.parse_power, "5 J", "expected a power in W, mW or kW, such as '350 W'"),
        (units.parse_power, "5", "expected a power in W, mW or kW, such as '350 W'"),
        (units.parse_power, "-5 W", "expected a power >= 0, such as '350 W'"),
        (units.parse_mass, "2 t", "expected a mass in g, mg or kg, such as '2 g'"),
        (units.parse_duration, "2 m", "expected a time in s, ms, min or h, such as '60 s'"),
        (
            units.parse_intensity,
            "5 g",
            "expected a carbon intensity in g/kWh, kg/kWh, kg/MWh or lb/kWh, such as '401 g/kWh'",
        ),
        (units.parse_percent, "0.05", "expected a percentage, such as '5%'"),
        (units.parse_percent, 5, "expected a percentage, such as '5%'"),
    ],
)
def test_a_wrong_quantity_is_refused(
    parse: Callable[[object], float], text: object, expected: str
) -> None:
    """The error names the quantity and its units."""
    with pytest.raises(UnitError) as raised:
        parse(text)
    assert raised.value.expected == expected


def test_a_unit_error_is_a_value_error() -> None:
    """It is also a `GreenopsError`."""
    assert (issubclass(UnitError, GreenopsError), issubclass(UnitError, ValueError)) == (True, True)


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (0.0312, "31.2 mJ"),
        (2.0, "2.00 J"),
        (31.25, "31.2 J"),
        (312.5, "312 J"),
        (41234.0, "41.2 kJ"),
        (4.1e6, "4.10 MJ"),
        (7.2e9, "7.20 GJ"),
        (7.2e12, "7200 GJ"),
        (1.5e-6, "1.50 µJ"),
        (1.5e-8, "0.0150 µJ"),
        (0.0, "0 J"),
        (-0.5, "-500 mJ"),
        (0.9994, "999 mJ"),
        (0.99951, "1.00 J"),
        (9.996, "10.0 J"),
        (99.96, "100 J"),
        (999.6, "1.00 kJ"),
        (math.nan, "nan J"),
        (math.inf, "inf J"),
    ],
)
def test_energy_is_printed_with_three_digits(joules: float, text: str) -> None:
    """The prefix fits the rounded value."""
    assert text == units.format_energy(joules)


def test_other_quantities_are_printed_alike() -> None:
    """Power, mass and time have the same digits and prefixes."""
    assert (
        units.format_power(41.234),
        units.format_mass(0.0012),
        units.format_duration(0.0125),
    ) == ("41.2 W", "1.20 mg", "12.5 ms")


@pytest.mark.parametrize(
    ("share", "signed", "text"),
    [
        (0.0512, True, "+5.1 %"),
        (-0.0512, True, "-5.1 %"),
        (0.0512, False, "5.1 %"),
        (0.55, True, "+55 %"),
        (0.0994, True, "+9.9 %"),
        (0.0996, True, "+10 %"),
        (-0.0996, True, "-10 %"),
        (0.0, True, "+0.0 %"),
    ],
)
def test_percentages_are_printed_whole_from_ten_up(share: float, signed: bool, text: str) -> None:
    """Below ten percent they have one decimal; the sign is optional."""
    assert text == units.format_percent(share, signed)
    assert units.format_percent(0.05) == "+5.0 %"


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (1.0, 2, "+100 %"),
        (1.234, 2, "+120 %"),
        (0.05, 6, "+5 %"),
        (0.0225, 6, "+2.25 %"),
        (1.2e-7, 2, "+0.000012 %"),
        (1e6, 6, "+100000000 %"),
    ],
)
def test_percentages_may_have_few_digits(share: float, digits: int, text: str) -> None:
    """They have as many significant digits as asked, and neither exponents nor final zeros."""
    assert text == units.format_percent(share, digits=digits)


@pytest.mark.parametrize("digits", [None, 1, 2, 3, 6])
def test_a_printed_percentage_is_the_share(digits: int | None) -> None:
    """Whatever its size, it has no exponent, and the value to its printed digits."""
    chance = random.Random(43)
    for _ in range(2000):
        share = chance.choice((-1, 1)) * 10 ** chance.uniform(-12, 12)
        text = units.format_percent(share, digits=digits)
        assert re.fullmatch(r"[+-]\d+(\.\d+)? %", text), text
        near = {"abs": 0.0006} if digits is None else {"abs": 0.0}
        rel = 0.051 if digits is None else 5.1 * 10.0**-digits
        assert float(text[:-2]) / 100 == pytest.approx(share, rel=rel, **near)


@pytest.mark.parametrize(
    "form", [units.format_energy, units.format_power, units.format_duration, units.format_number]
)
def test_no_quantity_has_an_exponent(form: Callable[[float], str]) -> None:
    """A reader of a report need not count powers of ten."""
    chance = random.Random(44)
    values = [10 ** chance.uniform(-9, 15) for _ in range(2000)]
    assert not [value for value in values if "e" in form(value).split()[0]]


@pytest.mark.parametrize(("number", "text"), [(0, "0 rounds"), (1, "1 round"), (2, "2 rounds")])
def test_counts_have_a_singular_and_a_plural(number: int, text: str) -> None:
    """Only one round is in the singular."""
    assert text == units.counted(number, "round")


@pytest.mark.parametrize("joules", [1.7e-3, 0.42, 7.0, 123.0, 98765.0])
def test_a_printed_energy_can_be_parsed(joules: float) -> None:
    """It has the same value, to the printed digits."""
    assert joules == pytest.approx(units.parse_energy(units.format_energy(joules)), rel=0.005)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (units.format_flop, 2.2e9, "2.2 GFLOP"),
        (units.format_flop, 537_123_456, "537 MFLOP"),
        (units.format_flop, 999_600, "1 MFLOP"),
        (units.format_flop, 291.4e12, "291 TFLOP"),
        (units.format_flop, 0, "0 FLOP"),
        (units.format_memory, 79_000_000, "79 MB"),
        (units.format_memory, 512, "512 B"),
        (units.format_memory, 1.5e15, "1500 TB"),
    ],
)
def test_counts_are_printed_without_zeros_at_the_end(
    form: Callable[[float], str], value: float, text: str
) -> None:
    """They have at most three significant digits."""
    assert text == form(value)


def test_changes_of_counts_have_a_sign() -> None:
    """An increase has one, too."""
    assert units.format_flop(537e6, signed=True) == "+537 MFLOP"
    assert units.format_memory(-79e6, signed=True) == "-79 MB"


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (2.4e9, 2.2e9, ("2.4 GFLOP", "2.2 GFLOP")),
        (2_204_000_000, 2_200_000_000, ("2.204 GFLOP", "2.2 GFLOP")),
        (10**12 + 1, 10**12, ("1.000000000001 TFLOP", "1 TFLOP")),
        (5e6, 5e6, ("5 MFLOP", "5 MFLOP")),
    ],
)
def test_two_counts_are_printed_with_the_digits_that_tell_them_apart(
    one: float, other: float, texts: tuple[str, str]
) -> None:
    """A count is never printed like the limit that it exceeds."""
    assert texts == units.format_different(units.format_flop, one, other)
